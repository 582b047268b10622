"""Peewee: models, and what an application does with them.

Nothing here knows of encryption but the list of what may be refused.
"""

import peewee
from peewee import Case, CharField, ForeignKeyField, IntegerField, Model, MySQLDatabase, TextField, fn

import drivers
from settings import Endpoint
from story import ANOTHER_NOTATION, FIELDS, ROWS, Steps, values

TITLE = "Peewee"
# Wildcards, order, and functions over a value need what a blind index cannot tell.
MAY_BE_REFUSED = {
    "contains",
    "startswith",
    "ordered by phone",
    "between",
    "upper case",
    "concatenated",
    "largest",
    "distinct phones",
    "phones with counts",
    "bulk_update",
    "exists",
}


def database(to: Endpoint) -> MySQLDatabase:
    tls = {"ssl": drivers.tls_context(to.ca)} if to.ca else {"ssl_disabled": True}
    return MySQLDatabase(
        to.database, host=to.host, port=to.port, user=to.user, password=to.password, charset="utf8mb4", **tls
    )


class Customer(Model):
    id = IntegerField(primary_key=True)
    name = CharField(100, null=True)
    phone = CharField(40, null=True, index=True)
    address = CharField(255, null=True)
    note = TextField(null=True)

    class Meta:
        table_name = "customers"


class Visit(Model):
    customer = ForeignKeyField(Customer, backref="visits")
    remark = CharField(100)

    class Meta:
        table_name = "peewee_visits"


def make_visits(db: MySQLDatabase) -> None:
    """Without a foreign key: the two sides' customers are made in other ways."""
    db.execute_sql("DROP TABLE IF EXISTS peewee_visits")
    db.execute_sql(
        "CREATE TABLE peewee_visits (id INT AUTO_INCREMENT PRIMARY KEY, customer_id INT, remark VARCHAR(100))"
    )


