"""Reports for engineers, who need numbers and no names. Run under the account `engineer`."""

from decimal import Decimal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import extract, func, select

from .accounts import Engineer
from .models import Customer, Order

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
