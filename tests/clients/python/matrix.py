#!/usr/bin/env python3
"""Writes rows with every driver and reads them back with every other one; prints a table.

The table `customers(id, name, phone, address, note)` must exist. Every difference in value or
Python type, every look-up that does not find its row and every stored value of a protected column
that is not an envelope is a failure; the exit code is then 1. With --plain everything goes straight
to the server and no envelopes are expected: the baseline that the proxy is measured against.
"""

import argparse
import sys

import drivers
import settings

COLUMNS = "id, name, phone, address, note"
INSERT = f"INSERT INTO customers ({COLUMNS}) VALUES (%s, %s, %s, %s, %s)"
# Identifiers of one writer's rows begin at a multiple of this.
WRITER_STRIDE = 1000


def cases(envelope: bytes) -> dict[str, tuple]:
    """What is written: name, phone, address and note of each case."""
    return {
        "ordinary": ("Ana", "+34 600 000 {n:03}", "Calle Mayor 1, Madrid", "first order"),
        "null": ("Null", None, None, None),
        "empty": ("Empty", "", "", ""),
        "four bytes": ("😀", "+34 600 100 {n:03}", "東京都千代田区 𝔘 😀", "Größe ½ \u200d"),
        "quotes": ("O'Brien", "+34 600 200 {n:03}", "a\\b 'c' \"d\" `e` %s ? -- #", "\\' \\\\ ;/* */"),
        "controls": ("ctl", "+34 600 300 {n:03}", "\0\t\n\r\x1a\x7f", "end\0"),
        "blanks": ("blank", " +34 600 400 {n:03} ", "  two  blanks  ", " "),
        # Around the limits of a one-byte length in the protocol.
        "length 250": ("len", "+34 600 500 {n:03}", "a" * 250, "b" * 251),
        "length 255": ("len", "+34 600 600 {n:03}", "é" * 127, "c" * 20000),
        "looks sealed": ("text", "+34 600 700 {n:03}", envelope.decode("latin-1")[:200], "$fe1$00$AA"),
        "number": ("digits", "600800{n:03}", "12", "0"),
    }


def rows_of(writer: int, envelope: bytes) -> dict[str, tuple]:
    """The rows of one writer, by case, with identifiers and phone numbers of their own."""
    rows = {}
    for number, (case, (name, phone, address, note)) in enumerate(cases(envelope).items()):
        phone = phone.format(n=writer) if phone else phone
        rows[case] = (writer * WRITER_STRIDE + number, name, phone, address, note)
    return rows


def same(expected: tuple, found: tuple) -> bool:
    """Equal in value and in type, cell by cell."""
    return len(expected) == len(found) and all(
        type(a) is type(b) and a == b for a, b in zip(expected, found)
    )


class Report:
    """Counts checks and keeps what differed."""

    def __init__(self):
        self.checks = 0
        self.failures: list[str] = []

    def expect(self, holds: bool, text: str) -> bool:
        self.checks += 1
        if not holds:
            self.failures.append(text)
        return holds


def label(driver: type) -> str:
    return f"{driver.name}, {driver.protocol}"


def write_rows(driver: type, to: settings.Endpoint, rows: dict[str, tuple]) -> None:
    """Half of the rows one by one, half with the driver's bulk insert."""
    client = driver(to)
    values = list(rows.values())
    half = len(values) // 2
    for row in values[:half]:
        client.execute(INSERT, row)
    client.executemany(INSERT, values[half:])
    client.close()


