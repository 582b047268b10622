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
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pymysql

TREE = Path(__file__).resolve().parent.parent.parent
SERVER = TREE / "tests" / "support" / "server.sh"
PASSWORD = "bench-password"
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


class Bench:
    """The server, the key store and the program."""

    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="candado-bench-"))
        extra = [f"--innodb-buffer-pool-size={options.buffer_pool}"]
        if options.binlog:
            extra += ["--log-bin=binlog", "--server-id=1"]
        started = subprocess.run(
            [SERVER, "start", options.server, self.folder / "server", *extra],
            check=True, capture_output=True, text=True,
        )
        self.env = dict(line.split("=", 1) for line in started.stdout.splitlines() if "=" in line)
        self.port = int(self.env["PORT"])
        self.proxy = None

    def end(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
        subprocess.run([SERVER, "stop", self.folder / "server"], check=False, capture_output=True)
        subprocess.run(["rm", "-rf", self.folder], check=False)

    def connect(self, port=None, database="shop"):
        return pymysql.connect(
            host="127.0.0.1", port=port or self.port, user="root", charset="utf8mb4", autocommit=True, database=database
        )

    def prepare(self):
        """Key store, accounts, files."""
        schema = (TREE / "keys-policy" / "schema.sql").read_text()
        for account in ("candado_proxy", "candado_security", "candado_backfill"):
            schema += f"ALTER USER '{account}'@'%' IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK;\n"
        schema += "CREATE DATABASE shop; GRANT ALL ON shop.* TO 'candado_backfill'@'%';\n"
        subprocess.run([self.env["CLIENT"]], input=schema, text=True, check=True)
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        region = ', region = "JP"' if self.options.normaliser == "e164" else ""
        policy = POLICY.replace("NORMALISER", self.options.normaliser).replace("REGION", region)
        (self.folder / "policy.toml").write_text(policy)
        (self.folder / "candado.toml").write_text(
            f'[listen]\naddress = "127.0.0.1:0"\n[server]\naddress = "127.0.0.1:{self.port}"\n[server.tls]\nmode = "off"\n'
            f'[control]\nuser = "candado_proxy"\npassword_file = "{secret}"\n'
            f'[backfill]\nuser = "candado_backfill"\npassword_file = "{secret}"\n'
            f'[keys]\nprovider = "file"\npath = "{keys / "bench.kek"}"\n[policy]\npath = "policy.toml"\n'
            '[log]\nformat = "json"\n'
        )
        self.candado("keys", "init", "--user", "candado_security", "--password-file", str(secret))

    def candado(self, *arguments, check=True):
        return subprocess.run(
            [self.options.candado, *arguments, "--config", self.folder / "candado.toml"],
            check=check, capture_output=True, text=True,
        )

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

    def serve(self):
        """Starts a proxy; returns its port."""
        log = self.folder / "proxy.log"
        with log.open("w") as stream:
            self.proxy = subprocess.Popen(
                [self.options.candado, "serve", "--config", self.folder / "candado.toml"], stderr=stream
            )
        while True:
            for line in log.read_text().splitlines():
                event = json.loads(line)
                if event.get("message") == "listening":
                    port = int(event["address"].rsplit(":", 1)[1])
                    for _ in range(200):
                        try:
                            self.connect(port).close()
                            return port
                        except pymysql.Error:
                            time.sleep(0.1)
            if self.proxy.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.05)

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
        bench.prepare()
        bench.fill("customers", False)
        yardstick = [bench.yardstick() for _ in range(3)]
        report = {"cpus": os.cpu_count(), "rows": options.rows, "workers": options.workers,
                  "bare_rows_per_second": [round(rate) for rate in yardstick], "jobs": []}
        # Registers the columns as plaintext; the proxy may know them from then on.
        bench.candado("column", "encrypt", "shop.customers.phone", "shop.customers.address", check=False)
        port = bench.serve() if options.client or options.all else None
        verbs = ["encrypt", "reencrypt", "reindex", "decrypt"] if options.all else ["encrypt", "decrypt"]
        for verb in verbs:
            if verb in ("reencrypt", "reindex"):
                purpose = "data" if verb == "reencrypt" else "index"
                bench.candado("keys", "rotate", "bench", "--purpose", purpose, "--user", "candado_security",
                              "--password-file", str(bench.folder / "secret"))
            facts = bench.job(verb, port)
            facts["of_bare"] = round(facts["walk_rows_per_second"] / statistics.median(yardstick), 2)
            report["jobs"].append(facts)
        json.dump(report, sys.stdout, indent=2)
        print()
    finally:
        bench.end()


if __name__ == "__main__":
    main()
