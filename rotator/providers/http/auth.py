"""How a caller identifies itself; where its secrets come from is left to app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rotator.ports import Document
from rotator.rotation.secret import Secret
from rotator.rotation.secret_ref import SecretRef

if TYPE_CHECKING:
    from rotator.providers.keys.key_pairs import VersionedKey
    from rotator.providers.keys.signing import Signer


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in the Authorization header."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password (RFC 7617); the name must not contain a colon, unless both are quoted as in a form, which
    RFC 6749, section 2.3.1, asks of the clients of an OAuth server."""

    username: str
    password: Secret
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in a header of its own, after a prefix."""

    secret: Secret
    header: str = "Authorization"
    prefix: str = "Bearer "


Auth = Bearer | Basic | ApiKey
Minter = Callable[[], Awaitable[Auth]]  # asked anew for every call, so that the minter can be rotated too


class DocumentStore(Protocol):
    """One document in Vault that a provider keeps for others. Its text says where; both verbs may raise Transient or
    Refused."""

    async def read(self) -> Document:
        """The newest version, read strongly."""
        ...

    async def write(self, values: Mapping[str, object], over: int) -> int:
        """Write over this version, and return the new one. Raises Conflict when somebody else wrote."""
        ...


class SecretResolver(Protocol):
    """Where secrets and signing keys are. All verbs may raise Transient or Refused."""

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to."""
        ...

    def transit(self, key: str) -> Signer:
        """A signer whose key stays in Vault: "mount/name"."""
        ...

    def versions(self, key: str) -> VersionedKey:
        """The same key, to make versions of it."""
        ...

    def document_store(self, path: str) -> DocumentStore:
        """A document that the daemon may write: "mount/path"."""
        ...
