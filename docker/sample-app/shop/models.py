"""The tables. Nothing in them says that columns may be encrypted."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, Numeric, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """All tables of the shop."""


class Customer(Base):
    """A person who buys. The city is kept beside the address because reports count by it."""

    __tablename__ = "customers"
    __table_args__ = (Index("customers_phone", "phone"), Index("customers_email", "email", unique=True))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str] = mapped_column(String(24))
    email: Mapped[str] = mapped_column(String(190))
    address: Mapped[str] = mapped_column(String(255))
    city: Mapped[str] = mapped_column(String(60))
    # Deferred: only the login asks for it, so that no other query and no other account needs to be allowed to.
    password_hash: Mapped[str] = mapped_column(String(255), deferred=True, deferred_raiseload=True)

    orders: Mapped[list["Order"]] = relationship(back_populates="customer", order_by="Order.id")


class Call(Base):
    """Somebody called the support desk: from which number, and why. He need not be a customer."""

    __tablename__ = "calls"
    __table_args__ = (Index("calls_phone", "phone"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(String(60))
    called_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Order(Base):
    """What was bought, when and for how much."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    item: Mapped[str] = mapped_column(String(100))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())

    customer: Mapped[Customer] = relationship(back_populates="orders")
