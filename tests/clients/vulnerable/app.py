"""A shop that pastes what it is sent into its SQL, once in each way that applications do. For tests alone.

FastAPI and PyMySQL. CANDADO_HOST, CANDADO_PORT, CANDADO_USER, CANDADO_PASSWORD and CANDADO_DATABASE say where its
database is: a server, or the proxy before it. Errors of the database are shown to the visitor, as careless ones do.
"""

import os
import queue
from typing import Annotated
from urllib.parse import parse_qsl

import pymysql
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pymysql.constants import CLIENT

app = FastAPI(title="Shop")


async def read_form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


Form = Annotated[dict, Depends(read_form)]


class Pool:
    """Connections that are kept from request to request, since an attack makes many thousands of them."""

    def __init__(self, client_flag: int):
        self.idle: queue.LifoQueue = queue.LifoQueue()
        self.client_flag = client_flag

    def connect(self) -> pymysql.Connection:
        return pymysql.connect(
            host=os.environ["CANDADO_HOST"],
            port=int(os.environ["CANDADO_PORT"]),
            user=os.environ["CANDADO_USER"],
            password=os.environ["CANDADO_PASSWORD"],
            database=os.environ["CANDADO_DATABASE"],
            charset="utf8mb4",
            autocommit=True,
            client_flag=self.client_flag,
            read_timeout=20,
        )

    def run(self, sql: str, parameters: tuple | None = None) -> list[list]:
        """Runs a statement; the rows of the last result that has any."""
        try:
            connection = self.idle.get_nowait()
        except queue.Empty:
            connection = self.connect()
        rows: list[list] = []
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                while True:
                    if cursor.description:
                        rows = [list(row) for row in cursor.fetchall()]
                    if not cursor.nextset():
                        break
        except pymysql.MySQLError as error:
            # An error of the server leaves the connection in step; after any other, nobody else gets it.
            if error.args and isinstance(error.args[0], int) and not 2000 <= error.args[0] < 3000:
                self.idle.put(connection)
            else:
                connection.close()
            raise
        self.idle.put(connection)
        return rows


one = Pool(0)
several = Pool(CLIENT.MULTI_STATEMENTS)


@app.exception_handler(pymysql.MySQLError)
def show_error(_: Request, error: pymysql.MySQLError) -> JSONResponse:
    return JSONResponse({"error": [str(part) for part in error.args]}, 500)


@app.get("/product")
def product(id: str):
    """An integer."""
    return one.run(f"SELECT id, name, price FROM products WHERE id = {id}")


@app.get("/category")
def category(name: str):
    """A quoted string."""
    return one.run(f"SELECT id, name, price FROM products WHERE category = '{name}' AND stock > 0")


@app.get("/search")
def search(q: str):
    """A pattern."""
    return one.run(f"SELECT id, name, price FROM products WHERE stock > 0 AND name LIKE '%{q}%'")


@app.get("/sorted")
def sort(by: str):
    """ORDER BY."""
    return one.run(f"SELECT id, name, price FROM products WHERE stock > 0 ORDER BY {by}")


@app.get("/page")
def page(limit: str):
    """LIMIT, on a connection that takes several statements."""
    return several.run(f"SELECT id, name, price FROM products WHERE stock > 0 ORDER BY id LIMIT {limit}")


@app.post("/comment")
def comment(form: Form):
    """INSERT."""
    product, author, text = form["product"], form["author"], form["text"]
    one.run(f"INSERT INTO comments (product, author, text) VALUES ({product}, '{author}', '{text}')")
    return {"thanks": author}


@app.get("/comments")
def comments(product: int):
    """Not vulnerable: shows what was inserted."""
    return one.run("SELECT product, author, text FROM comments WHERE product = %s ORDER BY id", (product,))


@app.post("/nickname")
def nickname(form: Form):
    """UPDATE."""
    one.run(f"UPDATE users SET nickname = '{form['nickname']}' WHERE name = '{form['user']}'")
    return one.run("SELECT name, nickname FROM users WHERE name = %s", (form["user"],))


@app.post("/login")
def login(form: Form):
    """Who is it?"""
    found = one.run(f"SELECT id, name FROM users WHERE name = '{form['name']}' AND password = '{form['password']}'")
    return found[0] if found else JSONResponse({"error": "wrong name or password"}, 401)


class Filter(BaseModel):
    category: str
    price_max: str


@app.post("/filter")
def filter_products(wanted: Filter):
    """A body of JSON."""
    return one.run(
        "SELECT id, name, price FROM products "
        f"WHERE (category = '{wanted.category}' AND price <= {wanted.price_max}) ORDER BY price"
    )


@app.post("/register")
def register(form: Form):
    """Stored as it came, rightly, and trusted later."""
    one.run("REPLACE INTO visitors (id, name) VALUES (1, %s)", (form["name"],))
    return {"registered": True}


@app.get("/mine")
def mine():
    """Second order: what was stored comes back into a statement."""
    [[name]] = one.run("SELECT name FROM visitors WHERE id = 1")
    return one.run(f"SELECT product, author, text FROM comments WHERE author = '{name}'")


@app.get("/stacked")
def stacked(name: str):
    """A quoted string, on a connection that takes several statements."""
    return several.run(f"SELECT id, name, price FROM products WHERE name = '{name}'")


@app.get("/customer")
def customer(phone: str):
    """A quoted string that is compared with a protected column."""
    return one.run(f"SELECT name, phone, address FROM customers WHERE phone = '{phone}'")
