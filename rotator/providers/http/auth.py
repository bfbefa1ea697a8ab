"""The identity of a caller (bearer, basic, key), the protocol for its secrets, and how they are put into a request."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

from rotator.ports import Document, Refused
from rotator.rotation.secret import Secret, SecretRef

if TYPE_CHECKING:
    from rotator.providers.keys.signing import Signer, VersionedKey

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_VISIBLE = re.compile(r"[!-~]+")  # RFC 9110, section 5.5, without blanks


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
Minter = Callable[[], Awaitable[Auth]]  # called for every request, so that the minter can be rotated too


class DocumentStore(Protocol):
    """One document in Vault that a provider writes for consumers. `str` gives its path. Both verbs may raise Transient
    or Refused."""

    async def read(self) -> Document:
        """The newest version, by a strong read."""
        ...

    async def write(self, values: Mapping[str, object], over: int) -> int:
        """Write over this version, and return the new one. Raises Conflict when another process wrote."""
        ...


class SecretResolver(Protocol):
    """Resolves references to secrets, signing keys and documents. All verbs may raise Transient or Refused."""

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to."""
        ...

    def transit(self, key: str) -> Signer:
        """A signer whose key stays in Vault: "mount/name"."""
        ...

    def versions(self, key: str) -> VersionedKey:
        """The same key, to create versions of it."""
        ...

    def document_store(self, path: str) -> DocumentStore:
        """A document that the daemon may write: "mount/path"."""
        ...


class Unsendable(Refused):
    """The secret does not fit into a header. Nothing was sent."""


def header(auth: Auth) -> tuple[str, str]:
    """The header's name and value. They are checked here because h11 quotes a header that it refuses."""
    if isinstance(auth, Bearer):
        token = auth.secret.reveal()
        if not _TOKEN.fullmatch(token):
            raise Unsendable("the token holds characters that no Authorization header may carry")
        return "Authorization", f"Bearer {token}"
    if isinstance(auth, ApiKey):
        key = auth.secret.reveal()
        if not _VISIBLE.fullmatch(key):
            raise Unsendable("the key holds characters that no header may carry")
        return auth.header, f"{auth.prefix}{key}"
    name, password = auth.username, auth.password.reveal()
    try:
        if auth.quoted:
            name, password = quote_plus(name), quote_plus(password)
        if ":" in name:
            raise Unsendable("a Basic Auth name must not contain a colon")
        return "Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()
    except UnicodeEncodeError:
        raise Unsendable("the Basic Auth name or password is not text that UTF-8 can hold") from None


def revealed(body: Any) -> Any:
    """A form or JSON body with its secrets revealed."""
    if isinstance(body, Secret):
        return body.reveal()
    if isinstance(body, dict):
        return {name: revealed(each) for name, each in body.items()}
    return [revealed(each) for each in body] if isinstance(body, list) else body
