#!/usr/bin/env python3
"""Measures what showing costs, and puts the record of accesses through a long mixed run.

cost   A 1,000-row x 3-column result, opened, masked, and opened with the access recorded in the modes fast and strict,
       by five proxies in interleaved rounds: microseconds of the proxy's processor per row, and the client's time per
       query.
mixed  Backend, support and reporting at two proxies, one strict and one fast, for MINUTES; the proxies are ended and
       killed meanwhile. Then the record: it must verify, hold every statement that the clients saw an answer of, and
       show every record that is flipped, dropped, swapped or cut off afterwards.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pymysql

from stand import TREE, Stand, cpu_seconds

PASSWORD = "secret"
ROWS = 50_000
POLICY = """keysets = ["contact"]
[[column]]
name = "shop.customers.name"
keyset = "contact"
type = "varchar(60)"
mask = { kind = "first", shown = 1 }
[[column]]
name = "shop.customers.phone"
keyset = "contact"
type = "varchar(24)"
index = { normaliser = "e164", region = "JP" }
mask = "phone"
[[column]]
name = "shop.customers.address"
keyset = "contact"
type = "varchar(120)"
mask = { kind = "address", keep = "city" }
[role.application]
access = "plain"
[role.reporting]
access = "masked"
[[account]]
user = "backend"
role = "application"
[[account]]
user = "support"
role = "application"
[[account]]
user = "reporting"
role = "reporting"
"""
ACCOUNTS = ["backend", "support", "reporting"]
COLUMNS = "id, name, phone, address"


def phone(row):
    return f"+8190{10000000 + row}"


class Shop(Stand):
    """A table of sealed customers and three accounts."""

    def __init__(self, options):
        super().__init__(options.candado)
        self.options = options
        self.prepare(POLICY, "".join(
            f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON shop.* TO {name}@'%';" for name in ACCOUNTS
        ) + "CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARBINARY(320), phone VARBINARY(192),"
            " address VARBINARY(560), note VARCHAR(60), KEY (phone(23)));")

    def audited(self, name, mode, sync, octets_max=268_435_456):
        """Configures a proxy that records accesses; returns the record's folder."""
        records = self.folder / f"records-{name}"
        records.mkdir()
        key = self.folder / f"{name}.key"
        self.candado("audit", "access-key", "--name", name, "--output", str(key), *self.account("candado_security"))
        self.configure(name, (
            f'[audit]\nmode = "{mode}"\nkey_file = "{key}"\n'
            f'file = {{ path = "{records / "accesses.log"}", sync = "{sync}", octets_max = {octets_max} }}\n'
        ))
        return records

    def client(self, proxy, name):
        return self.connect(proxy.port, name, PASSWORD)

    def fill(self, proxy):
        with self.client(proxy, "backend") as connection, connection.cursor() as cursor:
            for first in range(1, ROWS + 1, 500):
                rows = ",".join(
                    f"({i},'Hanako {i:05d} Customer','{phone(i)}','{i} Chome 4-2-8 Shibakoen, Minato-ku, Tokyo','n{i}')"
                    for i in range(first, first + 500)
                )
                cursor.execute(f"INSERT INTO customers (id, name, phone, address, note) VALUES {rows}")


def cost(options):
    """Prints what a row costs at each proxy."""
    shop = Shop(options)
    try:
        shop.audited("fast", "fast", "system")
        shop.audited("strict", "strict", "system")
        shop.audited("strict-disk", "strict", "always")
        plain = shop.serve()
        shop.fill(plain)
        arms = {
            "opened": (plain, "backend"),
            "masked": (plain, "reporting"),
            **{name: (shop.serve(name), "backend") for name in ("fast", "strict", "strict-disk")},
        }
        figures = {name: [] for name in arms}
        for number in range(options.rounds + 1):
            for name, (proxy, account) in arms.items():
                figure = run(shop, proxy, account, options.queries)
                # The first round warms plans, keys and the server's pages.
                if number:
                    figures[name].append(figure)
        report(figures, options)
    finally:
        shop.end()


