#!/usr/bin/env python3
"""Opens sealed cells without a line of the product's code: from the format's description (src/crypto/envelope.md), the
C2SP description of XAES-256-GCM, and primitives of the `cryptography` package.

Takes the wrapped keys out of the key store, unwraps them with the key file, opens every cell of one table and prints one
JSON document: for each row its primary key and, for each column, the value, or null. Ends with an error at the first cell
that does not open, or whose blind index is not the one of a value that is its own normal form.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys

import pymysql
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = bytes.fromhex("c1fe1d01")
# Values that are their own normal form under normaliser `text`.
NORMAL = re.compile(rb"[a-z0-9+]*")


def xaes_open(key, nonce, sealed, associated):
    """XAES-256-GCM (C2SP): the key of AES-256-GCM is made by CMAC from the first half of the nonce."""
    derived = b""
    for counter in (1, 2):
        mac = CMAC(AES256(key))
        mac.update(bytes([0, counter]) + b"X\0" + nonce[:12])
        derived += mac.finalize()
    return AESGCM(derived).decrypt(nonce[12:], sealed, associated)


def derived(key, salt, info):
    """HKDF-SHA-256, 32 bytes."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def unwrapped(keys, blob, context):
    """A key out of its wrap: 01, version of the key-encryption key, nonce, ciphertext and tag."""
    assert blob[0] == 1, "format of the wrap"
    kek = keys[int.from_bytes(blob[1:5], "big")]
    associated = b""
    for name in sorted(context):
        for part in (name, context[name]):
            associated += len(part).to_bytes(8, "big") + part.encode()
    return xaes_open(kek, blob[5:29], blob[29:], associated)


def load_keys(connection, path):
    """Keyset and data key by id, index keys by keyset and version."""
    with open(path, encoding="ascii") as file:
        content = json.load(file)
    keks = {entry["version"]: base64.b64decode(entry["key"]) for entry in content["versions"]}
    with connection.cursor() as cursor:
        cursor.execute("SELECT deployment FROM candado.epoch")
        (deployment,) = cursor.fetchone()
        cursor.execute(
            "SELECT k.kid, k.purpose, k.version, s.name, w.wrapped FROM candado.data_key k "
            "JOIN candado.keyset s USING (keyset_id) JOIN candado.wrapped_key w USING (kid)"
        )
        data, index = {}, {}
        for kid, purpose, version, keyset, blob in cursor.fetchall():
            context = {
                "app": "candado",
                "deployment": deployment,
                "keyset": keyset,
                "purpose": purpose,
                "kid": str(kid),
            }
            if purpose == "data":
                data[kid] = keyset, unwrapped(keks, blob, context)
            elif purpose == "index":
                index[keyset, version] = unwrapped(keks, blob, context)
    return data, index


def opened(cell, context, row, data, index):
    """The value of an envelope, in a row that says `row` where values are bound."""
    assert cell[:4] == MAGIC, "magic and version"
    length = cell[4]
    version = int.from_bytes(cell[5:7], "big")
    tag = cell[7 : 7 + length]
    flags = cell[7 + length]
    kid = int.from_bytes(cell[8 + length : 12 + length], "big")
    header, nonce, sealed = cell[: 12 + length], cell[12 + length : 36 + length], cell[36 + length :]
    assert flags in (0, 1, 2, 3) and (flags & 1 == 1) == (row is not None), "flags"
    name = context.encode()
    keyset, data_key = data[kid]
    key = derived(data_key, b"candado/v1/data", name)
    associated = b"FE1\0" + header + len(name).to_bytes(2, "big") + name
    if row is not None:
        bound = len(row.encode()).to_bytes(2, "big") + row.encode()
        associated += len(bound).to_bytes(2, "big") + bound
    value = xaes_open(key, nonce, sealed, associated)
    if flags & 2:
        value = value.rstrip(b"\0")
        assert value[-1:] == b"\x80", "padding"
        value = value[:-1]
    if length and NORMAL.fullmatch(value):
        index_key = derived(index[keyset, version], b"candado/v1/index", len(name).to_bytes(2, "big") + name + b"eq")
        expected = hmac.new(index_key, b"text.1\0" + value, hashlib.sha256).digest()[:length]
        assert expected == tag, "blind index"
    return value.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-file", required=True)
    parser.add_argument("--table", required=True, help="database.table")
    parser.add_argument("--columns", nargs="+", required=True)
    parser.add_argument("--bind", help="the text column that values are bound to")
    options = parser.parse_args()
    connection = pymysql.connect(host="127.0.0.1", port=options.port, user="root", charset="utf8mb4")
    data, index = load_keys(connection, options.key_file)
    database, table = options.table.split(".")
    with connection.cursor() as cursor:
        columns = ", ".join(options.columns)
        cursor.execute(f"SELECT id, {options.bind or 'NULL'}, {columns} FROM `{database}`.`{table}` ORDER BY id")
        rows = [
            [key] + [
                None if cell is None else opened(cell, f"{options.table}.{column}", row, data, index)
                for column, cell in zip(options.columns, cells)
            ]
            for key, row, *cells in cursor.fetchall()
        ]
    json.dump(rows, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