def read_rows(driver: type, to: settings.Endpoint, written: dict[str, dict], report: Report) -> dict[str, int]:
    """Reads everybody's rows, in bulk and by phone number; gives the failures per writer."""
    client = driver(to)
    wrong = {}
    for writer, rows in written.items():
        before = len(report.failures)
        first = min(row[0] for row in rows.values())
        found = client.query(
            f"SELECT {COLUMNS} FROM customers WHERE id >= %s AND id < %s ORDER BY id",
            (first, first + WRITER_STRIDE),
        )
        report.expect(len(found) == len(rows), f"{label(driver)} found {len(found)} rows by {writer}")
        for (case, row), other in zip(rows.items(), found):
            expected = tuple(driver.as_read(value) for value in row)
            report.expect(
                same(expected, other),
                f"{label(driver)} read {case!r} by {writer}: {show(other)}, not {show(expected)}",
            )
            if row[2]:
                by_phone = client.query(
                    "SELECT id, note FROM customers WHERE phone = %s AND id >= %s AND id < %s",
                    (row[2], first, first + WRITER_STRIDE),
                )
                report.expect(
                    [same((expected[0], expected[4]), one) for one in by_phone] == [True],
                    f"{label(driver)} looked up {case!r} by {writer}: {len(by_phone)} rows",
                )
        wrong[writer] = len(report.failures) - before
    client.close()
    return wrong


def show(row: tuple) -> str:
    """A row for a message: types, and values cut to a readable length."""
    return "(" + ", ".join(f"{type(v).__name__} {str(v)[:40]!r}" for v in row) + ")"


def check_stored(report: Report) -> None:
    """What is stored must be envelopes, NULL excepted, and equal text must not repeat."""
    client = drivers.PyMySQL(settings.administrator(), raw=True)
    for column in settings.protected_columns():
        stored = [row[0] for row in client.query(f"SELECT `{column}` FROM customers WHERE `{column}` IS NOT NULL")]
        report.expect(bool(stored), f"nothing is stored in {column}")
        for value in stored:
            report.expect(
                value.startswith(settings.ENVELOPE_MAGIC), f"{column} holds {value[:12]!r}, not an envelope"
            )
        report.expect(len(set(stored)) == len(stored), f"{column} holds the same envelope twice")
        nulls = client.query(f"SELECT COUNT(*) FROM customers WHERE name = 'Null' AND `{column}` IS NOT NULL")
        report.expect(int(nulls[0][0]) == 0, f"a NULL of {column} is stored as something else")
    client.close()


def check_envelope_value(driver: type, writer: int, to: settings.Endpoint, envelope: bytes, report: Report) -> str:
    """A value that is itself an envelope, given as bytes, is data like any other.

    MySQL refuses bytes that are not UTF-8 in a text column with error 1366, and so may the proxy;
    what must not happen is that the value is taken for an envelope, stored as it is, or changed.
    """
    if not driver.takes_bytes:
        return "not possible with this driver"
    identifier = writer * WRITER_STRIDE + WRITER_STRIDE - 1
    client = driver(to, raw=False)
    try:
        client.execute(INSERT, (identifier, "sealed", None, None, envelope))
    except Exception as error:  # Every driver has its own classes; the code tells.
        code = getattr(error, "errno", None) or (error.args and error.args[0])
        report.expect(code == 1366, f"{label(driver)} got {error!r} for a value that is an envelope")
        return "refused"
    finally:
        client.close()
    reader = drivers.PyMySQL(to, raw=True)
    found = reader.query("SELECT note FROM customers WHERE id = %s", (identifier,))
    reader.close()
    report.expect(
        len(found) == 1 and bytes(found[0][0]) == envelope, f"{label(driver)}: an envelope as value came back changed"
    )
    return "kept"


def check_envelope_text(to: settings.Endpoint, envelope: bytes, report: Report) -> None:
    """In latin1 the bytes of an envelope are a text, which must come back as the same bytes."""
    client = drivers.PyMySQLLatin1(to, raw=True)
    client.execute(f"INSERT INTO customers ({COLUMNS}) VALUES (-2, 'latin1', NULL, NULL, _latin1 X'{envelope.hex()}')")
    found = client.query("SELECT note FROM customers WHERE id = -2")
    client.close()
    report.expect(
        [bytes(row[0]) for row in found] == [envelope], "an envelope's bytes as latin1 text came back changed"
    )


