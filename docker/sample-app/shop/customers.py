"""The shop itself: customers register, log in and order. Runs under the account `backend`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from .accounts import Backend
from .models import Customer, Order
from .passwords import hash_password, is_right

router = APIRouter(prefix="/customers", tags=["customers"])

Text = Annotated[str, Field(min_length=1, max_length=100)]


class NewCustomer(BaseModel):
    """What somebody fills in to become a customer."""

    name: Text
    phone: Annotated[str, Field(min_length=1, max_length=24)]
    email: Annotated[str, Field(min_length=3, max_length=190)]
    address: Annotated[str, Field(min_length=1, max_length=255)]
    city: Annotated[str, Field(min_length=1, max_length=60)]
    password: Annotated[str, Field(min_length=12, max_length=200)]


class KnownCustomer(BaseModel):
    """A customer as the shop shows him to himself and to the support desk."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    phone: str
    email: str
    address: str
    city: str


class Login(BaseModel):
    """What somebody claims to know."""

    email: str
    password: str


class NewOrder(BaseModel):
    """What somebody buys."""

    item: Text
    price: Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=2)]
    placed_at: datetime | None = None


class KnownOrder(BaseModel):
    """An order as everybody sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    item: str
    price: Decimal
    placed_at: datetime


@router.post("", status_code=201)
def register(new: NewCustomer, session: Backend) -> KnownCustomer:
    """Makes a customer; an e-mail address belongs to one only."""
    customer = Customer(
        **new.model_dump(exclude={"password"}),
        password_hash=hash_password(new.password),
    )
    session.add(customer)
    try:
        session.commit()
    except IntegrityError as error:
        raise HTTPException(409, "this e-mail address is taken") from error
    return KnownCustomer.model_validate(customer)


@router.post("/login")
def log_in(claim: Login, session: Backend) -> KnownCustomer:
    """Finds a customer by e-mail address and password."""
    query = select(Customer, Customer.password_hash).where(Customer.email == claim.email)
    found = session.execute(query).one_or_none()
    if not is_right(claim.password, found.password_hash if found else None):
        raise HTTPException(401, "wrong e-mail address or password")
    return KnownCustomer.model_validate(found.Customer)


@router.get("/{customer_id}")
def read(customer_id: int, session: Backend) -> KnownCustomer:
    """One customer."""
    return KnownCustomer.model_validate(existing(session.get(Customer, customer_id)))


@router.post("/{customer_id}/orders", status_code=201)
def order(customer_id: int, new: NewOrder, session: Backend) -> KnownOrder:
    """Takes an order."""
    customer = existing(session.get(Customer, customer_id))
    placed = Order(customer_id=customer.id, **new.model_dump(exclude_none=True))
    session.add(placed)
    session.commit()
    return KnownOrder.model_validate(placed)


def existing(customer: Customer | None) -> Customer:
    """The customer, or the answer 404."""
    if customer is None:
        raise HTTPException(404, "no such customer")
    return customer
