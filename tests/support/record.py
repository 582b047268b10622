"""Verifies an exported record of acts from src/control/record/record.md alone, with nothing but the standard library.

Usage: record.py FILE < audit keys, one "KID HEX" on each line. Prints one JSON object; exit code 1 if not intact.
"""

import hashlib
import hmac
import json
import struct
import sys


def hkdf(key, salt, info):
    """HKDF-SHA-256 (RFC 5869) for 32 bytes: one block."""
    extracted = hmac.new(salt, key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def with_length(text):
    data = text.encode("utf-8")
    return struct.pack(">I", len(data)) + data


def entry_bytes(entry):
    texts = (entry[name] for name in ("at", "actor", "act", "subject", "before", "after"))
    numbers = struct.pack(">QI", entry["seq"], entry["kid"])
    return b"CANDADO ENTRY 1\0\0\0" + numbers + bytes.fromhex(entry["prev"]) + b"".join(map(with_length, texts))


def head_bytes(head):
    return b"CANDADO HEAD 1\0\0\0\0" + struct.pack(">QI", head["seq"], head["kid"]) + bytes.fromhex(head["mac"])


def link(entry):
    """What stands for a code in an entry without an audit key."""
    return hashlib.sha256(b"CANDADO LINK 1\0\0\0\0" + entry_bytes(entry)).hexdigest()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        first, *entries, last = [json.loads(line) for line in file]
    keys = {int(kid): bytes.fromhex(key) for kid, key in (line.split() for line in sys.stdin)}
    deployment = first["deployment"].encode("ascii")

    def code(kid, part, data):
        derived = hkdf(keys[kid], b"candado/v1/audit", part + b"\0" + deployment)
        return hmac.new(derived, data, hashlib.sha256).hexdigest()

    broken = []
    unsealed = []
    before = {"seq": 0, "mac": "00" * 32}
    sealed = before
    for entry in entries:
        if entry["kid"] == 0:
            genuine = entry["act"] == "key.suspend" and link(entry) == entry["mac"]
            unsealed.append(entry["seq"])
        else:
            genuine = hmac.compare_digest(code(entry["kid"], b"entry", entry_bytes(entry)), entry["mac"])
            unsealed = []
            sealed = entry
        if not genuine or entry["seq"] != before["seq"] + 1 or entry["prev"] != before["mac"]:
            broken.append(entry["seq"])
        json.loads(entry["before"]), json.loads(entry["after"])
        before = entry
    head = last["head"]
    genuine = hmac.compare_digest(code(head["kid"], b"head", head_bytes(head)), head["seal"])
    ends = (head["seq"], head["mac"]) == (sealed["seq"], sealed["mac"])
    intact = not broken and genuine and ends
    end = f"{before['seq']}:{before['mac']}"
    facts = {"intact": intact, "entries": len(entries), "broken": broken, "unsealed": unsealed, "end": end}
    print(json.dumps(facts))
    return 0 if intact else 1


if __name__ == "__main__":
    sys.exit(main())
