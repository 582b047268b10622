"""The shop with its rows, on a free port of this machine, for as long as a `with` lasts."""

import contextlib
import socket
import threading

import uvicorn

from app import app, one
from points import SECRET

SEED = [
    "DELETE FROM products",
    "DELETE FROM users",
    "DELETE FROM comments",
    "DELETE FROM secrets",
    "DELETE FROM customers",
    "INSERT INTO products (id, name, category, price, stock) VALUES (1, 'hammer', 'tools', 20, 3), "
    "(2, 'saw', 'tools', 35, 1), (3, 'rose', 'garden', 4, 100), (4, 'spade', 'garden', 28, 0)",
    "INSERT INTO users (id, name, password, nickname) VALUES (1, 'ann', 'correct horse', 'a'), (2, 'bob', 'x', 'b')",
    "INSERT INTO comments (product, author, text) VALUES (1, 'ann', 'sturdy'), (2, 'bob', 'SELECT it OR 1=1')",
    f"INSERT INTO secrets (id, token) VALUES (1, '{SECRET}')",
    "INSERT INTO customers (id, name, phone, address) VALUES (1, 'Ana', '+34 600 000 001', 'Calle Mayor 1'), "
    "(2, 'Bo', '+46 70 000 00 02', 'Storgatan 2')",
    "REPLACE INTO visitors (id, name) VALUES (1, 'ann')",
]


def seed() -> None:
    """Puts the rows back that the tests expect."""
    for statement in SEED:
        one.run(statement)


@contextlib.contextmanager
def open_shop():
    """Serves; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        # An attack may have left statements behind that take for ever.
        thread.join(timeout=10)
