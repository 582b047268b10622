"""The support desk: notes a call, finds the caller by his number, shows him, corrects his address.

Runs under the account `support`.
"""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from .accounts import Support
from .customers import KnownCustomer, KnownOrder, existing
from .models import Call, Customer

router = APIRouter(prefix="/support", tags=["support"])


class CustomerWithOrders(KnownCustomer):
    """A customer as the support desk sees him."""

    orders: list[KnownOrder]


class Moved(BaseModel):
    """Where somebody lives now."""

    address: Annotated[str, Field(min_length=1, max_length=255)]
    city: Annotated[str, Field(min_length=1, max_length=60)]


class NewCall(BaseModel):
    """Who calls, and why."""

    phone: Annotated[str, Field(min_length=1, max_length=24)]
    reason: Annotated[str, Field(min_length=1, max_length=60)]


@router.post("/calls", status_code=204)
def note(call: NewCall, session: Support) -> None:
    """Notes a call."""
    session.add(Call(**call.model_dump()))
    session.commit()


@router.get("/customers")
def find(phone: str, session: Support) -> list[KnownCustomer]:
    """Who has this number."""
    found = session.scalars(select(Customer).where(Customer.phone == phone).order_by(Customer.id))
    return [KnownCustomer.model_validate(customer) for customer in found]


@router.get("/customers/{customer_id}")
def view(customer_id: int, session: Support) -> CustomerWithOrders:
    """One customer and his orders."""
    customer = session.get(Customer, customer_id, options=[selectinload(Customer.orders)])
    return CustomerWithOrders.model_validate(existing(customer))


@router.put("/customers/{customer_id}/address")
def move(customer_id: int, moved: Moved, session: Support) -> KnownCustomer:
    """Corrects an address."""
    customer = existing(session.get(Customer, customer_id, with_for_update=True))
    customer.address = moved.address
    customer.city = moved.city
    session.commit()
    return KnownCustomer.model_validate(customer)
