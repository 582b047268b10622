#!/usr/bin/env python3
"""Runs the story of each ORM directly on plain tables and through the proxy on the protected one, and compares.

The plain tables are made here by each ORM's own DDL, in CANDADO_DATABASE with `_plain` added to its
name; the protected one is expected in CANDADO_DATABASE. With --plain both sides are direct, the second
in a database with `_second` added. SQLAlchemy has a program of its own, orm_same.py.
"""

# Loads the connector before all that use TLS.
import drivers  # isort: skip

import argparse
import importlib
import sys
from dataclasses import replace

import settings
import story

ORMS = ["orm_django", "orm_peewee", "orm_tortoise"]


def make_database(name: str) -> None:
    """An empty database that the application's account may use."""
    client = drivers.PyMySQL(settings.administrator())
    client.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
    user = settings.application(plain=True).user
    for (host,) in client.query("SELECT Host FROM mysql.user WHERE User = %s", (user,)):
        client.execute(f"GRANT ALL ON `{name}`.* TO %s@%s", (user, host))
    client.execute(f"DROP TABLE IF EXISTS `{name}`.customers")
    client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", action="store_true", help="compare the server with itself")
    plain = parser.parse_args().plain
    name = settings.administrator().database
    reference = replace(settings.application(plain=True), database=f"{name}_plain")
    subject = settings.application(plain)
    make_database(reference.database)
    if plain:
        subject = replace(subject, database=f"{name}_second")
        make_database(subject.database)
    failed = 0
    for module in map(importlib.import_module, ORMS):
        expected, found = module.story(reference, subject, plain)
        failed += story.compare(
            module.TITLE, expected, found, module.MAY_BE_REFUSED, getattr(module, "MAY_FAIL", set())
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
