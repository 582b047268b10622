"""Writes the customers of the Chinook sample database as JSON to standard output.

The argument is a wheel that carries the database as an SQLite file. Nobody here wrote these people: they are
fictitious, with addresses and telephone numbers as their countries write them. One has no telephone number.
"""

import json
import sqlite3
import sys
import tempfile
import zipfile

MEMBER = "db/data/chinook.sqlite"
QUERY = """
    SELECT CustomerId AS id, FirstName || ' ' || LastName AS name, Country AS country, Phone AS phone, Email AS email,
           Address || ', ' || COALESCE(PostalCode || ' ', '') || City AS address
    FROM Customer ORDER BY CustomerId
"""


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel, tempfile.NamedTemporaryFile(suffix=".sqlite") as copy:
        copy.write(wheel.read(MEMBER))
        copy.flush()
        connection = sqlite3.connect(copy.name)
        connection.row_factory = sqlite3.Row
        people = [dict(row) for row in connection.execute(QUERY)]
        connection.close()
    json.dump(people, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
