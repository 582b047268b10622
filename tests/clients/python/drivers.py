"""One small face for every Python driver: connect, execute, executemany, query, close.

Each class is one driver in one protocol. `raw=True` asks the driver for bytes in place of str.
"""

# The connector's C extension brings an OpenSSL that is newer than some systems' own. The first one
# that is loaded serves the whole process, so this import stands before all that use TLS.
import _mysql_connector  # noqa: F401

import asyncio
import ssl

import aiomysql
import asyncmy
import mysql.connector
import MySQLdb
import pymysql

from settings import Endpoint


def tls_context(ca: str) -> ssl.SSLContext:
    """A client's TLS settings that trust one authority only."""
    return ssl.create_default_context(cafile=ca)


class Blocking:
    """A driver that follows DB-API 2.0."""

    name = ""
    protocol = "text"
    # Whether a parameter may be bytes.
    takes_bytes = True

    @staticmethod
    def as_read(value):
        """What the driver makes of a stored value, directly at a server too."""
        return value

    def __init__(self, to: Endpoint, raw: bool = False):
        self.connection = self.connect(to, raw)

    def connect(self, to: Endpoint, raw: bool):
        raise NotImplementedError

    def cursor(self):
        return self.connection.cursor()

    def execute(self, sql: str, values: tuple = ()) -> int:
        cursor = self.cursor()
        cursor.execute(sql, values)
        count = cursor.rowcount
        cursor.close()
        return count

    def executemany(self, sql: str, rows: list[tuple]) -> None:
        cursor = self.cursor()
        cursor.executemany(sql, rows)
        cursor.close()

    def query(self, sql: str, values: tuple = ()) -> list[tuple]:
        cursor = self.cursor()
        cursor.execute(sql, values)
        rows = [tuple(row) for row in cursor.fetchall()]
        cursor.close()
        return rows

    def close(self) -> None:
        self.connection.close()


class PyMySQL(Blocking):
    name = "PyMySQL"
    charset = "utf8mb4"

    def connect(self, to, raw):
        return pymysql.connect(
            host=to.host, port=to.port, user=to.user, password=to.password, database=to.database,
            charset=self.charset, autocommit=True, use_unicode=not raw,
            ssl=tls_context(to.ca) if to.ca else None, ssl_disabled=not to.ca,
        )


class PyMySQLLatin1(PyMySQL):
    """Not in the matrix: with this character set every sequence of bytes is a text."""

    charset = "latin1"


class MySQLClient(Blocking):
    name = "mysqlclient"

    def connect(self, to, raw):
        tls = {"ssl": {"ca": to.ca}} if to.ca else {}
        return MySQLdb.connect(
            host=to.host, port=to.port, user=to.user, password=to.password, database=to.database,
            charset="utf8mb4", autocommit=True, use_unicode=not raw, **tls,
        )


class ConnectorPureText(Blocking):
    name = "connector (pure)"
    pure = True
    prepared = False

    def connect(self, to, raw):
        tls = {"ssl_ca": to.ca, "ssl_verify_cert": True} if to.ca else {"ssl_disabled": True}
        return mysql.connector.connect(
            host=to.host, port=to.port, user=to.user, password=to.password, database=to.database,
            charset="utf8mb4", autocommit=True, use_pure=self.pure, raw=raw, **tls,
        )

    def cursor(self):
        return self.connection.cursor(prepared=True) if self.prepared else self.connection.cursor()


class ConnectorPurePrepared(ConnectorPureText):
    protocol = "binary"
    prepared = True


class ConnectorCText(ConnectorPureText):
    name = "connector (C)"
    pure = False


class ConnectorCPrepared(ConnectorCText):
    protocol = "binary"
    prepared = True

    @staticmethod
    def as_read(value):
        # Its prepared cursor ends a text at the first NUL.
        return value.split("\0")[0] if isinstance(value, str) else value


class Awaiting(Blocking):
    """A driver for asyncio, run to the end of each call on a loop of its own."""

    module = None

    def connect(self, to, raw):
        self.loop = asyncio.new_event_loop()
        options = {"ssl": tls_context(to.ca)} if to.ca else {}
        if raw:
            options["use_unicode"] = False
        return self.loop.run_until_complete(
            self.module.connect(
                host=to.host, port=to.port, user=to.user, password=to.password,
                **{self.database_option: to.database}, charset="utf8mb4", autocommit=True, **options,
            )
        )

    async def with_cursor(self, method: str, sql: str, values, fetch: bool):
        async with self.connection.cursor() as cursor:
            await getattr(cursor, method)(sql, values)
            return [tuple(row) for row in await cursor.fetchall()] if fetch else cursor.rowcount

    def execute(self, sql, values=()):
        return self.loop.run_until_complete(self.with_cursor("execute", sql, values, fetch=False))

    def executemany(self, sql, rows):
        self.loop.run_until_complete(self.with_cursor("executemany", sql, rows, fetch=False))

    def query(self, sql, values=()):
        return self.loop.run_until_complete(self.with_cursor("execute", sql, values, fetch=True))

    def close(self):
        self.connection.close()
        self.loop.close()


class AioMySQL(Awaiting):
    name = "aiomysql"
    module = aiomysql
    # It raises TypeError before it sends anything.
    takes_bytes = False
    database_option = "db"


class AsyncMy(Awaiting):
    name = "asyncmy"
    module = asyncmy
    database_option = "db"


ALL = [
    PyMySQL, MySQLClient, AioMySQL, AsyncMy,
    ConnectorPureText, ConnectorPurePrepared, ConnectorCText, ConnectorCPrepared,
]