def check_explain(driver: type, to: settings.Endpoint, report: Report) -> None:
    """EXPLAIN CANDADO is a result as any other in the text protocol, and refused in the binary one."""
    client = driver(to)
    try:
        found = client.query("EXPLAIN CANDADO SELECT id FROM customers WHERE phone = %s", ("+34 600 000 001",))
    except Exception as error:  # As above.
        code = getattr(error, "errno", None) or (error.args and error.args[0])
        report.expect((driver.protocol, code) == ("binary", 1235), f"{label(driver)} got {error!r} for EXPLAIN CANDADO")
    else:
        sent = "SELECT id FROM customers WHERE (phone >= <tag> AND phone < <tag+1>)"
        expected = [("outcome", "rewritten"), ("sent", sent), ("index", f"{to.database}.customers.phone")]
        report.expect((driver.protocol, found) == ("text", expected), f"{label(driver)}: EXPLAIN CANDADO gives {found}")
    # The connection goes on.
    report.expect(client.query("SELECT 1") == [(1,)], f"{label(driver)} is out of step after EXPLAIN CANDADO")
    client.close()


def make_plain_table() -> None:
    """The table that --plain works on."""
    client = drivers.PyMySQL(settings.administrator())
    client.execute("DROP TABLE IF EXISTS customers")
    client.execute(
        "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100), phone VARCHAR(40), address VARCHAR(255),"
        " note TEXT, KEY (phone)) CHARACTER SET utf8mb4"
    )
    client.close()


def print_table(head: list[str], body: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    for line in [head, ["-" * width for width in widths], *body]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def sample_envelope(to: settings.Endpoint, plain: bool) -> bytes:
    """The bytes of a real envelope: made through the proxy, read directly."""
    if plain:
        return settings.ENVELOPE_MAGIC + bytes(range(0x80, 0x100))
    client = drivers.PyMySQL(to)
    client.execute(INSERT, (-1, "sample", "+34 600 999 999", None, "sample"))
    client.close()
    direct = drivers.PyMySQL(settings.administrator(), raw=True)
    envelope = direct.query("SELECT note FROM customers WHERE id = -1")[0][0]
    direct.execute("DELETE FROM customers WHERE id = -1")
    direct.close()
    return bytes(envelope)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", action="store_true", help="straight to the server, on a table made here")
    plain = parser.parse_args().plain
    to = settings.application(plain)
    if plain:
        make_plain_table()
    else:
        direct = drivers.PyMySQL(settings.administrator())
        direct.execute("DELETE FROM customers")
        direct.close()

    report = Report()
    envelope = sample_envelope(to, plain)
    written, sealed_value = {}, {}
    for number, driver in enumerate(drivers.ALL, start=1):
        written[label(driver)] = rows_of(number, envelope)
        write_rows(driver, to, written[label(driver)])
    body = []
    for driver in drivers.ALL:
        wrong = read_rows(driver, to, written, report)
        body.append([label(driver), *("ok" if count == 0 else f"{count} wrong" for count in wrong.values())])
    for number, driver in enumerate(drivers.ALL, start=1):
        sealed_value[label(driver)] = check_envelope_value(driver, number, to, envelope, report)
    check_envelope_text(to, envelope, report)
    if not plain:
        check_stored(report)
        for driver in drivers.ALL:
            check_explain(driver, to, report)

    print("Rows: who reads. Columns: who wrote.")
    print_table(["", *(str(i) for i in range(1, len(body) + 1))], [[f"{i} {b[0]}", *b[1:]] for i, b in enumerate(body, 1)])
    print("\nA value that is itself an envelope, as bytes:")
    for driver, outcome in sealed_value.items():
        print(f"  {driver}: {outcome}")
    print(f"{report.checks} checks, {len(report.failures)} failures")
    for failure in report.failures[:50]:
        print("  " + failure)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
