"""Reports for engineers, who need numbers and no names. Run under the account `engineer`.

The telephone number is only fetched and compared here, never in SQL: whether it is the number itself or a pseudonym that
stands for it makes no difference.
"""

from collections import defaultdict
from decimal import Decimal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import extract, func, select

from .accounts import Engineer
from .models import Call, Customer, Order

router = APIRouter(prefix="/reports", tags=["reports"])


class Sales(BaseModel):
    """What one city bought in one month."""

    city: str
    year: int
    month: int
    orders: int
    customers: int
    revenue: Decimal


@router.get("/sales")
def sales(session: Engineer) -> list[Sales]:
    """Orders by city and month."""
    year, month = extract("year", Order.placed_at), extract("month", Order.placed_at)
    query = (
        select(
            Customer.city,
            year.label("year"),
            month.label("month"),
            func.count(Order.id).label("orders"),
            func.count(Order.customer_id.distinct()).label("customers"),
            func.sum(Order.price).label("revenue"),
        )
        .join(Order.customer)
        .group_by(Customer.city, year, month)
        .order_by(Customer.city, year, month)
    )
    return [Sales.model_validate(row, from_attributes=True) for row in session.execute(query)]


class Calls(BaseModel):
    """Who called for one reason."""

    reason: str
    calls: int
    callers: int
    customers: int
    orders: int


@router.get("/calls")
def calls(session: Engineer) -> list[Calls]:
    """Calls by reason: from how many numbers, how many of these are customers', and how much those ordered."""
    customers: defaultdict[str, set[int]] = defaultdict(set)
    for customer_id, phone in session.execute(select(Customer.id, Customer.phone)):
        customers[phone].add(customer_id)
    counted = select(Order.customer_id, func.count(Order.id)).group_by(Order.customer_id)
    orders = {customer_id: count for customer_id, count in session.execute(counted)}
    callers: defaultdict[str, list[str]] = defaultdict(list)
    for reason, phone in session.execute(select(Call.reason, Call.phone).order_by(Call.reason)):
        callers[reason].append(phone)
    report = []
    for reason, phones in callers.items():
        known = set().union(*(customers[phone] for phone in phones))
        report.append(
            Calls(
                reason=reason,
                calls=len(phones),
                callers=len(set(phones)),
                customers=len(known),
                orders=sum(orders.get(customer_id, 0) for customer_id in known),
            )
        )
    return report