def run(db: MySQLDatabase, steps: Steps) -> None:
    """The story on one database."""
    listed = lambda query: [values(found) for found in query.order_by(Customer.id)]
    where = lambda *expressions: Customer.select().where(*expressions)
    first, *others = [dict(zip(FIELDS, row)) for row in ROWS]

    # Writing.
    steps.take("create", lambda: values(Customer.create(**first)))
    steps.take("insert_many", lambda: Customer.insert_many(others).execute())
    steps.take(
        "visits",
        lambda: Visit.insert_many(
            [(key, f"visit {key}") for key in (1, 1, 3, 4)], fields=[Visit.customer, Visit.remark]
        ).execute(),
    )
    steps.take("all", lambda: listed(Customer.select()))

    # Searching.
    steps.take("get", lambda: values(Customer.get(Customer.phone == ROWS[0][2])))
    steps.take(
        "by another notation",
        lambda: values(Customer.get(Customer.phone == (ANOTHER_NOTATION if steps.protected else ROWS[0][2]))),
    )
    steps.take("get_or_none", lambda: Customer.get_or_none(Customer.phone == "+1 555 0100"))
    steps.take("in", lambda: listed(where(Customer.phone.in_([ROWS[0][2], ROWS[2][2]]))))
    steps.take("not in", lambda: listed(where(Customer.phone.not_in([ROWS[0][2], ""]))))
    steps.take("other", lambda: listed(where(Customer.phone != ROWS[0][2])))
    steps.take("is null", lambda: listed(where(Customer.phone.is_null())))
    steps.take("is none", lambda: listed(where(Customer.phone == None)))  # noqa: E711: Peewee's own idiom
    steps.take("empty", lambda: listed(where(Customer.phone == "")))
    steps.take("or, not", lambda: listed(where((Customer.phone == ROWS[0][2]) | ~(Customer.phone == ""))))
    steps.take("count", lambda: where(Customer.phone == ROWS[0][2]).count())
    steps.take("exists", lambda: where(Customer.phone == ROWS[0][2]).exists())
    steps.take("tuples", lambda: list(Customer.select(Customer.id, Customer.phone).order_by(Customer.id).tuples()))
    steps.take("dicts", lambda: list(Customer.select(Customer.phone.alias("tel")).order_by(Customer.id).dicts()))
    steps.take(
        "paginate", lambda: [values(found) for found in Customer.select().order_by(Customer.id).paginate(2, 2)]
    )
    steps.take("counted", lambda: Customer.select(fn.COUNT(Customer.phone)).scalar())
    steps.take(
        "case",
        lambda: list(
            Customer.select(Customer.id, Case(None, [(Customer.phone == ROWS[0][2], "yes")], "no").alias("hit"))
            .order_by(Customer.id)
            .tuples()
        ),
    )
    steps.take(
        "union all",
        lambda: sorted(
            (
                Customer.select(Customer.id, Customer.phone).where(Customer.id == 1)
                + Customer.select(Customer.id, Customer.phone).where(Customer.id == 3)
            ).tuples()
        ),
    )

    # Joins.
    steps.take(
        "join",
        lambda: list(
            Visit.select(Visit.remark, Customer.phone)
            .join(Customer)
            .where(Customer.phone == ROWS[0][2])
            .order_by(Visit.id)
            .tuples()
        ),
    )
    steps.take(
        "left join",
        lambda: list(
            Customer.select(Customer.id, Customer.phone, fn.COUNT(Visit.id).alias("n"))
            .join(Visit, peewee.JOIN.LEFT_OUTER)
            .group_by(Customer.id)
            .order_by(Customer.id)
            .tuples()
        ),
    )
    steps.take(
        "sub-query",
        lambda: list(
            Visit.select(Visit.remark)
            .where(Visit.customer.in_(Customer.select(Customer.id).where(Customer.phone == ROWS[2][2])))
            .order_by(Visit.id)
            .tuples()
        ),
    )
    steps.take(
        "backref", lambda: sorted(visit.remark for visit in Customer.get(Customer.phone == ROWS[0][2]).visits)
    )

    def with_expression():
        found = Customer.select(Customer.id, Customer.phone).where(Customer.phone == ROWS[0][2]).cte("found")
        return list(found.select_from(found.c.id, found.c.phone).tuples())

    steps.take("common table expression", with_expression)

    # What cannot be told of encrypted values.
    steps.take("contains", lambda: listed(where(Customer.phone.contains("600"))))
    steps.take("startswith", lambda: listed(where(Customer.phone.startswith("+34"))))
    steps.take("between", lambda: listed(where(Customer.phone.between("+30", "+35"))))
    steps.take(
        "ordered by phone", lambda: [values(found) for found in where(Customer.id <= 3).order_by(Customer.phone)]
    )
    steps.take(
        "upper case", lambda: list(Customer.select(fn.UPPER(Customer.address)).order_by(Customer.id).tuples())
    )
    steps.take(
        "concatenated",
        lambda: list(Customer.select(fn.CONCAT("tel:", Customer.phone)).order_by(Customer.id).tuples()),
    )
    steps.take("largest", lambda: Customer.select(fn.MAX(Customer.phone)).where(Customer.id <= 3).scalar())
    steps.take(
        "distinct phones",
        lambda: sorted(Customer.select(Customer.phone).where(Customer.id <= 3).distinct().tuples()),
    )
    steps.take(
        "phones with counts",
        lambda: sorted(
            Customer.select(Customer.phone, fn.COUNT(Customer.id))
            .where(Customer.id <= 3)
            .group_by(Customer.phone)
            .tuples()
        ),
    )

    # Changing.
    def change():
        ana = Customer.get_by_id(1)
        ana.phone, ana.address = "+34 699 999 999", None
        return [ana.save(), values(Customer.get_by_id(1))]

    steps.take("save", change)
    steps.take(
        "update",
        lambda: Customer.update(note="moved", phone="+34 688 888 888")
        .where(Customer.phone == "+34 699 999 999")
        .execute(),
    )
    steps.take("after update", lambda: values(Customer.get(Customer.phone == "+34 688 888 888")))
    steps.take(
        "get_or_create",
        lambda: [
            (values(found), made)
            for found, made in (
                Customer.get_or_create(phone=ROWS[2][2], defaults={"id": 60}),
                Customer.get_or_create(phone="+44 20 7946 0000", defaults={"id": 6, "name": "London"}),
            )
        ],
    )
    again = {"id": 6, "name": "again", "phone": "+44 20 7946 0003", "note": "😀"}
    steps.take(
        "upsert",
        lambda: Customer.insert(**again)
        .on_conflict(preserve=[Customer.phone, Customer.note], update={Customer.name: "kept"})
        .execute(),
    )
    steps.take("replace", lambda: Customer.replace(id=7, phone="+44 20 7946 0004", note="").execute())
    steps.take("ignored", lambda: Customer.insert(id=7, phone="not").on_conflict_ignore().execute())
    steps.take("after the upserts", lambda: listed(where(Customer.id >= 6)))

    def tentatively(step):
        """In a transaction that is rolled back."""
        with db.atomic() as transaction:
            outcome = step()
            transaction.rollback()
        return outcome

    def bulk_update():
        found = list(where(Customer.id <= 3).order_by(Customer.id))
        for number, one in enumerate(found):
            one.phone = f"+34 611 000 00{number}"
        return [Customer.bulk_update(found, [Customer.phone]), listed(where(Customer.id <= 3))]

    steps.take("bulk_update", lambda: tentatively(bulk_update))
    steps.take(
        "rolled back",
        lambda: tentatively(
            lambda: [values(Customer.create(id=20, phone="+34 622 000 000")), Customer.select().count()]
        ),
    )
    steps.take(
        "after the rollback",
        lambda: [where(Customer.phone == "+34 622 000 000").count(), Customer.select().count()],
    )
    steps.take("locked", lambda: tentatively(lambda: listed(where(Customer.phone == ROWS[2][2]).for_update())))

    # Deleting.
    steps.take("delete one", lambda: Customer.get(Customer.phone == ROWS[2][2]).delete_instance())
    steps.take(
        "delete some",
        lambda: Customer.delete().where(Customer.phone.in_(["+34 688 888 888", "+44 20 7946 0003"])).execute(),
    )
    steps.take("what is left", lambda: listed(Customer.select()))


def story(plain: Endpoint, subject: Endpoint, subject_is_plain: bool):
    """Both runs."""
    runs = []
    for to, protected in ((plain, False), (subject, not subject_is_plain)):
        db = database(to)
        steps = Steps(protected)
        with db.bind_ctx([Customer, Visit]), db.connection_context():
            if protected:
                Customer.delete().execute()
            else:
                # Peewee's own DDL.
                db.drop_tables([Customer])
                db.create_tables([Customer])
            make_visits(db)
            run(db, steps)
        runs.append(steps.taken)
    return runs
