#!/usr/bin/env python3
"""Compares a direct connection, HAProxy in TCP mode, MySQL Router and Candado on one server, in interleaved runs.

Every arm runs the same sysbench workload for the same time; the arms take turns in every round, so that a noisy minute
hurts all of them. Reported per arm: CPU seconds of the proxy per 100,000 queries (from /proc/PID/stat, all threads),
system calls per query (one extra run under strace), queries per second, and latency percentiles from sysbench's
histogram; medians over the rounds with the smallest and the largest value.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
SERVER = TREE / "tests" / "support" / "server.sh"
TICKS = os.sysconf("SC_CLK_TCK")
TABLE_ROWS = 50_000

WORKLOADS = {
    "point": ["oltp_point_select", "--db-ps-mode=disable", "--skip-trx=on"],
    "point-ps": ["oltp_point_select", "--db-ps-mode=auto", "--skip-trx=on"],
    "rows1000": [str(HERE / "rows1000.lua")],
    "protected-point": [str(HERE / "customers.lua"), "--shape=point"],
    "protected-search": [str(HERE / "customers.lua"), "--shape=search"],
    "protected-rows": [str(HERE / "customers.lua"), "--shape=rows"],
}


def free_port():
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answering(port, process, seconds=30):
    """Waits until somebody accepts on the port; fails if the process ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended with code {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{process.args[0]} does not listen on port {port}")


class Bench:
    """The server, the proxies and the runs."""

    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="candado-bench-"))
        self.processes = []
        self.ports = {}
        self.pids = {}

    def __enter__(self):
        # SIGTERM ends it the same way as Ctrl-C: with nothing left behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            self.start_server()
            self.start_haproxy()
            self.start_router()
            self.start_candado()
            self.load_customers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        subprocess.run([SERVER, "stop", self.folder / "server"], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, name, command, port):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        try:
            answering(port, process)
        except SystemExit:
            sys.stderr.write((self.folder / f"{name}.log").read_text(errors="replace"))
            raise
        self.ports[name] = port
        self.pids[name] = process.pid

    def start_server(self):
        done = subprocess.run(
            [SERVER, "start", "mysql", self.folder / "server", "--parent", str(os.getpid())],
            check=True, capture_output=True, text=True,
        )
        self.server = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.ports["direct"] = int(self.server["PORT"])
        self.sql("CREATE DATABASE bench; CREATE USER bench@'%' IDENTIFIED BY 'bench';"
                 "GRANT ALL ON bench.* TO bench@'%'")
        self.sysbench("direct", ["oltp_point_select"], "prepare")

    def sql(self, text, database=""):
        command = [self.server["CLIENT"], "-N"] + ([database] if database else [])
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout

    def start_haproxy(self):
        port = free_port()
        (self.folder / "haproxy.cfg").write_text(
            "global\n  maxconn 4096\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
            f"  timeout server 1h\nlisten mysql\n  bind 127.0.0.1:{port}\n"
            f"  server one 127.0.0.1:{self.server['PORT']}\n"
        )
        self.spawn("haproxy", ["haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")], port)

    def start_router(self):
        port = free_port()
        plugins = next(Path(self.server["BIN"]).parent.glob("usr/lib/**/mysqlrouter/plugin"))
        (self.folder / "router").mkdir()
        (self.folder / "router.conf").write_text(
            f"[DEFAULT]\nlogging_folder=\nplugin_folder={plugins}\nruntime_folder={self.folder}/router\n"
            f"data_folder={self.folder}/router\n[logger]\nlevel=WARNING\n"
            f"[routing:one]\nbind_address=127.0.0.1\nbind_port={port}\nprotocol=classic\n"
            f"destinations=127.0.0.1:{self.server['PORT']}\nrouting_strategy=first-available\n"
            "client_ssl_mode=PASSTHROUGH\nserver_ssl_mode=AS_CLIENT\nmax_connect_errors=1000000\n"
        )
        router = Path(self.server["BIN"]) / "mysqlrouter"
        self.spawn("router", [str(router), "-c", str(self.folder / "router.conf")], port)

    def run_candado(self, *arguments):
        done = subprocess.run([self.options.candado, *arguments, "--config", str(self.folder / "candado.toml")],
                              capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise SystemExit(f"candado {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start_candado(self):
        port = free_port()
        self.sql("CREATE USER candado_control@'%' IDENTIFIED BY 'control'; GRANT ALL ON *.* TO candado_control@'%';")
        self.sql((TREE / "keys-policy" / "schema.sql").read_text())
        (self.folder / "password").write_text("control")
        os.chmod(self.folder / "password", 0o600)
        (self.folder / "policy.toml").write_text(
            'keysets = ["contact"]\n'
            '[[column]]\nname = "bench.customers.name"\nkeyset = "contact"\ntype = "varchar(60)"\n'
            '[[column]]\nname = "bench.customers.phone"\nkeyset = "contact"\ntype = "varchar(24)"\n'
            'index = { normaliser = "e164", region = "JP" }\n'
            '[[column]]\nname = "bench.customers.address"\nkeyset = "contact"\ntype = "varchar(120)"\n'
            '[role.application]\naccess = "plain"\n[[account]]\nuser = "bench"\nrole = "application"\n'
        )
        (self.folder / "candado.toml").write_text(
            f'[listen]\naddress = "127.0.0.1:{port}"\n[server]\naddress = "127.0.0.1:{self.server["PORT"]}"\n'
            'tls = { mode = "off" }\n[control]\nuser = "candado_control"\npassword_file = "password"\n'
            '[keys]\nprovider = "file"\npath = "keys/local.kek"\n[policy]\npath = "policy.toml"\n[log]\nlevel = "warn"\n'
        )
        (self.folder / "keys").mkdir(mode=0o700)
        self.sql("CREATE TABLE customers (id INT PRIMARY KEY, name VARBINARY(320), phone VARBINARY(192),"
                 " address VARBINARY(560), note VARCHAR(60), KEY (phone(23)))", "bench")
        self.run_candado("keys", "init")
        self.spawn("candado", [self.options.candado, "serve", "--config", str(self.folder / "candado.toml")], port)

    def load_customers(self):
        """Writes the rows through the proxy, so that they are sealed."""
        if not any(name.startswith("protected") for name in self.options.workloads):
            return
        batches = []
        for first in range(1, TABLE_ROWS + 1, 500):
            rows = ",".join(
                f"({i},'Customer {i:05d} Hanako','+8190{i:08d}','{i} Chome 4-2-8 Shibakoen, Minato-ku, Tokyo 105-0011','n{i}')"
                for i in range(first, first + 500)
            )
            batches.append(f"INSERT INTO customers VALUES {rows};")
        client = [self.server["CLIENT"], "--host=127.0.0.1", f"--port={self.ports['candado']}", "--user=bench",
                  "--password=bench", "bench"]
        subprocess.run(client, input="\n".join(batches), text=True, check=True, capture_output=True)

    def sysbench(self, arm, workload, verb, *more):
        command = ["sysbench", *workload, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={self.ports[arm]}",
                   "--mysql-user=bench", "--mysql-password=bench", "--mysql-db=bench", "--tables=1",
                   f"--table-size={TABLE_ROWS}", *more, verb]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def measure(self, arm, workload, seconds):
        more = ["--histogram=on", f"--threads={self.options.threads}", f"--time={seconds}"]
        before = self.cpu_seconds(arm)
        out = self.sysbench(arm, WORKLOADS[workload], "run", *more)
        spent = self.cpu_seconds(arm) - before
        queries = int(re.search(r"^\s+total:\s+(\d+)", out, re.M).group(1))
        elapsed = float(re.search(r"total time:\s+([\d.]+)s", out).group(1))
        figures = {"qps": queries / elapsed, "cpu_s_per_100k": spent / queries * 100_000, "queries": queries}
        figures.update(percentiles(out))
        return figures

    def cpu_seconds(self, arm):
        if arm not in self.pids:
            return 0.0
        fields = Path(f"/proc/{self.pids[arm]}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def system_calls(self, arm, workload):
        """System calls of the proxy per query, counted by strace over one run of its own."""
        if arm not in self.pids:
            return None
        report = self.folder / "strace"
        tracer = subprocess.Popen(["strace", "-f", "-c", "-o", str(report), "-p", str(self.pids[arm])],
                                  stderr=subprocess.PIPE, text=True)
        tracer.stderr.readline()
        figures = self.measure(arm, workload, 3)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
        total = re.findall(r"^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+)", report.read_text(), re.M)
        return int(total[-1]) / figures["queries"] if total else None


def percentiles(out):
    """p50, p95 and p99 in milliseconds from sysbench's latency histogram."""
    buckets = [(float(ms), int(count)) for ms, count in re.findall(r"^\s*([\d.]+) \|[* ]*\s(\d+)\s*$", out, re.M)]
    total = sum(count for _, count in buckets)
    result = {}
    for name, share in (("p50_ms", 0.50), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        seen = 0
        for value, count in buckets:
            seen += count
            if seen >= share * total:
                result[name] = value
                break
    return result


# Protected rows can be had in clear through Candado alone; the other arms relay the envelopes of the same rows.
ARMS = ["direct", "haproxy", "router", "candado"]


def report(workload, runs, calls):
    """Prints medians with the spread, and ratios to HAProxy."""
    print(f"\n## {workload}\n")
    print(f"{'arm':<10} {'CPU s/100k':>22} {'vs haproxy':>10} {'syscalls/q':>10} {'queries/s':>26} {'p50 ms':>8} {'p95 ms':>8}"
          f" {'p99 ms':>8}")
    median = {arm: {key: statistics.median(run[key] for run in rounds) for key in rounds[0]} for arm, rounds in runs.items()}
    for arm, rounds in runs.items():
        def spread(key, form):
            values = [run[key] for run in rounds]
            return f"{median[arm][key]:{form}} ({min(values):{form}}–{max(values):{form}})"
        base = median.get("haproxy", {}).get("cpu_s_per_100k")
        ratio = f"{median[arm]['cpu_s_per_100k'] / base:.2f}" if base and arm != "direct" else "-"
        per_query = f"{calls[arm]:.2f}" if calls.get(arm) else "-"
        print(f"{arm:<10} {spread('cpu_s_per_100k', '.2f'):>22} {ratio:>10} {per_query:>10} {spread('qps', '.0f'):>26}"
              f" {median[arm]['p50_ms']:>8.3f} {median[arm]['p95_ms']:>8.3f} {median[arm]['p99_ms']:>8.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candado", required=True, help="release binary of the proxy")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="length of one run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--no-strace", action="store_true", help="leave the system call counts out")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    options.candado = str(Path(options.candado).resolve())
    figures = {}
    with Bench(options) as bench:
        print(f"{options.rounds} interleaved rounds of {options.seconds} s, {options.threads} thread(s); median (min–max)")
        for workload in options.workloads:
            runs = {arm: [] for arm in ARMS}
            for _ in range(options.rounds):
                for arm in runs:
                    runs[arm].append(bench.measure(arm, workload, options.seconds))
            calls = {} if options.no_strace else {arm: bench.system_calls(arm, workload) for arm in runs}
            report(workload, runs, calls)
            figures[workload] = {"runs": runs, "system_calls_per_query": calls}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