def run(shop, proxy, account, queries):
    """One arm's run: the proxy's microseconds per row, and the client's milliseconds per query."""
    pick = random.Random(7)
    with shop.client(proxy, account) as connection, connection.cursor() as cursor:
        before, began, rows = cpu_seconds(proxy.process.pid), time.monotonic(), 0
        for _ in range(queries):
            first = pick.randint(1, ROWS - 1_000)
            rows += cursor.execute(f"SELECT {COLUMNS} FROM customers WHERE id >= {first} LIMIT 1000")
        spent, took = cpu_seconds(proxy.process.pid) - before, time.monotonic() - began
    return spent / rows * 1e6, took / queries * 1e3


def report(figures, options):
    print(f"{options.rounds} rounds of {options.queries} queries, 1,000 rows x 3 protected columns; median (min to max)\n")
    print(f"{'':<12} {'processor, us/row':>24} {'over opened':>12} {'ms/query':>24}")
    base = statistics.median(cpu for cpu, _ in figures["opened"])
    for name, runs in figures.items():
        cells = [f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in zip(*runs)]
        over = statistics.median(cpu for cpu, _ in runs) - base
        print(f"{name:<12} {cells[0]:>24} {over:>+12.2f} {cells[1]:>24}")


class Caller(threading.Thread):
    """One account at one proxy: sends its statements in its rate until it is told to stop, and counts the answers that
    showed protected cells."""

    def __init__(self, shop, proxies, config, account, rate, stop):
        super().__init__(daemon=True)
        self.shop, self.proxies, self.config, self.account = shop, proxies, config, account
        self.pause, self.stop = 1 / rate, stop
        self.pick = random.Random(f"{config} {account}")
        self.shown = self.other = self.cut = 0
        self.refused = []

    def run(self):
        connection = None
        while not self.stop.wait(self.pause):
            try:
                connection = connection or self.shop.client(self.proxies[self.config], self.account)
                self.statement(connection)
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError):
                # The proxy was ended or killed under it.
                self.cut += 1
                connection = None
            except pymysql.Error as error:
                self.refused.append(str(error))

    def statement(self, connection):
        row = self.pick.randint(1, ROWS)
        with connection.cursor() as cursor:
            if self.account == "reporting":
                return self.show(cursor, f"SELECT {COLUMNS} FROM customers WHERE id >= {row} LIMIT 50")
            if self.account == "support":
                return self.show(cursor, f"SELECT {COLUMNS} FROM customers WHERE phone = '{phone(row)}'")
            kind = self.pick.random()
            if kind < 0.6:
                return self.show(cursor, f"SELECT {COLUMNS} FROM customers WHERE id = {row}")
            if kind < 0.8:
                cursor.execute(f"UPDATE customers SET address = '{row} Other Street, Naka-ku, Nagoya' WHERE id = {row}")
            else:
                cursor.execute(f"SELECT id, note FROM customers WHERE id = {row}")
            self.other += 1

    def show(self, cursor, statement):
        if cursor.execute(statement):
            self.shown += 1
        else:
            self.other += 1


def mixed(options):
    """The long run, and the proof of its record."""
    shop = Shop(options)
    try:
        records = {
            "strict": shop.audited("strict", "strict", "system", options.segment),
            "fast": shop.audited("fast", "fast", "system", options.segment),
        }
        plain = shop.serve()
        shop.fill(plain)
        proxies = {name: shop.serve(name) for name in records}
        stop = threading.Event()
        callers = [Caller(shop, proxies, name, account, options.rate, stop) for name in records for account in ACCOUNTS]
        for caller in callers:
            caller.start()
        ends, kills = live(shop, proxies, options)
        stop.set()
        for caller in callers:
            caller.join()
        for proxy in proxies.values():
            proxy.end()
        print(f"{options.minutes} minutes, {ends} ends in order, {kills} kills")
        for name, folder in records.items():
            prove(shop, name, folder, [caller for caller in callers if caller.config == name], options)
    finally:
        shop.end()


