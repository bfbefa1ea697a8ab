"""JWK Sets (RFC 7517), and where they are kept: a file that a web server serves, or a document in Vault.

A change is a read, a merge and a check-and-set write. A fault of a place is always Transient: a key that cannot join or
leave now is tried again later.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio

from rotator.host.files import LockTimeoutError, contents, locked_folder
from rotator.host.threads import Threads
from rotator.ports import Conflict, Refused, Transient
from rotator.providers.http.auth import DocumentStore
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.rotation.token_names import begins

MARK = "rotator"  # a member for our mint name; readers ignore unknown members (RFC 7517, section 4)
_MEND = "mend it, and keep the keys that bear our mark, as one of them is published"
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518, section 6
_PUBLIC = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "x5u", "x5c", "x5t", "x5t#S256")
Jwk = Mapping[str, Any]
KEY = "jwks"  # the key in a Vault document: the whole set as one text
_TRIES = 5
_READABLE = 0o644  # so that the web server can read it
_LARGEST = 1024 * 1024  # bytes of a set
_PATIENCE = 20.0  # seconds for a change or a read
_LOCK = 5.0  # seconds for the lock of the folder
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeySet:
    """A JWK Set. Other programs' keys and members are kept."""

    keys: tuple[Jwk, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)

    def having(self, jwk: Jwk) -> KeySet:
        """The set with this key, replacing one with the same `kid`."""
        if any(each.get("kid") == jwk["kid"] for each in self.keys):
            return replace(self, keys=tuple(jwk if each.get("kid") == jwk["kid"] else each for each in self.keys))
        return replace(self, keys=(*self.keys, jwk))

    def without(self, kid: str) -> KeySet:
        """The set without the key with this `kid`."""
        return replace(self, keys=tuple(each for each in self.keys if each.get("kid") != kid))

    def marked(self, prefix: str) -> dict[str, str]:
        """The mint names of our keys that begin with this, by `kid`."""
        named = {str(each.get("kid", "")): str(each.get(MARK, "")) for each in self.keys}
        return {kid: name for kid, name in named.items() if kid and name and begins(name, prefix)}

    def kids(self) -> set[str]:
        """The `kid` of every key that has one."""
        return {str(each["kid"]) for each in self.keys if each.get("kid")}

    def __contains__(self, kid: object) -> bool:
        return any(each.get("kid") == kid for each in self.keys)

    def text(self) -> str:
        """The whole set, as it is stored and read by servers."""
        return json.dumps({**self.beside, "keys": [dict(each) for each in self.keys]}, indent=1)

    def shown(self) -> str:
        """The set for publication: only registered public members, of asymmetric keys only."""
        fit = [each for each in self.keys if each.get("kty") in ("RSA", "EC", "OKP")]
        keys = [{name: each[name] for name in _PUBLIC if name in each} for each in fit]
        return json.dumps({"keys": keys}, separators=(",", ":"))


def parse(text: str) -> KeySet:
    """Parse a set; an empty text is an empty set. Raises Refused without quoting it."""
    if not text.strip():
        return KeySet()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("holds no JSON, where a JWK Set should be", remedy=_MEND) from None
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        raise Refused("holds no JWK Set, which is an object with an array `keys` of objects", remedy=_MEND)
    if any(_PRIVATE & each.keys() for each in keys):
        raise Refused("holds a private or symmetric key, which whatever servers read must not", remedy=_MEND)
    return KeySet(tuple(keys), {name: value for name, value in document.items() if name != "keys"})


Change = Callable[[KeySet], KeySet]


class JwksStore(Protocol):
    """A place where a set is kept. Both verbs may raise Transient."""

    async def read(self) -> KeySet:
        """The set as it is now."""
        ...

    async def change(self, change: Change) -> bool:
        """Apply a change. Whether it changed anything."""
        ...


