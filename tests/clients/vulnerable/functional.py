"""The shop's own tests, and one attack on each of its injection points.

    functional.py honest     no attacks: what a profile is learned from
    functional.py open       attacks succeed: the shop is as vulnerable as it is meant to be
    functional.py guarded    attacks are refused, and nothing of another table is shown

Prints one line for each test. Ends with 1 if one fails.
"""

import sys

import httpx

from points import POINTS, SECRET, Point
from shop import open_shop, seed

HAMMER, SAW, ROSE = [1, "hammer", 20], [2, "saw", 35], [3, "rose", 4]

# Method, path, what is sent, status and answer.
TESTS = [
    ("get", "/product", {"id": "1"}, 200, [HAMMER]),
    ("get", "/product", {"id": "99"}, 200, []),
    ("get", "/category", {"name": "tools"}, 200, [HAMMER, SAW]),
    ("get", "/category", {"name": "SELECT or UNION -- #"}, 200, []),
    ("get", "/search", {"q": "a"}, 200, [HAMMER, SAW]),
    ("get", "/search", {"q": ""}, 200, [HAMMER, SAW, ROSE]),
    ("get", "/sorted", {"by": "price"}, 200, [ROSE, HAMMER, SAW]),
    ("get", "/sorted", {"by": "price DESC, id"}, 200, [SAW, HAMMER, ROSE]),
    ("get", "/sorted", {"by": "2"}, 200, [HAMMER, ROSE, SAW]),
    ("get", "/page", {"limit": "2"}, 200, [HAMMER, SAW]),
    ("get", "/page", {"limit": "1, 1"}, 200, [SAW]),
    ("post", "/comment", {"product": "3", "author": "bob", "text": "1 OR 1=1 -- x"}, 200, {"thanks": "bob"}),
    ("get", "/comments", {"product": "3"}, 200, [[3, "bob", "1 OR 1=1 -- x"]]),
    ("post", "/nickname", {"user": "ann", "nickname": "annie; DROP"}, 200, [["ann", "annie; DROP"]]),
    ("post", "/login", {"name": "ann", "password": "correct horse"}, 200, [1, "ann"]),
    ("post", "/login", {"name": "ann", "password": "wrong"}, 401, {"error": "wrong name or password"}),
    ("json", "/filter", {"category": "tools", "price_max": "30"}, 200, [HAMMER]),
    ("post", "/register", {"name": "bob"}, 200, {"registered": True}),
    ("get", "/mine", {}, 200, [[2, "bob", "SELECT it OR 1=1"], [3, "bob", "1 OR 1=1 -- x"]]),
    ("get", "/stacked", {"name": "saw"}, 200, [SAW]),
    ("get", "/customer", {"phone": "+34 600 000 001"}, 200, [["Ana", "+34 600 000 001", "Calle Mayor 1"]]),
    ("get", "/customer", {"phone": "+1 555 0100"}, 200, []),
]


def send(client: httpx.Client, method: str, path: str, values: dict) -> httpx.Response:
    if method == "get":
        return client.get(path, params=values)
    if method == "post":
        return client.post(path, data=values)
    return client.post(path, json=values)


def attack(client: httpx.Client, point: Point) -> tuple[bool, bool]:
    """Attacks by hand: whether the secret came to light, and whether the firewall refused."""
    method = "get" if point.query else "post" if point.form else "json"
    values = {**point.query, **point.form, **point.body, point.parameter: point.attack}
    answers = [send(client, method, point.path, values).text]
    if point.shown_at:
        answers.append(client.get(point.shown_at).text)
    return any(SECRET in answer for answer in answers), any('"6444"' in answer for answer in answers)


def main(state: str) -> int:
    failures = 0

    def report(name: str, passed: bool, detail: object) -> None:
        nonlocal failures
        failures += not passed
        print(f"{'ok' if passed else 'FAILED':8}{name}{'' if passed else f': {detail}'}", flush=True)

    with open_shop() as address, httpx.Client(base_url=address, timeout=60) as client:
        seed()
        for method, path, values, status, expected in TESTS:
            answer = send(client, method, path, values)
            passed = (answer.status_code, answer.json()) == (status, expected)
            report(f"{path} {values}", passed, f"{answer.status_code} {answer.text}")
        seed()
        for point in POINTS if state != "honest" else []:
            outcome = attack(client, point)
            expected = {"open": (True, False), "guarded": (False, True)}[state]
            report(f"attack on {point.name}", outcome == expected, f"secret seen, refused: {outcome}")
        seed()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
