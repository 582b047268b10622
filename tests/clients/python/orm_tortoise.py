"""Tortoise ORM over asyncmy: models, and what an application does with them.

Nothing here knows of encryption but the list of what may be refused.
"""

import asyncio

from tortoise import Tortoise, fields
from tortoise.connection import connections
from tortoise.expressions import Case, Q, Subquery, When
from tortoise.functions import Coalesce, Count, Max, Upper
from tortoise.models import Model
from tortoise.transactions import in_transaction
from tortoise.utils import get_schema_sql

import drivers
from settings import Endpoint
from story import ANOTHER_NOTATION, FIELDS, ROWS, Steps, values

TITLE = "Tortoise"
# Wildcards, order, and functions over a value need what a blind index cannot tell.
MAY_BE_REFUSED = {
    "visits of each",
    "contains",
    "startswith",
    "iexact",
    "greater",
    "ordered by phone",
    "upper case",
    "coalesce",
    "largest",
    "distinct phones",
    "phones with counts",
    "bulk_update",
}
# What the server itself may not be able to.
MAY_FAIL = {"upsert"}


class Customer(Model):
    id = fields.IntField(primary_key=True, generated=False)
    name = fields.CharField(100, null=True)
    phone = fields.CharField(40, null=True, db_index=True)
    address = fields.CharField(255, null=True)
    note = fields.TextField(null=True)

    visits: fields.ReverseRelation["Visit"]

    class Meta:
        table = "customers"


class Visit(Model):
    id = fields.IntField(primary_key=True)
    customer = fields.ForeignKeyField("story.Customer", related_name="visits", db_constraint=False)
    remark = fields.CharField(100)

    class Meta:
        table = "tortoise_visits"


def database(to: Endpoint) -> dict:
    tls = {"ssl": drivers.tls_context(to.ca)} if to.ca else {}
    return {
        "engine": "tortoise.backends.mysql",
        "credentials": {
            "host": to.host,
            "port": to.port,
            "user": to.user,
            "password": to.password,
            "database": to.database,
            "charset": "utf8mb4",
            "minsize": 1,
            "maxsize": 2,
            **tls,
        },
    }


class RolledBack(Exception):
    """Ends a transaction that was only tried."""


async def tentatively(step):
    """In a transaction that is rolled back."""
    outcome = None
    try:
        async with in_transaction("default"):
            outcome = await step()
            raise RolledBack
    except RolledBack:
        return outcome