class JwksDocument:
    """A set in a Vault document. Other keys of the document are kept."""

    def __init__(self, document_store: DocumentStore) -> None:
        self._shelf = document_store

    async def read(self) -> KeySet:
        """See `JwksStore`."""
        try:
            return parse((await self._shelf.read()).text(KEY))
        except Refused as fault:
            raise Transient(f"{self._shelf}: {fault.what}", remedy=fault.remedy) from None

    async def change(self, change: Change) -> bool:
        """See `JwksStore`."""
        try:
            return await self._change(change)
        except Refused as fault:
            raise Transient(f"{self._shelf}: {fault.what}", remedy=fault.remedy) from None

    async def _change(self, change: Change) -> bool:
        for _ in range(_TRIES):
            document = await self._shelf.read()
            before = parse(document.text(KEY))
            after = change(before)
            if after == before:
                return False
            try:
                await self._shelf.write({**(document.values or {}), KEY: after.text()}, document.version)
            except Conflict:
                continue
            return True
        raise Transient(f"{self._shelf} is written by others all the time")


class JwksFile:
    """A set in a file, which is replaced atomically; a link is followed. It belongs to this host: daemons on several
    hosts need a document."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._threads = _threads(self._path.parent)

    async def read(self) -> KeySet:
        """See `JwksStore`."""
        return await self._in_time(self._read)

    async def change(self, change: Change) -> bool:
        """See `JwksStore`."""
        by = time.monotonic() + _PATIENCE
        return await self._in_time(partial(self._change, change, by))

    async def _in_time(self, call: Callable[[], T]) -> T:
        with anyio.move_on_after(_PATIENCE):
            return await self._threads.run(call)
        raise Transient(f"{self._path}: no end of reading or writing within {_PATIENCE:g} s; does its disk answer?")

    def _read(self) -> KeySet:
        with self._told():
            return self._found()

    def _change(self, change: Change, by: float) -> bool:
        """`by`: monotonic seconds after which nothing is changed, because the caller has given up."""
        with self._told():
            real = self._path.resolve()
            with locked_folder(real.parent, min(by, time.monotonic() + _LOCK)) as folder:
                before = self._found()
                after = change(before)
                if after == before:
                    return False
                if time.monotonic() > by:
                    raise Transient(f"{self._path}: it took too long to be changed")
                _replace(real, after.text() + "\n")
                os.fsync(folder)  # so that the rename survives a power cut
                return True

    def _found(self) -> KeySet:
        try:
            return parse(contents(self._path, _LARGEST).decode())
        except FileNotFoundError:
            return parse("")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            said = f"the key set {self._path} cannot be read or replaced: {fault.strerror or 'unusable'}"
            raise Transient(
                said, remedy="the daemon needs to write in its folder (ReadWritePaths of the unit)"
            ) from None
        except LockTimeoutError as fault:
            raise Transient(f"{self._path}: {fault}") from None
        except UnicodeDecodeError:
            raise Transient(f"{self._path} is no text, where a JWK Set should be") from None
        except Refused as fault:
            raise Transient(f"{self._path}: {fault.what}", remedy=fault.remedy) from None


@cache
def _threads(folder: Path) -> Threads:
    """The threads of one folder: a network drive that hangs does not block files elsewhere."""
    return Threads(f"files in {folder}", 2)


class DocumentStores(Protocol):
    """Gives access to documents in Vault."""

    def document_store(self, path: str) -> DocumentStore: ...


def places_of(options: AssertionKeyOptions, shelves: DocumentStores) -> list[JwksStore]:
    """The places of a set. All have the same content, unless a fault delayed one of them."""
    places: list[JwksStore] = [JwksDocument(shelves.document_store(options.jwks))] if options.jwks else []
    return places + ([JwksFile(options.jwks_file)] if options.jwks_file else [])


def _replace(path: Path, text: str) -> None:
    handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), _READABLE)
            os.fsync(file.fileno())
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
