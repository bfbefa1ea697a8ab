"""Owns how a caller identifies itself; where its secrets come from is left to app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rotator.rotation.reference import SecretRef
from rotator.rotation.secret import Secret

if TYPE_CHECKING:
    from rotator.providers.signing import Signer


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token in the Authorization header."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password (RFC 7617); the name must not contain a colon."""

    username: str
    password: Secret


Auth = Bearer | Basic
Minter = Callable[[], Awaitable[Auth]]  # asked anew for every call, so that the minter can be rotated too


class Keyring(Protocol):
    """Where secrets and signing keys are. Both verbs may raise Transient or Refused."""

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to."""
        ...

    def transit(self, key: str) -> Signer:
        """A signer whose key stays in Vault: "mount/name"."""
        ...
