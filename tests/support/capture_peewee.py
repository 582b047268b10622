"""What Peewee says to a server: its documented features, one after the other. See capture.sh."""

import datetime
import sys

from peewee import (
    JOIN,
    SQL,
    BooleanField,
    Case,
    CharField,
    DateTimeField,
    DecimalField,
    ForeignKeyField,
    IntegerField,
    Model,
    MySQLDatabase,
    TextField,
    fn,
    prefetch,
)
from playhouse.migrate import MySQLMigrator, migrate
from playhouse.reflection import Introspector

database = MySQLDatabase("peewee_test", host="127.0.0.1", port=int(sys.argv[1]), user="root")


class Base(Model):
    class Meta:
        database = database


class User(Base):
    name = CharField(unique=True)
    active = BooleanField(default=True)
    joined = DateTimeField(default=datetime.datetime.now)


class Tweet(Base):
    user = ForeignKeyField(User, backref="tweets", on_delete="CASCADE")
    parent = ForeignKeyField("self", null=True)
    content = TextField()
    likes = IntegerField(default=0)
    price = DecimalField(null=True)

    class Meta:
        indexes = ((("user", "likes"), False),)


database.create_tables([User, Tweet])
ann, bob = User.create(name="ann"), User.create(name="o'brien -- 1")
Tweet.insert_many([{"user": ann, "content": f"t{n} OR 1=1", "likes": n} for n in range(9)]).execute()
User.insert(name="ann").on_conflict(update={User.active: False}).execute()
User.insert(name="ann").on_conflict_ignore().execute()
User.replace(name="cleo").execute()
User.get_or_create(name="dora")
Tweet.update(likes=Tweet.likes + 1).where(Tweet.likes < 3).execute()
Tweet.update(likes=0).where(Tweet.user.in_(User.select().where(User.name == "nobody"))).execute()
queries = [
    User.select().where((User.name == "ann") | (User.active == True)),  # noqa: E712
    User.select().where(User.id << []),
    User.select().where(User.id.not_in([])),
    User.select().where(User.active, User.id.not_in([])),
    User.select().where(User.name ** "%an%", User.name.contains("%_"), User.name.startswith("a")),
    User.select().where(User.name.regexp("^a"), User.name.iregexp("B$"), User.joined.is_null(False)),
    User.select().where(~(User.active)),
    User.select(User, fn.COUNT(Tweet.id).alias("n")).join(Tweet, JOIN.LEFT_OUTER).group_by(User).having(fn.COUNT(Tweet.id) > 1),
    Tweet.select(Tweet.likes, fn.SUM(Tweet.likes).over(partition_by=[Tweet.user], order_by=[Tweet.id])),
    Tweet.select(Case(Tweet.likes, [(1, "one"), (2, "two")], "many")),
    Tweet.select(Case(None, [(Tweet.likes < 3, "few")], "many")).order_by(SQL("1"), Tweet.id.desc()).paginate(2, 3),
    User.select(User.name).where(User.id == 1) | User.select(User.name).where(User.id == 2),
    User.select(User.id, User.name).union_all(User.select(User.id, fn.LOWER(User.name))),
    User.select().where(fn.EXISTS(Tweet.select().where(Tweet.user == User.id))),
    User.select().where(fn.SUBSTR(fn.LOWER(User.name), 1, 1) == "a").distinct(),
    User.select().where(User.joined.year == 2026, User.joined.month.between(1, 12)),
    User.select(fn.CONCAT(User.name, " ", fn.IFNULL(User.active, 0)), fn.DATE_FORMAT(User.joined, "%Y")).order_by(fn.RAND()),
    Tweet.select().join(User).switch(Tweet).join(Tweet.alias(), on=(Tweet.parent == Tweet.alias().id)).for_update(),
]
for query in queries:
    try:
        print(len(list(query.dicts())))
    except Exception as error:
        print("failed", error)
        database.rollback()
prefetch(User.select(), Tweet.select())
cte = User.select(User.id, User.name).where(User.id > 0).cte("u")
print(len(list(cte.select_from(cte.c.name))))
print(User.select().count(), User.select().exists(), Tweet.select(fn.AVG(Tweet.likes)).scalar())
with database.atomic():
    with database.atomic():
        Tweet.delete().where(Tweet.user == ann).execute()
        ann.delete_instance()
migrator = MySQLMigrator(database)
migrate(migrator.add_column("user", "city", CharField(default="")), migrator.add_index("user", ("city",)))
Introspector.from_database(database).generate_models()
print(database.get_tables(), database.get_indexes("user"), database.get_columns("user"), database.get_foreign_keys("tweet"))
database.execute_sql("DELETE FROM tweet")
