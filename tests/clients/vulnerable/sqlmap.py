"""sqlmap against each injection point of the shop: level 5, risk 3, plain and with tamper scripts.

    sqlmap.py open|guarded [--seconds N] [--points NAME,..] [--tampers N]

Each run may take N seconds (CANDADO_SQLMAP, 60). It is told everything but the way in: the server's kind, the parameter,
the database, and the table whose rows it is to fetch. `open` is the control: it ends with 1 if sqlmap finds hardly a way
in. `guarded` ends with 1 if the secret was read at any point. A table is printed at the end.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from urllib.parse import urlencode

from points import POINTS, SECRET, Point
from shop import open_shop, seed

PROGRAM = pathlib.Path(os.environ.get("CANDADO_CACHE", pathlib.Path.home() / ".cache/candado")) / "sqlmap/bin/sqlmap"

# Scripts that rewrite what is sent so that filters of text do not know it again.
TAMPERS = [
    "",
    "space2comment,randomcase",
    "between,symboliclogical,space2mysqlblank",
    "versionedmorekeywords",
    "modsecurityversioned,randomcomments",
    "equaltolike,greatest,unionalltounion,ifnull2casewhenisnull",
]
# Below that the control proves nothing.
OPEN_MIN = 6


def options(point: Point, address: str, tamper: str, seconds: int, folder: str) -> list[str]:
    url = address + point.path + (f"?{urlencode(point.query)}" if point.query else "")
    found = [
        *("-u", url, "-p", point.parameter, "--batch", "--level=5", "--risk=3", "--dbms=mysql", "--threads=4"),
        *("--time-sec=1", "--timeout=20", "--retries=1", "--disable-coloring", "--flush-session", "--skip-waf"),
        *("--ignore-code=500,401", f"--output-dir={folder}", f"--time-limit={seconds}"),
        *("-D", os.environ["CANDADO_DATABASE"], "-T", "secrets", "-C", "token", "--dump"),
    ]
    if point.form:
        found.append(f"--data={urlencode(point.form)}")
    if point.body:
        found += [f"--data={json.dumps(point.body)}", "--header=Content-Type: application/json"]
    if point.shown_at and point.name == "second-order":
        found.append(f"--second-url={address}{point.shown_at}")
    if tamper:
        found.append(f"--tamper={tamper}")
    return found


def run(point: Point, address: str, tamper: str, seconds: int) -> tuple[list[str], bool]:
    """Techniques that sqlmap believes to work, and whether it fetched the secret."""
    with tempfile.TemporaryDirectory(prefix="candado-sqlmap-") as folder:
        command = [str(PROGRAM), *options(point, address, tamper, seconds, folder)]
        try:
            # Beyond its own limit it is stuck.
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, stdin=subprocess.DEVNULL)
            output = done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            output = (late.stdout or b"").decode(errors="replace")
        written = "".join(path.read_text(errors="replace") for path in pathlib.Path(folder).rglob("*.csv"))
    if os.environ.get("CANDADO_SQLMAP_LOG"):
        with open(os.environ["CANDADO_SQLMAP_LOG"], "a") as log:
            log.write(f"==== {point.name} {tamper}\n{output}\n")
    techniques = sorted(set(re.findall(r"^    Type: (.*)$", output, re.MULTILINE)))
    return techniques, SECRET in output or SECRET in written


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", choices=["open", "guarded"])
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("CANDADO_SQLMAP") or 60))
    parser.add_argument("--points", default=os.environ.get("CANDADO_SQLMAP_POINTS") or ",".join(point.name for point in POINTS))
    parser.add_argument("--tampers", type=int, default=int(os.environ.get("CANDADO_SQLMAP_TAMPERS") or len(TAMPERS)))
    arguments = parser.parse_args()
    # No filter of text is in the way of the control.
    tampers = TAMPERS[: 1 if arguments.state == "open" else arguments.tampers]
    wanted = arguments.points.split(",")
    table, read = [], set()
    with open_shop() as address:
        for point in (point for point in POINTS if point.name in wanted):
            for tamper in tampers:
                seed()
                techniques, exploited = run(point, address, tamper, arguments.seconds)
                if exploited:
                    read.add(point.name)
                said = f"{point.name:14}{tamper or '-':60}{', '.join(techniques) or '-':60}{'READ' if exploited else '-'}"
                print(said, flush=True)
                table.append(said)
    print(f"\n{'point':14}{'tamper scripts':60}{'techniques that sqlmap believes in':60}secret")
    print("\n".join(table))
    print(f"{len(read)} of {len(wanted)} points exploited: {', '.join(sorted(read)) or 'none'}")
    if arguments.state == "open":
        return 0 if len(read) >= min(OPEN_MIN, len(wanted)) else 1
    return 1 if read else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads that still wait for the server are not waited for.
    os._exit(code)
