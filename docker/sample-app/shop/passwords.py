"""Passwords become hashes here, and nowhere else is one seen."""

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# Argon2id at the least cost that OWASP's Password Storage Cheat Sheet asks for: 19 MiB, two passes.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

# Compared with when nobody has the e-mail address, so that the answer takes as long as for a wrong password.
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """A salted hash to store in place of the password."""
    return _hasher.hash(password)


def is_right(password: str, stored: str | None) -> bool:
    """Whether the hash was made of that password."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except VerifyMismatchError:
        return False
