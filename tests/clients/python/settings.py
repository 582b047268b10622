"""Where the programs of this folder connect to: read from the environment, given to nobody else.

CANDADO_PROXY_HOST, CANDADO_PROXY_PORT     the proxy; with --plain it is not used
CANDADO_DIRECT_HOST, CANDADO_DIRECT_PORT   the database server itself
CANDADO_USER, CANDADO_PASSWORD             the application's account, on both
CANDADO_DIRECT_USER, CANDADO_DIRECT_PASSWORD   an account that may do anything (default: root, empty)
CANDADO_DATABASE                           the database with the table `customers`
CANDADO_PROTECTED                          its protected columns (default: phone,address,note)
CANDADO_CA                                 if set: use TLS and verify the certificate against this authority
"""

import os
from dataclasses import dataclass

ENVELOPE_MAGIC = b"\xc1\xfe\x1d\x01"


@dataclass(frozen=True)
class Endpoint:
    """One place to connect to, with the account to use there."""

    host: str
    port: int
    user: str
    password: str
    database: str
    ca: str | None


def application(plain: bool) -> Endpoint:
    """The application's connection: through the proxy, or directly with `plain`."""
    side = "DIRECT" if plain else "PROXY"
    return Endpoint(
        host=os.environ.get(f"CANDADO_{side}_HOST", "127.0.0.1"),
        port=int(os.environ[f"CANDADO_{side}_PORT"]),
        user=os.environ["CANDADO_USER"],
        password=os.environ.get("CANDADO_PASSWORD", ""),
        database=os.environ["CANDADO_DATABASE"],
        ca=os.environ.get("CANDADO_CA") or None,
    )


def administrator() -> Endpoint:
    """A connection to the server itself that sees what is stored."""
    return Endpoint(
        host=os.environ.get("CANDADO_DIRECT_HOST", "127.0.0.1"),
        port=int(os.environ["CANDADO_DIRECT_PORT"]),
        user=os.environ.get("CANDADO_DIRECT_USER", "root"),
        password=os.environ.get("CANDADO_DIRECT_PASSWORD", ""),
        database=os.environ["CANDADO_DATABASE"],
        ca=None,
    )


def protected_columns() -> list[str]:
    """The protected columns of `customers`."""
    return os.environ.get("CANDADO_PROTECTED", "phone,address,note").split(",")
