"""Runs against the database that the environment names, which the tests empty: see shop/accounts.py.

No test knows whether there is a proxy, or an encrypted column.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from shop.accounts import Account, open_session
from shop.app import app
from shop.models import Call, Customer, Order
from shop.passwords import hash_password

HANAKO = {
    "name": "Hanako",
    "phone": "090-1234-5678",
    "email": "hanako@example.org",
    "address": "1-2-3 Jingumae, Shibuya",
    "city": "Tokyo",
    "password": "correct horse battery",
}
TARO = {
    "name": "Taro",
    "phone": "06-6123-4567",
    "email": "taro@example.org",
    "address": "4-5-6 Umeda, Kita",
    "city": "Osaka",
    "password": "staple battery horse",
}


@dataclass(frozen=True)
class Shop:
    """The application, and the numbers of the customers that it begins with."""

    client: TestClient
    hanako: int
    taro: int


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """The whole application, in this process."""
    if not os.environ.get("SHOP_TESTS_MAY_EMPTY_TABLES"):
        pytest.exit("the tests empty the tables: set SHOP_TESTS_MAY_EMPTY_TABLES if that may be", returncode=2)
    with TestClient(app) as opened:
        yield opened


@pytest.fixture
def shop(client: TestClient) -> Shop:
    """An empty shop with two customers."""
    with open_session(Account.BACKEND) as session:
        for table in (Call, Order, Customer):
            session.execute(delete(table))
        hanako, taro = known(HANAKO), known(TARO)
        session.add_all([hanako, taro])
        session.commit()
        return Shop(client, hanako.id, taro.id)


def known(customer: dict[str, str]) -> Customer:
    """A customer who has registered before; his password is hashed once for all tests."""
    columns = {key: value for key, value in customer.items() if key != "password"}
    return Customer(**columns, password_hash=hashed(customer["password"]))


hashed = cache(hash_password)


def shown(customer: dict[str, str], customer_id: int) -> dict[str, str | int]:
    """What the application says of a customer: all but the password."""
    return {"id": customer_id} | {key: value for key, value in customer.items() if key != "password"}
