"""Registering, logging in, ordering."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shop.accounts import Account, open_session
from shop.models import Customer

from .conftest import HANAKO, Shop, shown


def test_a_customer_reads_what_he_wrote(shop: Shop) -> None:
    answer = shop.client.get(f"/customers/{shop.hanako}")
    assert (answer.status_code, answer.json()) == (200, shown(HANAKO, shop.hanako))


def test_nobody_is_found_under_another_number(shop: Shop) -> None:
    assert shop.client.get("/customers/0").status_code == 404


@pytest.mark.parametrize("text", ["東京都渋谷区 1-2-3", "O'Brien \\ \"x\" -- %_", "😀 ü", " x ", "a" * 255])
def test_text_comes_back_as_it_was(shop: Shop, text: str) -> None:
    someone = HANAKO | {"email": "someone@example.org", "address": text}
    answer = shop.client.post("/customers", json=someone)
    assert answer.status_code == 201, answer.text
    assert shop.client.get(f"/customers/{answer.json()['id']}").json()["address"] == text


@pytest.mark.parametrize("email", ["hanako@example.org", "Hanako@Example.org"])
def test_an_email_address_belongs_to_one_customer(shop: Shop, email: str) -> None:
    answer = shop.client.post("/customers", json=HANAKO | {"email": email})
    assert (answer.status_code, answer.json()) == (409, {"detail": "this e-mail address is taken"})


def test_a_customer_logs_in(shop: Shop) -> None:
    answer = shop.client.post("/customers/login", json={"email": HANAKO["email"], "password": HANAKO["password"]})
    assert (answer.status_code, answer.json()) == (200, shown(HANAKO, shop.hanako))


@pytest.mark.parametrize("email", [HANAKO["email"], "nobody@example.org"])
def test_nobody_logs_in_with_a_wrong_password(shop: Shop, email: str) -> None:
    answer = shop.client.post("/customers/login", json={"email": email, "password": "' OR 1=1 -- "})
    assert (answer.status_code, answer.json()) == (401, {"detail": "wrong e-mail address or password"})


def test_what_is_stored_of_a_password_is_its_hash(shop: Shop) -> None:
    with open_session(Account.BACKEND) as session:
        stored = session.scalars(select(Customer.password_hash).where(Customer.id == shop.hanako)).one()
    assert stored.startswith("$argon2id$")
    assert PasswordHasher().verify(stored, HANAKO["password"])


def test_a_short_password_is_refused(shop: Shop) -> None:
    answer = shop.client.post("/customers", json=HANAKO | {"email": "x@example.org", "password": "short"})
    assert answer.status_code == 422


def test_a_customer_orders(shop: Shop) -> None:
    answer = shop.client.post(f"/customers/{shop.taro}/orders", json={"item": "kettle", "price": "49.90"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["item"], answer.json()["price"]) == ("kettle", "49.90")
    assert shop.client.post("/customers/0/orders", json={"item": "kettle", "price": "1"}).status_code == 404
