"""A private server, its key store, and proxies in front of it: what the load scripts stand on."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pymysql

TREE = Path(__file__).resolve().parent.parent.parent
SERVER = TREE / "tests" / "support" / "server.sh"
PASSWORD = "bench-password"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """What all threads of a process have computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Proxy:
    """A running `candado serve`."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def end(self, kill=False):
        """Ends it, with SIGKILL or in order."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait()


class Stand:
    """The server, the key store and the program, in a folder of their own."""

    def __init__(self, candado, server="mysql", options=()):
        self.binary = candado
        self.folder = Path(tempfile.mkdtemp(prefix="candado-bench-"))
        self.secret = self.folder / "secret"
        self.proxies = []
        started = subprocess.run(
            [SERVER, "start", server, self.folder / "server", "--parent", str(os.getpid()), *options],
            check=True, capture_output=True, text=True,
        )
        self.env = dict(line.split("=", 1) for line in started.stdout.splitlines() if "=" in line)
        self.port = int(self.env["PORT"])

    def end(self):
        for proxy in self.proxies:
            proxy.end(kill=True)
        subprocess.run([SERVER, "stop", self.folder / "server"], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self, policy, sql=""):
        """Key store, accounts, files; `sql` is run on top."""
        schema = (TREE / "keys-policy" / "schema.sql").read_text()
        for account in ("candado_proxy", "candado_security", "candado_backfill", "candado_auditor"):
            schema += f"ALTER USER '{account}'@'%' IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK;\n"
        schema += "CREATE DATABASE shop; GRANT ALL ON shop.* TO 'candado_backfill'@'%';\n" + sql
        subprocess.run([self.env["CLIENT"]], input=schema, text=True, check=True)
        (self.folder / "keys").mkdir(mode=0o700)
        self.secret.write_text(PASSWORD)
        self.secret.chmod(0o600)
        (self.folder / "policy.toml").write_text(policy)
        self.configure("candado")
        self.candado("keys", "init", *self.account("candado_security"))

    def configure(self, name, more=""):
        """Writes the configuration file `name`, with further sections."""
        (self.folder / f"{name}.toml").write_text(
            f'[listen]\naddress = "127.0.0.1:0"\n[server]\naddress = "127.0.0.1:{self.port}"\n[server.tls]\nmode = "off"\n'
            f'[control]\nuser = "candado_proxy"\npassword_file = "{self.secret}"\n'
            f'[backfill]\nuser = "candado_backfill"\npassword_file = "{self.secret}"\n'
            f'[keys]\nprovider = "file"\npath = "{self.folder / "keys" / "bench.kek"}"\n[policy]\npath = "policy.toml"\n'
            f'[log]\nformat = "json"\n{more}'
        )

    def account(self, user):
        """The arguments that name an account of the key store."""
        return ["--user", user, "--password-file", str(self.secret)]

    def candado(self, *arguments, check=True, config="candado"):
        done = subprocess.run(
            [self.binary, *arguments, "--config", self.folder / f"{config}.toml"], capture_output=True, text=True
        )
        if check and done.returncode != 0:
            raise SystemExit(f"candado {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def connect(self, port=None, user="root", password="", database="shop"):
        return pymysql.connect(
            host="127.0.0.1", port=port or self.port, user=user, password=password, charset="utf8mb4", autocommit=True,
            database=database,
        )

    def serve(self, config="candado"):
        """Starts a proxy; returns when it lets `root` in."""
        log = self.folder / f"{config}.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [self.binary, "serve", "--config", self.folder / f"{config}.toml"], stderr=stream
            )
        while process.poll() is None:
            for line in log.read_text().splitlines():
                event = json.loads(line) if line.endswith("}") else {}
                if event.get("message") == "listening":
                    proxy = Proxy(process, int(event["address"].rsplit(":", 1)[1]))
                    self.proxies.append(proxy)
                    self.wait(proxy)
                    return proxy
            time.sleep(0.05)
        sys.exit(log.read_text())

    def wait(self, proxy):
        """Waits until the proxy has keys, policy and catalog."""
        for _ in range(200):
            try:
                self.connect(proxy.port).close()
                return
            except pymysql.Error:
                time.sleep(0.1)
        sys.exit("the proxy lets nobody in")
