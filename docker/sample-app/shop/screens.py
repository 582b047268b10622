"""What each account sees of the same customers, as text: `python -m shop.screens`.

Each column is asked for by itself, so that one that an account may not read does not hide the others.
"""

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute

from .accounts import Account, open_session
from .models import Customer

ROWS_MAX = 10
# Access to a column is denied (MySQL's own code for it).
DENIED = 1143

COLUMNS: list[InstrumentedAttribute[str]] = [
    Customer.name,
    Customer.city,
    Customer.phone,
    Customer.email,
    Customer.address,
    Customer.password_hash,
]


def cells(account: Account, column: InstrumentedAttribute[str]) -> list[str]:
    """The column's first values as this account sees them."""
    with open_session(account) as session:
        try:
            return [str(cell) for cell in session.scalars(select(column).order_by(Customer.id).limit(ROWS_MAX))]
        except DBAPIError as error:
            if error.orig is None or error.orig.args[0] != DENIED:
                raise
            session.rollback()
            count = len(session.scalars(select(Customer.id).limit(ROWS_MAX)).all())
            return ["(denied)"] * count


def screen(account: Account) -> str:
    """One account's view, as a table."""
    table = [[column.key, *(shortened(cell) for cell in cells(account, column))] for column in COLUMNS]
    widths = [max(map(len, column)) for column in table]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in zip(*table)]
    lines = [account.value, *(row.rstrip() for row in rows)]
    return "\n".join(lines)


def shortened(cell: str) -> str:
    """The beginning of a value that is too long for a column of text."""
    return cell if len(cell) <= 30 else f"{cell[:29]}…"


def main() -> None:
    """Prints all three."""
    print("\n\n".join(screen(account) for account in Account))


if __name__ == "__main__":
    main()
