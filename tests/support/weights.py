#!/usr/bin/env python3
"""Writes the weight tables of src/schema/sort_order/weights from a MySQL server's own answers.

    weights.py CLIENT     CLIENT is that of server.sh: the command-line client of a MySQL 9

A file has an entry for each code point whose weights follow from no rule: the distance from the entry before (LEB128), the
number of weights (one byte), and the weights (two bytes each, the higher one first). Rules and format are read by
src/schema/sort_order/weights.rs, and tests/it/sort_weights.rs compares what comes out with the server again.
"""

import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "src/schema/sort_order/weights"
DIGITS = " UNION ALL SELECT ".join(["SELECT 0 d", *map(str, range(1, 10))])
HAN = {
    0xFB40: [(0x4E00, 0x9FD5), (0xFA0E, 0xFA0F), (0xFA11, 0xFA11), (0xFA13, 0xFA14), (0xFA1F, 0xFA1F),
             (0xFA21, 0xFA21), (0xFA23, 0xFA24), (0xFA27, 0xFA29)],
    0xFB80: [(0x3400, 0x4DB5), (0x20000, 0x2A6D6), (0x2A700, 0x2B734), (0x2B740, 0x2B81D), (0x2B820, 0x2CEA1)],
}


def ask(client, collation):
    """The weights of every code point."""
    numbers = " + ".join(f"d{at}.d * {10 ** at}" for at in range(6))
    tables = ", ".join(f"({DIGITS}) d{at}" for at in range(6))
    found = {}
    for first in (0, 1_000_000):
        sql = (f"SELECT n, HEX(WEIGHT_STRING(CONVERT(CHAR(n USING utf32) USING utf8mb4) COLLATE {collation})) "
               f"FROM (SELECT {first} + {numbers} AS n FROM {tables}) numbers "
               "WHERE n < 0x110000 AND n NOT BETWEEN 0xD800 AND 0xDFFF")
        rows = subprocess.run([client, "--batch", "--skip-column-names"], input=sql, text=True, check=True,
                              stdout=subprocess.PIPE).stdout
        for row in rows.splitlines():
            point, weights = row.split("\t")
            found[int(point)] = [int(weights[at:at + 4], 16) for at in range(0, len(weights), 4)]
    return found


def implicit(point):
    base = next((base for base, ranges in HAN.items() if any(a <= point <= z for a, z in ranges)), 0xFBC0)
    return [base + (point >> 15), point & 0x7FFF | 0x8000]


def hangul(found, point):
    at = point - 0xAC00
    if not 0 <= at < 11172:
        return None
    parts = [0x1100 + at // 588, 0x1161 + at % 588 // 28] + ([0x11A7 + at % 28] if at % 28 else [])
    return [weight for part in parts for weight in found[part]]


def of_rule(name, found, point):
    if name == "general":
        return [point if point < 0x10000 else 0xFFFD]
    if name == "uca400":
        return implicit(point) if point < 0x10000 else [0xFFFD]
    return hangul(found, point) or implicit(point)


def main():
    client = sys.argv[1]
    for name, collation in [("general", "utf8mb4_general_ci"), ("uca400", "utf8mb4_unicode_ci"),
                            ("uca900", "utf8mb4_0900_ai_ci")]:
        found, out, before = ask(client, collation), bytearray(), 0
        for point in sorted(found):
            weights = found[point]
            if weights == of_rule(name, found, point):
                continue
            distance, before = point - before, point
            while distance >= 0x80:
                out.append(distance & 0x7F | 0x80)
                distance >>= 7
            out += bytes([distance, len(weights)]) + b"".join(weight.to_bytes(2, "big") for weight in weights)
        (FOLDER / f"{name}.bin").write_bytes(out)


main()