def live(shop, proxies, options):
    """Ends and kills the proxies in turns until the time is over; returns how often of each."""
    over, turns = time.monotonic() + options.minutes * 60, 0
    while (left := over - time.monotonic()) > 0:
        time.sleep(min(left, options.turn * 60))
        if time.monotonic() < over:
            name = list(proxies)[turns % 2]
            proxies[name].end(kill=turns % 4 >= 2)
            proxies[name] = shop.serve(name)
            turns += 1
    return sum(1 for turn in range(turns) if turn % 4 < 2), sum(1 for turn in range(turns) if turn % 4 >= 2)


def segments(folder):
    """The record's files, oldest first."""
    return sorted(folder.glob("accesses.log.*")) + [folder / "accesses.log"]


def verify(shop, name, files):
    """The exit code of verification, and its document."""
    done = shop.candado("audit", "verify", "--json", *shop.account("candado_auditor"), *map(str, files), check=False, config=name)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def prove(shop, name, folder, callers, options):
    files = segments(folder)
    octets = sum(file.stat().st_size for file in files)
    code, document = verify(shop, name, files)
    if code != 0:
        sys.exit(f"{name}: verification ended with {code}: {document}")
    print(f"\n{name}: {len(files)} files, {octets / 1e6:.1f} MB, verified: {document.get('accesses')} accesses")
    for caller in callers:
        done = subprocess.run(
            [shop.binary, "audit", "search", *map(str, files), "--account", caller.account,
             "--limit", "1000000000", "--json"],
            check=True, capture_output=True, text=True,
        )
        found = len(json.loads(done.stdout)["accesses"])
        print(f"  {caller.account}: {caller.shown} answers with protected cells, {found} records; {caller.other} other"
              f" statements, {caller.cut} cut off, {len(caller.refused)} refused {caller.refused[:1]}")
        # A statement that was cut off may have a record and no answer. In mode fast a kill may lose the newest records.
        least = caller.shown if name == "strict" else caller.shown - options.queue_lost
        if not least <= found <= caller.shown + caller.cut:
            sys.exit(f"{name}: {caller.account} has {found} records of {caller.shown} answers")
    print("  " + ", ".join(f"{kind} {tamper(shop, name, files, kind, options.tampers)} of {options.tampers} found"
                           for kind in ("flip", "drop", "swap", "cut")))


def tamper(shop, name, files, kind, times):
    """Harms a copy of the record so often; returns how often verification found it."""
    found, pick = 0, random.Random(kind)
    copy = shop.folder / "copy"
    for _ in range(times):
        shutil.copytree(files[0].parent, copy)
        copies = segments(copy)
        victim = copies[-1] if kind == "cut" else pick.choice(copies)
        lines = victim.read_bytes().splitlines(keepends=True)
        at = pick.randrange(len(lines) - 1)
        if kind == "flip":
            place = pick.randrange(len(lines[at]) - 1)
            lines[at] = lines[at][:place] + bytes([lines[at][place] ^ 1]) + lines[at][place + 1:]
        elif kind == "drop":
            del lines[at]
        elif kind == "swap":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        else:
            del lines[at:]
        victim.write_bytes(b"".join(lines))
        found += verify(shop, name, copies)[0] == 1
        shutil.rmtree(copy)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candado", type=Path, default=TREE / "target" / "release" / "candado", help="release binary")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("cost", help="what a row costs, opened, masked and recorded")
    verb.add_argument("--rounds", type=int, default=7)
    verb.add_argument("--queries", type=int, default=300, help="queries of one run of one arm")
    verb.set_defaults(work=cost)
    verb = verbs.add_parser("mixed", help="a long mixed run, and the proof of its record")
    verb.add_argument("--minutes", type=float, default=120)
    verb.add_argument("--turn", type=float, default=5, help="minutes between two ends of a proxy")
    verb.add_argument("--rate", type=float, default=8, help="statements a second of each of six callers")
    verb.add_argument("--segment", type=int, default=4_194_304, help="bytes of one file of the record")
    verb.add_argument("--queue-lost", type=int, default=200, help="records that the kills of a fast proxy may lose")
    verb.add_argument("--tampers", type=int, default=25, help="how often each harm is tried")
    verb.set_defaults(work=mixed)
    options = parser.parse_args()
    options.candado = options.candado.resolve()
    options.work(options)


if __name__ == "__main__":
    main()
