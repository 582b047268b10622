"""An ordinary SQLAlchemy model and what an application does with it.

Nothing here knows of encryption: the same file runs at a server directly and through the proxy.
"""

from sqlalchemy import String, Text, delete, func, insert, select, union_all, update
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None] = mapped_column(String(100))
    phone: Mapped[str | None] = mapped_column(String(40), index=True)
    address: Mapped[str | None] = mapped_column(String(255))
    note: Mapped[str | None] = mapped_column(Text)


def values(customer: Customer | None):
    """The attributes of a customer, as the application sees them."""
    if customer is None:
        return None
    return (customer.id, customer.name, customer.phone, customer.address, customer.note)


def story(session: Session):
    """Creates, finds, changes and deletes customers; yields a name and the outcome of each step."""
    session.add_all(
        [
            Customer(id=1, name="Ana", phone="+34 600 000 001", address="Calle Mayor 1", note="first"),
            Customer(id=2, name="Émile", phone="+33 1 23 45 67 89", address="12 rue de l'Église", note=""),
            Customer(id=3, name="花子", phone="+81 90 1234 5678", address="東京都千代田区 😀", note=None),
            Customer(id=4, name="Nobody", phone=None, address=None, note=None),
        ]
    )
    session.commit()

    by_phone = select(Customer).where(Customer.phone == "+81 90 1234 5678")
    yield "by phone", values(session.scalars(by_phone).one())
    yield "by unknown phone", session.scalars(select(Customer).where(Customer.phone == "+1 555 0100")).all()
    in_phones = select(Customer).where(Customer.phone.in_(["+34 600 000 001", "+33 1 23 45 67 89"]))
    yield "by phones", [values(c) for c in session.scalars(in_phones.order_by(Customer.id))]
    others = select(Customer).where(Customer.phone != "+34 600 000 001").order_by(Customer.id)
    yield "other phones", [values(c) for c in session.scalars(others)]
    yield "without phone", [values(c) for c in session.scalars(select(Customer).where(Customer.phone.is_(None)))]
    yield "two columns", session.execute(select(Customer.id, Customer.address).order_by(Customer.id)).all()

    ana = session.get_one(Customer, 1)
    ana.phone = "+34 699 999 999"
    ana.address = None
    session.commit()
    yield "after a change", values(session.get_one(Customer, 1, populate_existing=True))
    yield "old phone", session.scalars(select(Customer.id).where(Customer.phone == "+34 600 000 001")).all()
    changed = session.execute(
        update(Customer).where(Customer.phone == "+33 1 23 45 67 89").values(note="moved", phone="+33 9 87 65 43 21")
    )
    session.commit()
    yield "bulk update", changed.rowcount
    yield "after the bulk update", values(session.get_one(Customer, 2, populate_existing=True))

    rows = [
        {"id": 10, "name": "ten", "phone": "+44 20 7946 0010", "address": "", "note": "😀"},
        {"id": 11, "name": "eleven", "phone": None, "address": None, "note": None},
    ]
    session.execute(insert(Customer), rows)
    session.commit()
    again = mysql.insert(Customer).values([{"id": 10, "phone": "+44 20 7946 0011"}, {"id": 12, "phone": ""}])
    changed = session.execute(again.on_duplicate_key_update(phone=again.inserted.phone, note="again"))
    session.commit()
    yield "upsert", changed.rowcount
    session.execute(update(Customer), [{"id": 11, "phone": "+44 20 7946 0012"}, {"id": 12, "phone": "+44 20 7946 0013"}])
    session.merge(Customer(id=12, name="merged", phone="+44 20 7946 0014"))
    session.commit()
    session.expire_all()
    some = select(Customer).where(Customer.id >= 10)
    yield "after the upserts", [values(c) for c in session.scalars(some.order_by(Customer.id))]
    yield "no such phones", session.scalars(
        select(Customer.id).where(Customer.phone.not_in(["+44 20 7946 0011", ""])).order_by(Customer.id)
    ).all()
    counted = select(func.count()).select_from(select(Customer).where(Customer.phone == "+44 20 7946 0011").subquery())
    yield "counted", session.scalar(counted)
    one = select(Customer.id, Customer.phone)
    both = union_all(one.where(Customer.id == 10), one.where(Customer.id == 11))
    yield "union all", sorted(session.execute(both).all())
    found = select(Customer.id, Customer.phone).where(Customer.phone == "+44 20 7946 0011").cte("found")
    yield "common table expression", session.execute(select(found.c.id, found.c.phone)).all()
    yield "locked", session.scalars(select(Customer.id).where(Customer.phone == "+44 20 7946 0011").with_for_update()).all()
    session.rollback()
    session.execute(delete(Customer).where(Customer.id >= 10))
    session.commit()

    session.add(Customer(id=5, name="Gone", phone="+1 555 0199", address="nowhere", note="rolled back"))
    session.flush()
    yield "inside the transaction", session.scalars(select(Customer.name).where(Customer.phone == "+1 555 0199")).all()
    session.rollback()
    yield "after the rollback", session.scalars(select(Customer.name).where(Customer.phone == "+1 555 0199")).all()

    session.delete(session.get_one(Customer, 4))
    session.commit()
    gone = session.execute(delete(Customer).where(Customer.phone == "+34 699 999 999"))
    session.commit()
    yield "bulk delete", gone.rowcount
    yield "what is left", [values(c) for c in session.scalars(select(Customer).order_by(Customer.id))]
