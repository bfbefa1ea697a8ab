"""The only type that may hold a secret value, and references to where secrets are kept."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NoReturn, final
from weakref import WeakSet, ref


@final
class Secret:
    """A secret value with a single exit, `reveal()`.

    It has no readable repr, cannot be formatted, pickled or copied into JSON, and compares in constant time.
    Every living instance is known to `Secret.living()`, and a new one to `NewSecrets`: the log filter redacts them.
    """

    __slots__ = ("__weakref__", "_text")
    _living: ClassVar[WeakSet[Secret]] = WeakSet()
    _counting: ClassVar[list[ref[NewSecrets]]] = []

    def __init__(self, text: str) -> None:
        """Wrap a value. Raises TypeError for anything but text, ValueError for an empty one."""
        if not isinstance(text, str):
            raise TypeError("a secret is text")
        if not text:
            raise ValueError("a secret must not be empty")
        self._text = text
        Secret._living.add(self)
        for each in tuple(Secret._counting):
            if new := each():
                new.made.add(self)

    @classmethod
    def living(cls) -> tuple[Secret, ...]:
        """Every secret that this process still references."""
        while True:
            try:
                return tuple(cls._living)
            except RuntimeError:  # another thread made a secret meanwhile
                continue

    def reveal(self) -> str:
        """The value itself. Each call site is counted by a test."""
        return self._text

    def matches(self, other: Secret) -> bool:
        """Whether both hold the same value. The comparison takes constant time."""
        return hmac.compare_digest(self._bytes(), other._bytes())

    def fingerprint(self, key: bytes) -> str:
        """HMAC-SHA-256 of the value, the first 16 hex digits. It recognises a value without storing it."""
        return hmac.new(key, self._bytes(), hashlib.sha256).hexdigest()[:16]

    def _bytes(self) -> bytes:
        return self._text.encode(errors="surrogatepass")  # JSON can carry half a surrogate pair

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret cannot be formatted")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class NewSecrets:
    """The living secrets that were made since the last look. The first look finds all of them."""

    def __init__(self) -> None:
        self.made: WeakSet[Secret] = WeakSet()
        Secret._counting.append(ref(self, Secret._counting.remove))
        for secret in Secret.living():
            self.made.add(secret)

    def look(self) -> list[Secret]:
        """Those made since the last look. May be called from any thread, and while others make secrets."""
        found: list[Secret] = []
        while self.made:
            try:
                found.append(self.made.pop())
            except KeyError:  # the last ones died meanwhile
                break
        return found


class SecretSource(StrEnum):
    """Where a secret is kept."""

    FILE = "file"
    CREDENTIAL = "credential"
    VAULT = "vault"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is found, safe to log: an absolute file, a systemd credential, or a key of a Vault document."""

    source: SecretSource
    name: str  # the file, the credential's name, or "mount/path"
    key: str = ""  # the key within the Vault document

    def __str__(self) -> str:
        return f"{self.source}:{self.name}" + (f"#{self.key}" if self.key else "")