async def run(steps: Steps) -> None:
    """The story on one database."""
    take = steps.take_async
    first, *others = [dict(zip(FIELDS, row)) for row in ROWS]

    async def listed(query):
        return [values(found) for found in await query.order_by("id")]

    async def one(query):
        return values(await query)

    async def rows(query):
        return [tuple(row) for row in await query]

    # Writing.
    await take("create", lambda: one(Customer.create(**first)))

    async def bulk_create():
        return len(await Customer.bulk_create([Customer(**row) for row in others]) or others)

    await take("bulk_create", bulk_create)
    await take("all", lambda: listed(Customer.all()))

    async def visits():
        await Visit.bulk_create([Visit(customer_id=key, remark=f"visit {key}") for key in (1, 1, 3, 4)])
        return await Visit.all().count()

    await take("visits", visits)

    # Searching.
    await take("get", lambda: one(Customer.get(phone=ROWS[0][2])))
    await take(
        "by another notation", lambda: one(Customer.get(phone=ANOTHER_NOTATION if steps.protected else ROWS[0][2]))
    )
    await take("get_or_none", lambda: one(Customer.get_or_none(phone="+1 555 0100")))
    await take("in", lambda: listed(Customer.filter(phone__in=[ROWS[0][2], ROWS[2][2]])))
    await take("not in", lambda: listed(Customer.filter(phone__not_in=[ROWS[0][2], ""])))
    await take("not", lambda: listed(Customer.filter(phone__not=ROWS[0][2])))
    await take("exclude", lambda: listed(Customer.exclude(phone=ROWS[0][2])))
    await take("isnull", lambda: listed(Customer.filter(phone__isnull=True)))
    await take("not_isnull", lambda: listed(Customer.filter(phone__not_isnull=True)))
    await take("empty", lambda: listed(Customer.filter(phone="")))
    await take("or", lambda: listed(Customer.filter(Q(phone=ROWS[0][2]) | Q(name="Nobody"))))
    await take("and not", lambda: listed(Customer.filter(~Q(phone=ROWS[0][2]), phone__not_isnull=True)))
    await take("exists", lambda: Customer.filter(phone=ROWS[0][2]).exists())
    await take("count", lambda: Customer.filter(phone=ROWS[0][2]).count())
    await take("first", lambda: one(Customer.filter(phone=ROWS[0][2]).first()))
    await take("limited", lambda: listed(Customer.all().limit(2).offset(1)))
    await take("values", lambda: Customer.all().order_by("id").values("id", tel="phone"))
    await take("values_list", lambda: rows(Customer.all().order_by("id").values_list("phone", "note")))

    async def only():
        return [customer.phone for customer in await Customer.all().only("id", "phone").order_by("id")]

    await take("only", only)
    await take("flat", lambda: Customer.all().order_by("id").values_list("phone", flat=True))
    await take("counted", lambda: Customer.annotate(n=Count("phone")).values("n"))
    await take(
        "visits of each",
        lambda: rows(
            Customer.annotate(n=Count("visits"))
            .filter(phone__not_isnull=True)
            .order_by("id")
            .values_list("id", "n")
        ),
    )
    await take(
        "conditional",
        lambda: rows(
            Customer.annotate(hit=Case(When(phone=ROWS[0][2], then="yes"), default="no"))
            .order_by("id")
            .values_list("id", "hit")
        ),
    )

    # Joins.
    await take(
        "visits by phone",
        lambda: rows(
            Visit.filter(customer__phone=ROWS[0][2]).order_by("id").values_list("remark", "customer__phone")
        ),
    )

    async def related(query):
        return [(visit.remark, visit.customer.phone) for visit in await query.order_by("id")]

    await take("select_related", lambda: related(Visit.all().select_related("customer")))
    await take("prefetch_related", lambda: related(Visit.all().prefetch_related("customer")))

    async def prefetched():
        found = await Customer.filter(phone=ROWS[0][2]).prefetch_related("visits")
        return [(customer.phone, sorted(visit.remark for visit in customer.visits)) for customer in found]

    await take("prefetched visits", prefetched)
    await take(
        "sub-query",
        lambda: rows(
            Visit.filter(customer_id__in=Subquery(Customer.filter(phone=ROWS[2][2]).values("id")))
            .order_by("id")
            .values_list("remark", "id")
        ),
    )

    # What cannot be told of encrypted values.
    await take("contains", lambda: listed(Customer.filter(phone__contains="600")))
    await take("startswith", lambda: listed(Customer.filter(phone__startswith="+34")))
    await take("iexact", lambda: listed(Customer.filter(phone__iexact=ROWS[2][2])))
    await take("greater", lambda: listed(Customer.filter(phone__gt="+34")))
    await take(
        "ordered by phone", lambda: rows(Customer.filter(id__lte=3).order_by("phone").values_list("id", "phone"))
    )
    await take(
        "upper case", lambda: rows(Customer.annotate(u=Upper("address")).order_by("id").values_list("id", "u"))
    )
    await take(
        "coalesce",
        lambda: rows(Customer.annotate(c=Coalesce("phone", "none")).order_by("id").values_list("id", "c")),
    )
    await take("largest", lambda: Customer.filter(id__lte=3).annotate(m=Max("phone")).values("m"))

    async def in_order(query):
        return sorted(await rows(query))

    await take("distinct phones", lambda: in_order(Customer.filter(id__lte=3).distinct().values_list("phone")))
    await take(
        "phones with counts",
        lambda: in_order(
            Customer.filter(id__lte=3).annotate(n=Count("id")).group_by("phone").values_list("phone", "n")
        ),
    )

    # Changing.
    async def change():
        ana = await Customer.get(id=1)
        ana.phone, ana.address = "+34 699 999 999", None
        await ana.save()
        await ana.refresh_from_db()
        return values(ana)

    async def some_fields():
        ana = await Customer.get(id=1)
        ana.note = "moved"
        await ana.save(update_fields=["note"])
        return values(await Customer.get(id=1))

    await take("save", change)
    await take("save of some fields", some_fields)
    await take("update", lambda: Customer.filter(phone="+34 699 999 999").update(phone="+34 688 888 888"))
    await take("after update", lambda: one(Customer.get(phone="+34 688 888 888")))

    async def made(*calls):
        return [(values(found), fresh) for found, fresh in [await call for call in calls]]

    await take(
        "get_or_create",
        lambda: made(
            Customer.get_or_create({"id": 60}, phone=ROWS[2][2]),
            Customer.get_or_create({"id": 6, "name": "London"}, phone="+44 20 7946 0000"),
        ),
    )
    await take(
        "update_or_create",
        lambda: made(
            Customer.update_or_create({"phone": "+44 20 7946 0001"}, id=6),
            Customer.update_or_create({"phone": "+44 20 7946 0002", "name": "new"}, id=7),
        ),
    )

    async def upsert():
        await Customer.bulk_create(
            [
                Customer(id=7, name="again", phone="+44 20 7946 0003"),
                Customer(id=8, phone="+44 20 7946 0004", note="😀"),
            ],
            update_fields=["name", "phone", "note"],
            on_conflict=["id"],
        )

    async def ignored():
        await Customer.bulk_create([Customer(id=7, phone="not"), Customer(id=9, phone="")], ignore_conflicts=True)

    # It is written with a row alias, which MariaDB does not have.
    await take("upsert", upsert)
    await take("ignored", ignored)
    await take("after the upserts", lambda: listed(Customer.filter(id__gte=6)))

    async def bulk_update():
        found = await Customer.filter(id__lte=3).order_by("id")
        for number, customer in enumerate(found):
            customer.phone = f"+34 611 000 00{number}"
        return [await Customer.bulk_update(found, ["phone"]), await listed(Customer.filter(id__lte=3))]

    async def created():
        return [values(await Customer.create(id=20, phone="+34 622 000 000")), await Customer.all().count()]

    async def counts():
        return [await Customer.filter(phone="+34 622 000 000").count(), await Customer.all().count()]

    await take("bulk_update", lambda: tentatively(bulk_update))
    await take("rolled back", lambda: tentatively(created))
    await take("after the rollback", counts)
    await take(
        "locked", lambda: tentatively(lambda: listed(Customer.filter(phone=ROWS[2][2]).select_for_update()))
    )

    # Deleting.
    async def delete_one():
        await (await Customer.get(phone=ROWS[2][2])).delete()
        return await Customer.all().count()

    await take("delete one", delete_one)
    await take("delete some", lambda: Customer.filter(phone__in=["+34 688 888 888", "+44 20 7946 0003"]).delete())
    await take("what is left", lambda: listed(Customer.all()))


async def both(plain: Endpoint, subject: Endpoint, subject_is_plain: bool):
    runs = []
    for to, protected in ((plain, False), (subject, not subject_is_plain)):
        config = {
            "connections": {"default": database(to)},
            "apps": {"story": {"models": ["orm_tortoise"], "default_connection": "default"}},
        }
        await Tortoise.init(config=config)
        connection = connections.get("default")
        if protected:
            await connection.execute_query("DELETE FROM customers")
        else:
            await connection.execute_query("DROP TABLE IF EXISTS customers")
        await connection.execute_query("DROP TABLE IF EXISTS tortoise_visits")
        # Tortoise's own DDL; through the proxy, the protected table is there. Several statements in one command are
        # refused, so they are sent one by one.
        for statement in get_schema_sql(connection, safe=True).split(";"):
            if statement.strip():
                await connection.execute_query(statement)
        steps = Steps(protected)
        await run(steps)
        runs.append(steps.taken)
        await connections.close_all()
    return runs


def story(plain: Endpoint, subject: Endpoint, subject_is_plain: bool):
    """Both runs."""
    return asyncio.run(both(plain, subject, subject_is_plain))
