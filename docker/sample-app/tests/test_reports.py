"""The engineers' reports."""

from .conftest import HANAKO, TARO, Shop


def test_sales_are_counted_by_city_and_month(shop: Shop) -> None:
    for customer, price, placed_at in [
        (shop.hanako, "10.50", "2026-01-31T23:59:59"),
        (shop.hanako, "20.00", "2026-02-01T00:00:00"),
        (shop.hanako, "1.25", "2026-02-28T12:00:00"),
        (shop.taro, "7.00", "2026-02-14T09:30:00"),
    ]:
        order = {"item": "tea", "price": price, "placed_at": placed_at}
        assert shop.client.post(f"/customers/{customer}/orders", json=order).status_code == 201
    answer = shop.client.get("/reports/sales")
    assert answer.status_code == 200, answer.text
    assert [tuple(row.values()) for row in answer.json()] == [
        ("Osaka", 2026, 2, 1, 1, "7.00"),
        ("Tokyo", 2026, 1, 1, 1, "10.50"),
        ("Tokyo", 2026, 2, 2, 1, "21.25"),
    ]


def test_a_shop_without_orders_has_an_empty_report(shop: Shop) -> None:
    assert shop.client.get("/reports/sales").json() == []
    assert shop.client.get("/reports/calls").json() == []


def test_callers_are_joined_with_customers(shop: Shop) -> None:
    for customer, item in [(shop.hanako, "tea"), (shop.hanako, "kettle"), (shop.taro, "tea")]:
        shop.client.post(f"/customers/{customer}/orders", json={"item": item, "price": "5"})
    stranger = "03-1234-5678"
    for phone, reason in [
        (HANAKO["phone"], "broken"),
        (HANAKO["phone"], "broken"),
        (stranger, "broken"),
        (TARO["phone"], "late"),
        (stranger, "wrong number"),
    ]:
        answer = shop.client.post("/support/calls", json={"phone": phone, "reason": reason})
        assert answer.status_code == 204, answer.text
    answer = shop.client.get("/reports/calls")
    assert answer.status_code == 200, answer.text
    assert [tuple(row.values()) for row in answer.json()] == [
        ("broken", 3, 2, 1, 2),
        ("late", 1, 1, 1, 1),
        ("wrong number", 1, 1, 0, 0),
    ]
