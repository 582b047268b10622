"""The support desk."""

from sqlalchemy import func, select

from shop.accounts import Account, open_session
from shop.models import Call

from .conftest import HANAKO, TARO, Shop, shown


def test_a_caller_is_found_by_his_number(shop: Shop) -> None:
    answer = shop.client.get("/support/customers", params={"phone": TARO["phone"]})
    assert (answer.status_code, answer.json()) == (200, [shown(TARO, shop.taro)])


def test_a_number_that_nobody_has_finds_nobody(shop: Shop) -> None:
    for phone in ["090-0000-0000", "", "' OR 1=1 -- "]:
        answer = shop.client.get("/support/customers", params={"phone": phone})
        assert (answer.status_code, answer.json()) == (200, [])


def test_all_of_a_household_are_found(shop: Shop) -> None:
    brother = TARO | {"name": "Jiro", "email": "jiro@example.org"}
    jiro = shop.client.post("/customers", json=brother).json()["id"]
    answer = shop.client.get("/support/customers", params={"phone": TARO["phone"]})
    assert answer.json() == [shown(TARO, shop.taro), shown(brother, jiro)]


def test_a_customer_is_shown_with_his_orders(shop: Shop) -> None:
    for item in ("kettle", "tea"):
        shop.client.post(f"/customers/{shop.hanako}/orders", json={"item": item, "price": "5"})
    answer = shop.client.get(f"/support/customers/{shop.hanako}")
    assert answer.status_code == 200
    orders = answer.json().pop("orders")
    assert [(order["item"], order["price"]) for order in orders] == [("kettle", "5.00"), ("tea", "5.00")]
    assert shown(HANAKO, shop.hanako).items() <= answer.json().items()
    assert shop.client.get("/support/customers/0").status_code == 404


def test_an_address_is_corrected_and_nothing_else(shop: Shop) -> None:
    moved = {"address": "7-8-9 Sakae, Naka", "city": "Nagoya"}
    answer = shop.client.put(f"/support/customers/{shop.hanako}/address", json=moved)
    assert (answer.status_code, answer.json()) == (200, shown(HANAKO, shop.hanako) | moved)
    assert shop.client.get(f"/customers/{shop.hanako}").json() == shown(HANAKO, shop.hanako) | moved
    assert shop.client.get(f"/customers/{shop.taro}").json() == shown(TARO, shop.taro)
    assert shop.client.put("/support/customers/0/address", json=moved).status_code == 404


def test_calls_are_noted(shop: Shop) -> None:
    for phone in [TARO["phone"], "03-1234-5678"]:
        answer = shop.client.post("/support/calls", json={"phone": phone, "reason": "late"})
        assert answer.status_code == 204, answer.text
    with open_session(Account.SUPPORT) as session:
        assert session.scalars(select(Call.phone).order_by(Call.id)).all() == [TARO["phone"], "03-1234-5678"]
        assert session.scalar(select(func.count()).where(Call.phone == TARO["phone"])) == 1
