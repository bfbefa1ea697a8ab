"""The users of the sandbox, their roles and passwords.

What a user may do is left to `roles`; how it is shown to `documents`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from tests.sandbox.cms.refusals import Refused, duplicate_name


@dataclass(slots=True)
class User:
    """One user. `administrator` marks the one made by the set-up, whose document has more fields."""

    name: str
    created: datetime
    email: str
    display_name: str
    roles: tuple[str, ...] = ()
    disabled: bool | None = None
    email_verified: bool = False
    administrator: bool = False
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    digest: bytes = field(default=b"", repr=False)
    version: int = 1

    def set_password(self, password: str) -> None:
        """Keep a salted digest. Not a password hash worth the name: nothing here outlives a test."""
        self.digest = self._digest_of(password)

    def knows(self, password: str) -> bool:
        """Whether this is the password."""
        return bool(self.digest) and hmac.compare_digest(self.digest, self._digest_of(password))

    def _digest_of(self, password: str) -> bytes:
        return hashlib.sha256(self.salt + password.encode()).digest()


class Users:
    """All users, by name."""

    def __init__(self) -> None:
        """Starts without any, like a server that was never set up."""
        self._by_name: dict[str, User] = {}

    def get(self, name: str) -> User | None:
        """A user by name; e-mail addresses do not log in."""
        return self._by_name.get(name)

    def add(self, user: User) -> None:
        """Raises Refused (400) for a taken name."""
        if user.name in self._by_name:
            raise duplicate_name()
        self._by_name[user.name] = user

    def require(self, name: str) -> User:
        """A user that must exist. Raises Refused (404)."""
        user = self.get(name)
        if user is None:
            raise Refused(404, "User Not Found", "No such user.")
        return user

    def remove(self, name: str) -> None:
        """Raises Refused (404) for an unknown one."""
        self.require(name)
        del self._by_name[name]
