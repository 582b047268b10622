"""The database and the three accounts that work with it. Which of them may see what is not decided here."""

import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from typing import Annotated

from fastapi import Depends
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.orm import Session


class Account(StrEnum):
    """One account for each part of the application; the variables SHOP_BACKEND_USER and so on name them."""

    BACKEND = "backend"
    SUPPORT = "support"
    ENGINEER = "engineer"


def address(user: str, password: str) -> URL:
    """Where the database is, for that user. A proxy in front of it is no different from a server."""
    return URL.create(
        "mysql+pymysql",
        username=user,
        password=password,
        host=os.environ.get("SHOP_HOST", "127.0.0.1"),
        port=int(os.environ.get("SHOP_PORT", "3306")),
        database=os.environ.get("SHOP_DATABASE", "shop"),
        query={"charset": "utf8mb4"},
    )


@cache
def engine(account: Account) -> Engine:
    """The pool of connections of one account."""
    prefix = f"SHOP_{account.name}"
    user = os.environ.get(f"{prefix}_USER", account.value)
    return create_engine(address(user, os.environ[f"{prefix}_PASSWORD"]), pool_pre_ping=True)


def open_session(account: Account) -> Session:
    """A transaction of that account, to be used in a `with`."""
    return Session(engine(account))


def session_of(account: Account) -> Callable[[], Iterator[Session]]:
    """What FastAPI calls before a request and closes after it."""

    def session() -> Iterator[Session]:
        with open_session(account) as opened:
            yield opened

    return session


Backend = Annotated[Session, Depends(session_of(Account.BACKEND))]
Support = Annotated[Session, Depends(session_of(Account.SUPPORT))]
Engineer = Annotated[Session, Depends(session_of(Account.ENGINEER))]
