#!/usr/bin/env python3
"""Runs orm_model.py directly on a plain table and through the proxy on the protected one, and compares.

Values, their Python types and the metadata of result columns must be the same, with each of
SQLAlchemy's drivers for MySQL. The plain table is made here, in CANDADO_DATABASE with `_plain` added
to its name; the protected one is expected in CANDADO_DATABASE. With --plain both sides are direct.
"""

# Loads the connector before all that use TLS.
import drivers  # isort: skip

import argparse
import asyncio
import sys
from dataclasses import replace

from sqlalchemy import URL, create_engine, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import orm_model
import settings

BLOCKING = ["mysql+pymysql", "mysql+mysqldb", "mysql+mysqlconnector"]
ASYNCHRONOUS = ["mysql+aiomysql", "mysql+asyncmy"]


def url(dialect: str, to: settings.Endpoint) -> URL:
    return URL.create(dialect, to.user, to.password, to.host, to.port, to.database, {"charset": "utf8mb4"})


def connect_args(dialect: str, to: settings.Endpoint) -> dict:
    """What a driver needs to use TLS, or not to."""
    if dialect == "mysql+mysqldb":
        return {"ssl": {"ca": to.ca}} if to.ca else {}
    if dialect == "mysql+mysqlconnector":
        return {"ssl_ca": to.ca, "ssl_verify_cert": True} if to.ca else {"ssl_disabled": True}
    return {"ssl": drivers.tls_context(to.ca)} if to.ca else {}


def typed(value):
    """A value with its Python types all the way down, for comparison."""
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [typed(item) for item in value])
    return (type(value).__name__, value)


def metadata(session: Session):
    """What drivers say about the columns of a result."""
    result = session.execute(text("SELECT id, name, phone, address AS home, note FROM customers"))
    description = result.cursor.description
    result.close()
    # The type code and whether the column may be NULL are the server's; sizes differ between drivers only.
    return [tuple(column) for column in description]


def steps(session: Session) -> list[tuple]:
    session.execute(delete(orm_model.Customer))
    session.commit()
    found = [(name, typed(outcome)) for name, outcome in orm_model.story(session)]
    found.append(("metadata", metadata(session)))
    return found


def another_notation(session: Session) -> list:
    """Customers whose number is looked up as people write it."""
    session.execute(delete(orm_model.Customer))
    session.add(orm_model.Customer(id=1, phone="+34 600 000 001"))
    session.commit()
    found = session.scalars(select(orm_model.Customer.id).where(orm_model.Customer.phone == "600-000-001"))
    return found.all()


def run(dialect: str, to: settings.Endpoint) -> list[tuple]:
    if dialect in ASYNCHRONOUS:
        return asyncio.run(run_async(dialect, to))
    engine = create_engine(url(dialect, to), connect_args=connect_args(dialect, to))
    with Session(engine) as session:
        found = steps(session)
    engine.dispose()
    return found


async def run_async(dialect: str, to: settings.Endpoint) -> list[tuple]:
    engine = create_async_engine(url(dialect, to), connect_args=connect_args(dialect, to))
    async with AsyncSession(engine) as session:
        found = await session.run_sync(steps)
    await engine.dispose()
    return found


def make_table(database: str) -> None:
    """An empty plain table in a database that the application's account may use."""
    client = drivers.PyMySQL(settings.administrator())
    client.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    user = settings.application(plain=True).user
    hosts = client.query("SELECT Host FROM mysql.user WHERE User = %s", (user,))
    for (host,) in hosts:
        client.execute(f"GRANT ALL ON `{database}`.* TO %s@%s", (user, host))
    client.close()
    to = replace(settings.administrator(), database=database)
    engine = create_engine(url("mysql+pymysql", to))
    orm_model.Base.metadata.drop_all(engine)
    orm_model.Base.metadata.create_all(engine)
    engine.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", action="store_true", help="compare the server with itself")
    plain = parser.parse_args().plain
    reference = replace(settings.application(plain=True), database=settings.administrator().database + "_plain")
    make_table(reference.database)
    subject = settings.application(plain)
    if plain:
        make_table(subject.database)

    failed = 0
    for dialect in BLOCKING + ASYNCHRONOUS:
        expected, found = run(dialect, reference), run(dialect, subject)
        different = [(e, f) for e, f in zip(expected, found, strict=True) if e != f]
        print(f"{dialect}: {len(expected)} steps, {len(different)} different")
        for (name, before), (_, after) in different:
            print(f"  {name}\n    direct: {before}\n    proxy:  {after}")
        failed += len(different)
    if not plain:
        engine = create_engine(url("mysql+pymysql", subject), connect_args=connect_args("mysql+pymysql", subject))
        with Session(engine) as session:
            found = another_notation(session)
        engine.dispose()
        print(f"another notation of a number finds {found}")
        failed += found != [1]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
