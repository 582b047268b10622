"""A small customer service: FastAPI and SQLAlchemy, written as if the columns were ordinary text."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import URL, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    phone: Mapped[str | None] = mapped_column(String(24))
    address: Mapped[str | None] = mapped_column(String(255))


class NewCustomer(BaseModel):
    name: str = Field(min_length=1, max_length=100)
    phone: str | None = Field(default=None, max_length=24)
    address: str | None = Field(default=None, max_length=255)


class KnownCustomer(NewCustomer):
    model_config = ConfigDict(from_attributes=True)

    id: int


engine = create_async_engine(
    URL.create(
        "mysql+aiomysql",
        username=os.environ["DATABASE_USER"],
        password=os.environ["DATABASE_PASSWORD"],
        host=os.environ["DATABASE_HOST"],
        port=int(os.environ["DATABASE_PORT"]),
        database=os.environ["DATABASE_NAME"],
        query={"charset": "utf8mb4"},
    ),
    pool_pre_ping=True,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI(title="Customers")


async def open_session():
    async with sessions() as session:
        yield session


SessionOfRequest = Annotated[AsyncSession, Depends(open_session)]


@app.post("/customers", status_code=201)
async def create(new: NewCustomer, session: SessionOfRequest) -> KnownCustomer:
    customer = Customer(**new.model_dump())
    session.add(customer)
    await session.commit()
    return KnownCustomer.model_validate(customer)


@app.get("/customers")
async def find(phone: str, session: SessionOfRequest) -> list[KnownCustomer]:
    found = await session.scalars(select(Customer).where(Customer.phone == phone))
    return [KnownCustomer.model_validate(customer) for customer in found]


@app.get("/customers/{customer_id}")
async def read(customer_id: int, session: SessionOfRequest) -> KnownCustomer:
    customer = await session.get(Customer, customer_id)
    if customer is None:
        raise HTTPException(404, "no such customer")
    return KnownCustomer.model_validate(customer)


@app.delete("/customers/{customer_id}", status_code=204)
async def remove(customer_id: int, session: SessionOfRequest) -> None:
    customer = await session.get(Customer, customer_id)
    if customer is None:
        raise HTTPException(404, "no such customer")
    await session.delete(customer)
    await session.commit()
