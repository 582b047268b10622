"""Django's ORM: a model, and what an application does with it.

Nothing here knows of encryption but the list of what may be refused.
"""

import django
from django.conf import settings as django_settings
from django.db import connections, models, transaction

from settings import Endpoint
from story import ANOTHER_NOTATION, ROWS, Steps, values

TITLE = "Django"
# Wildcards, order, and functions over a value need what a blind index cannot tell.
MAY_BE_REFUSED = {
    "contains",
    "startswith",
    "icontains",
    "regex",
    "ordered by phone",
    "greater",
    "upper case",
    "largest",
    "distinct phones",
    "phones with counts",
    "bulk_update",
    "delete by a joined phone",
    "null as a word",
    "coalesce",
}


def database(to: Endpoint) -> dict:
    tls = {"ssl": {"ca": to.ca}} if to.ca else {}
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": to.host,
        "PORT": to.port,
        "USER": to.user,
        "PASSWORD": to.password,
        "NAME": to.database,
        "OPTIONS": {"charset": "utf8mb4", **tls},
        "TIME_ZONE": None,
        "CONN_MAX_AGE": None,
    }


def configure(plain: Endpoint, subject: Endpoint) -> None:
    """Both databases of the process."""
    django_settings.configure(
        DATABASES={"default": database(plain), "plain": database(plain), "subject": database(subject)},
        INSTALLED_APPS=["orm_django"],
        USE_TZ=False,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()


def define_models():
    """Models can be defined when Django is set up."""

    class Customer(models.Model):
        id = models.IntegerField(primary_key=True)
        name = models.CharField(max_length=100, null=True)
        phone = models.CharField(max_length=40, null=True, db_index=True)
        address = models.CharField(max_length=255, null=True)
        note = models.TextField(null=True)

        class Meta:
            app_label = "orm_django"
            db_table = "customers"

    class Visit(models.Model):
        customer = models.ForeignKey(Customer, models.CASCADE, db_constraint=False, related_name="visits")
        remark = models.CharField(max_length=100)

        class Meta:
            app_label = "orm_django"
            db_table = "django_visits"

    return Customer, Visit


def make_tables(alias: str, made: list, kept: list) -> None:
    """Django's own DDL. Tables in `kept` are there already and are emptied."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
    with connection.schema_editor() as editor:
        for model in made:
            if model._meta.db_table in there:
                editor.delete_model(model)
            editor.create_model(model)
    for model in kept:
        model.objects.using(alias).all().delete()


def run(alias: str, steps: Steps, customer, visit) -> None:
    """The story on one database."""
    using = customer.objects.using(alias)
    visits = visit.objects.using(alias)
    listed = lambda query: [values(found) for found in query.order_by("id")]

    # Writing.
    first, *others = [dict(zip(("id", "name", "phone", "address", "note"), row)) for row in ROWS]
    steps.take("create", lambda: values(using.create(**first)))
    steps.take("bulk_create", lambda: len(using.bulk_create([customer(**row) for row in others])))
    steps.take("all", lambda: listed(using.all()))
    steps.take(
        "visits",
        lambda: len(visits.bulk_create([visit(customer_id=key, remark=f"visit {key}") for key in (1, 1, 3, 4)])),
    )

    # Searching.
    steps.take("get", lambda: values(using.get(phone=ROWS[0][2])))
    steps.take(
        "by another notation", lambda: values(using.get(phone=ANOTHER_NOTATION if steps.protected else ROWS[0][2]))
    )
    steps.take("by unknown phone", lambda: listed(using.filter(phone="+1 555 0100")))
    steps.take("in", lambda: listed(using.filter(phone__in=[ROWS[0][2], ROWS[2][2], "nobody's"])))
    steps.take("exclude", lambda: listed(using.exclude(phone=ROWS[0][2])))
    steps.take("exclude in", lambda: listed(using.exclude(phone__in=[ROWS[0][2], ""])))
    steps.take("iexact", lambda: listed(using.filter(phone__iexact=ROWS[2][2])))
    steps.take("isnull", lambda: listed(using.filter(phone__isnull=True)))
    steps.take("null as a word", lambda: listed(using.filter(phone=models.Value(None))))
    steps.take("empty", lambda: listed(using.filter(phone="")))
    steps.take("or", lambda: listed(using.filter(models.Q(phone=ROWS[0][2]) | models.Q(name="Nobody"))))
    steps.take("not", lambda: listed(using.filter(~models.Q(phone=ROWS[0][2]), phone__isnull=False)))
    steps.take("exists", lambda: using.filter(phone=ROWS[0][2]).exists())
    steps.take("count", lambda: using.filter(phone=ROWS[0][2]).count())
    steps.take(
        "first and last",
        lambda: [values(using.filter(phone=ROWS[0][2]).first()), values(using.order_by("id").last())],
    )
    steps.take("slice", lambda: [values(found) for found in using.order_by("id")[1:3]])
    steps.take("values", lambda: list(using.order_by("id").values("id", "phone", "note")))
    steps.take("values_list", lambda: list(using.order_by("id").values_list("phone", flat=True)))
    steps.take("only", lambda: [found.phone for found in using.only("phone").order_by("id")])
    steps.take("in_bulk", lambda: sorted((key, values(found)) for key, found in using.in_bulk([1, 3]).items()))
    steps.take("iterator", lambda: [values(found) for found in using.order_by("id").iterator(chunk_size=2)])
    steps.take(
        "annotated",
        lambda: [
            (found.id, found.visit_count)
            for found in using.annotate(visit_count=models.Count("visits"))
            .filter(phone__isnull=False)
            .order_by("id")
            .only("id")
        ],
    )
    steps.take("aggregate", lambda: using.aggregate(models.Count("phone")))
    steps.take(
        "conditional",
        lambda: list(
            using.annotate(
                hit=models.Case(
                    models.When(phone=ROWS[0][2], then=models.Value("yes")), default=models.Value("no")
                )
            )
            .order_by("id")
            .values_list("id", "hit")
        ),
    )
    steps.take(
        "union all",
        lambda: sorted(
            using.filter(id=1)
            .values_list("id", "phone")
            .union(using.filter(id=3).values_list("id", "phone"), all=True)
        ),
    )

    # Joins.
    steps.take(
        "visits by phone",
        lambda: sorted(visits.filter(customer__phone=ROWS[0][2]).values_list("remark", "customer__phone")),
    )
    steps.take(
        "select_related",
        lambda: [
            (found.remark, found.customer.phone) for found in visits.select_related("customer").order_by("id")
        ],
    )
    steps.take(
        "prefetch_related",
        lambda: [
            (found.phone, sorted(one.remark for one in found.visits.all()))
            for found in using.prefetch_related("visits").order_by("id")
        ],
    )
    steps.take(
        "sub-query",
        lambda: sorted(
            visits.filter(customer__in=using.filter(phone=ROWS[2][2])).values_list("remark", flat=True)
        ),
    )
    steps.take(
        "Exists",
        lambda: listed(
            using.filter(models.Exists(visits.filter(customer=models.OuterRef("pk"))), phone=ROWS[0][2])
        ),
    )
    steps.take(
        "scalar sub-query",
        lambda: list(
            visits.order_by("id")
            .annotate(tel=models.Subquery(using.filter(pk=models.OuterRef("customer_id")).values("phone")[:1]))
            .values_list("remark", "tel")
        ),
    )

    # What cannot be told of encrypted values.
    steps.take("contains", lambda: listed(using.filter(phone__contains="600")))
    steps.take("icontains", lambda: listed(using.filter(phone__icontains="600")))
    steps.take("startswith", lambda: listed(using.filter(phone__startswith="+34")))
    steps.take("regex", lambda: listed(using.filter(phone__regex="^.34")))
    steps.take("greater", lambda: listed(using.filter(phone__gt="+34")))
    steps.take("ordered by phone", lambda: [values(found) for found in using.filter(id__lte=3).order_by("phone")])
    steps.take(
        "upper case",
        lambda: list(
            using.annotate(u=models.functions.Upper("address")).order_by("id").values_list("u", flat=True)
        ),
    )
    steps.take(
        "coalesce",
        lambda: list(
            using.annotate(c=models.functions.Coalesce("phone", "address"))
            .order_by("id")
            .values_list("c", flat=True)
        ),
    )
    steps.take("largest", lambda: using.filter(id__lte=3).aggregate(models.Max("phone")))
    steps.take(
        "distinct phones", lambda: sorted(using.filter(id__lte=3).values_list("phone", flat=True).distinct())
    )
    steps.take(
        "phones with counts",
        lambda: sorted(using.filter(id__lte=3).values_list("phone").annotate(models.Count("id"))),
    )

    # Changing.
    def change():
        ana = using.get(pk=1)
        ana.phone, ana.address = "+34 699 999 999", None
        ana.save()
        ana.refresh_from_db(using=alias)
        return values(ana)

    steps.take("save", change)
    steps.take(
        "update", lambda: using.filter(phone="+34 699 999 999").update(note="moved", phone="+34 688 888 888")
    )
    steps.take("after update", lambda: values(using.get(phone="+34 688 888 888")))
    steps.take(
        "get_or_create",
        lambda: [
            (values(found), made)
            for found, made in (
                using.get_or_create(phone=ROWS[2][2], defaults={"id": 60, "name": "never"}),
                using.get_or_create(phone="+44 20 7946 0000", defaults={"id": 6, "name": "London"}),
            )
        ],
    )
    steps.take(
        "update_or_create",
        lambda: [
            (values(found), made)
            for found, made in (
                using.update_or_create(id=6, defaults={"phone": "+44 20 7946 0001", "note": "changed"}),
                using.update_or_create(id=7, defaults={"phone": "+44 20 7946 0002", "name": "new"}),
            )
        ],
    )
    steps.take(
        "upsert",
        lambda: len(
            using.bulk_create(
                [
                    customer(id=7, name="again", phone="+44 20 7946 0003"),
                    customer(id=8, name="eight", phone="+44 20 7946 0004", note="😀"),
                ],
                update_conflicts=True,
                update_fields=["name", "phone", "note"],
            )
        ),
    )
    steps.take(
        "ignored",
        lambda: len(
            using.bulk_create([customer(id=8, name="not"), customer(id=9, phone="")], ignore_conflicts=True)
        ),
    )
    steps.take("after the upserts", lambda: listed(using.filter(id__gte=6)))

    def tentatively(step):
        """In a transaction that is rolled back."""
        with transaction.atomic(using=alias):
            outcome = step()
            transaction.set_rollback(True, using=alias)
        return outcome

    def bulk_update():
        found = list(using.filter(id__in=[1, 2, 3]).order_by("id"))
        for number, one in enumerate(found):
            one.phone = f"+34 611 000 00{number}"
        return [using.bulk_update(found, ["phone"]), listed(using.filter(id__lte=3))]

    steps.take("bulk_update", lambda: tentatively(bulk_update))
    steps.take(
        "delete by a joined phone",
        lambda: tentatively(lambda: [visits.filter(customer__phone=ROWS[2][2]).delete()[0], visits.count()]),
    )
    steps.take(
        "rolled back",
        lambda: tentatively(lambda: [values(using.create(id=20, phone="+34 622 000 000")), using.count()]),
    )
    steps.take("after the rollback", lambda: [using.filter(phone="+34 622 000 000").count(), using.count()])
    steps.take("locked", lambda: tentatively(lambda: listed(using.select_for_update().filter(phone=ROWS[2][2]))))

    # Deleting.
    steps.take("delete one", lambda: using.get(phone=ROWS[2][2]).delete())
    steps.take("delete some", lambda: using.filter(phone__in=["+34 688 888 888", "+44 20 7946 0003"]).delete())
    steps.take("what is left", lambda: listed(using.all()))


def story(plain: Endpoint, subject: Endpoint, subject_is_plain: bool):
    """Both runs."""
    configure(plain, subject)
    customer, visit = define_models()
    make_tables("plain", [customer, visit], [])
    if subject_is_plain:
        make_tables("subject", [customer, visit], [])
    else:
        # The operator made the protected table. That of visits is made through the proxy.
        make_tables("subject", [visit], [customer])
    runs = []
    for alias, protected in (("plain", False), ("subject", not subject_is_plain)):
        steps = Steps(protected)
        run(alias, steps, customer, visit)
        connections[alias].close()
        runs.append(steps.taken)
    return runs
