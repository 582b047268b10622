"""What every ORM's story has in common: the rows, how steps are taken, and how two runs are compared.

A story runs twice, directly on plain tables and through the proxy on the protected one. What a step
gives must be the same, in values and types. What the product refuses is refused with one of CODES,
and each story lists the steps that may end so: anything else that is refused is a failure.
"""

from dataclasses import dataclass, field

# id, name, phone, address, note.
ROWS = [
    (1, "Ana", "+34 600 000 001", "Calle Mayor 1", "first"),
    (2, "Émile", "+33 1 23 45 67 89", "12 rue de l'Église", ""),
    (3, "花子", "+81 90 1234 5678", "東京都千代田区 😀", None),
    (4, "Nobody", None, None, None),
    (5, "Empty", "", "", ""),
]
FIELDS = ("id", "name", "phone", "address", "note")
# Ana's number as people in Spain write it.
ANOTHER_NOTATION = "600-000-001"
# Not supported for a protected column.
CODES = {1235}


def typed(value):
    """A value with its Python types all the way down, for comparison."""
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [typed(item) for item in value])
    if isinstance(value, dict):
        return ("dict", [(key, typed(item)) for key, item in value.items()])
    return (type(value).__name__, value)


def values(customer):
    """The attributes of a customer, as the application sees them."""
    return None if customer is None else tuple(getattr(customer, name) for name in FIELDS)


def error_code(error: BaseException) -> int | None:
    """The server's error code that an ORM's own exception wraps."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        for candidate in (getattr(error, "errno", None), *getattr(error, "args", ())):
            if isinstance(candidate, int) and candidate > 999:
                return candidate
            # Tortoise keeps the driver's exception as the argument of its own.
            if isinstance(candidate, BaseException) and (code := error_code(candidate)):
                return code
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return None


@dataclass
class Steps:
    """The steps of one run, in order."""

    # Whether the table is the protected one.
    protected: bool
    taken: list[tuple] = field(default_factory=list)

    def done(self, name: str, outcome) -> None:
        self.taken.append((name, typed(outcome)))

    def failed(self, name: str, error: BaseException) -> None:
        code = error_code(error)
        if code is None:
            raise error
        self.taken.append((name, ("error", code)))

    def take(self, name: str, step) -> None:
        """Takes a step and keeps what it gives, or the code of the error that it ends with."""
        try:
            outcome = step()
        except Exception as error:  # Every ORM has its own classes; the code tells.
            self.failed(name, error)
        else:
            self.done(name, outcome)

    async def take_async(self, name: str, step) -> None:
        """The same for a step that is awaited."""
        try:
            outcome = await step()
        except Exception as error:  # As above.
            self.failed(name, error)
        else:
            self.done(name, outcome)


def compare(
    title: str, expected: list[tuple], found: list[tuple], may_be_refused: set[str], may_fail: set[str]
) -> int:
    """Prints what differs between the direct run and the one through the proxy; gives its number."""
    refused, different = [], []
    for (name, before), (after_name, after) in zip(expected, found, strict=True):
        assert name == after_name, (name, after_name)
        if name in may_be_refused and after[0] == "error" and after[1] in CODES and before[0] != "error":
            refused.append(name)
        # A step that fails without the product, too, says nothing.
        elif before != after or before[0] == "error" and name not in may_fail:
            different.append((name, before, after))
    print(f"{title}: {len(expected)} steps, {len(refused)} refused, {len(different)} different")
    if refused:
        print(f"  refused: {', '.join(refused)}")
    for name, before, after in different:
        print(f"  {name}\n    direct: {before}\n    proxy:  {after}")
    unknown = (may_be_refused | may_fail) - {name for name, _ in expected}
    assert not unknown, f"no such steps: {unknown}"
    return len(different)
