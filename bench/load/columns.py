#!/usr/bin/env python3
"""Measures `candado column`: rows per second against a bare chunked UPDATE that writes as many bytes, and the application's
latency through a proxy meanwhile.

A private server gets a table with ROWS customers (telephone number, searchable, and address). First the yardstick: the
same table, its two columns overwritten with random bytes of the envelopes' lengths, 500 rows a transaction, by primary key,
from as many connections as the engine has workers, with the same client beside them if one is asked for. Then the engine: encrypt, decrypt, and with --all reencrypt and reindex,
while a client reads and writes single rows through `candado serve` and notes its latency. The walk's own rate is told, and
that of the whole command with verification and statements.
"""

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import threading
import time

import pymysql

from stand import TREE, Stand

PHONE_OCTETS, ADDRESS_OCTETS = 84, 116
CHUNK = 500
TABLE = (
    "(id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(60), phone {phone}, address {address}, "
    "updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), "
    "KEY by_phone (phone{prefix})) CHARACTER SET utf8mb4"
)
POLICY = """keysets = ["bench"]
[[column]]
name = "shop.customers.phone"
keyset = "bench"
type = "varchar(24)"
index = { normaliser = "NORMALISER"REGION }
[[column]]
name = "shop.customers.address"
keyset = "bench"
type = "varchar(255)"
[role.application]
access = "plain"
[[account]]
user = "root"
role = "application"
"""


class Bench(Stand):
    """A table of customers, the yardstick and the engine."""

    def __init__(self, options):
        extra = [f"--innodb-buffer-pool-size={options.buffer_pool}"]
        if options.binlog:
            extra += ["--log-bin=binlog", "--server-id=1"]
        super().__init__(options.candado, options.server, extra)
        self.options = options

    def policy(self):
        region = ', region = "JP"' if self.options.normaliser == "e164" else ""
        return POLICY.replace("NORMALISER", self.options.normaliser).replace("REGION", region)

    def fill(self, table, sealed):
        """Fills a table; sealed: with columns of bytes and an index on their beginning."""
        shape = ("VARBINARY(176)", "VARBINARY(1092)", "(23)") if sealed else ("VARCHAR(24)", "VARCHAR(255)", "")
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(f"CREATE TABLE {table} " + TABLE.format(phone=shape[0], address=shape[1], prefix=shape[2]))
            for first in range(1, self.options.rows + 1, 5000):
                rows = range(first, min(first + 5000, self.options.rows + 1))
                values = ",".join(f"({i},'n{i}','+8190{10000000 + i}','{i} Some Street, Some City 12345')" for i in rows)
                cursor.execute(f"INSERT INTO {table} (id, name, phone, address) VALUES {values}")
            cursor.execute(f"ANALYZE TABLE {table}")
        connection.close()

    def yardstick(self):
        """Rows per second of bare UPDATEs."""
        self.fill("bare", True)
        rows, workers = self.options.rows, self.options.workers
        span = -(-rows // workers)

        def work(first, last):
            connection = self.connect()
            with connection.cursor() as cursor:
                for start in range(first, last + 1, CHUNK):
                    cursor.execute(
                        f"UPDATE bare SET phone = RANDOM_BYTES({PHONE_OCTETS}), address = RANDOM_BYTES({ADDRESS_OCTETS}), "
                        f"updated_at = updated_at WHERE id BETWEEN {start} AND {min(start + CHUNK - 1, last)}"
                    )
            connection.close()

        threads = [
            threading.Thread(target=work, args=(n * span + 1, min((n + 1) * span, rows))) for n in range(workers)
        ]
        with self.client(self.port, "bare"):
            started = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rate = rows / (time.monotonic() - started)
        with self.connect().cursor() as cursor:
            cursor.execute("DROP TABLE bare")
        return rate

    @contextlib.contextmanager
    def client(self, port, table):
        """An application that reads and writes single rows meanwhile, if asked for; its latencies and errors."""
        stop, latencies, errors = threading.Event(), [], []

        def work():
            connection, pick = self.connect(port), random.Random(1)
            with connection.cursor() as cursor:
                while not stop.is_set():
                    row = pick.randint(1, self.options.rows)
                    began = time.monotonic()
                    try:
                        if pick.random() < 0.5:
                            cursor.execute(f"SELECT phone, address FROM {table} WHERE id = {row}")
                        else:
                            cursor.execute(f"UPDATE {table} SET phone = '+8190{10000000 + row}' WHERE id = {row}")
                    except pymysql.Error as error:
                        errors.append(str(error))
                    latencies.append(time.monotonic() - began)
                    time.sleep(0.005)

        beside = threading.Thread(target=work)
        if self.options.client:
            beside.start()
        try:
            yield latencies, errors
        finally:
            stop.set()
            if self.options.client:
                beside.join()

    def job(self, verb, port):
        """Runs a verb with a client beside it; returns facts."""
        began = time.monotonic()
        arguments = ["column", verb, "shop.customers.phone", "shop.customers.address", "--json", "--workers",
                     str(self.options.workers)]
        with self.client(port, "customers") as (latencies, errors):
            done = self.candado(*arguments, "--ddl", "run", check=False)
            took = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(done.stderr)
        job = json.loads(self.candado("column", "status", "--json").stdout)[0]
        facts = {
            "verb": verb, "rows": job["rows_seen"], "walk_rows_per_second": round(job["rows_per_second"]),
            "command_seconds": round(took, 1), "conflicts": job["conflicts"], "errors": len(errors),
        }
        if len(latencies) > 100:
            quantiles = statistics.quantiles(latencies, n=100)
            facts["client_ms"] = {"p50": round(quantiles[49] * 1000, 2), "p99": round(quantiles[98] * 1000, 2)}
        if errors:
            facts["first_error"] = errors[0]
        return facts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candado", default=str(TREE / "target" / "release" / "candado"))
    parser.add_argument("--server", choices=["mysql", "mariadb"], default="mysql")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--buffer-pool", default="512M")
    parser.add_argument("--normaliser", default="e164", choices=["e164", "text", "raw"])
    parser.add_argument("--binlog", action="store_true", help="with a binary log, as a source of replicas has")
    parser.add_argument("--client", action="store_true", help="with a client beside the job, and its latency")
    parser.add_argument("--all", action="store_true", help="also reencrypt and reindex, after a rotation of keys")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        bench.prepare(bench.policy())
        bench.fill("customers", False)
        yardstick = [bench.yardstick() for _ in range(3)]
        report = {"cpus": os.cpu_count(), "rows": options.rows, "workers": options.workers,
                  "bare_rows_per_second": [round(rate) for rate in yardstick], "jobs": []}
        # Registers the columns as plaintext; the proxy may know them from then on.
        bench.candado("column", "encrypt", "shop.customers.phone", "shop.customers.address", check=False)
        port = bench.serve().port if options.client or options.all else None
        verbs = ["encrypt", "reencrypt", "reindex", "decrypt"] if options.all else ["encrypt", "decrypt"]
        for verb in verbs:
            if verb in ("reencrypt", "reindex"):
                purpose = "data" if verb == "reencrypt" else "index"
                bench.candado("keys", "rotate", "bench", "--purpose", purpose, *bench.account("candado_security"))
            facts = bench.job(verb, port)
            facts["of_bare"] = round(facts["walk_rows_per_second"] / statistics.median(yardstick), 2)
            report["jobs"].append(facts)
        json.dump(report, sys.stdout, indent=2)
        print()
    finally:
        bench.end()


if __name__ == "__main__":
    main()
