"""Makes the tables, with every column as plain text: `python -m shop.tables USER`.

The user may create tables; SHOP_ADMIN_PASSWORD is his password.
"""

import os
import sys

from sqlalchemy import create_engine

from .accounts import address
from .models import Base


def main() -> None:
    """Makes what is missing; leaves existing tables as they are."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Base.metadata.create_all(create_engine(address(sys.argv[1], os.environ.get("SHOP_ADMIN_PASSWORD", ""))))


if __name__ == "__main__":
    main()
