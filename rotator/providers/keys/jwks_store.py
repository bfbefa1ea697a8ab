"""Where a JWK Set is kept: a file that a web server hands out, or a document in Vault. What is in it is jwks.py's.

A change is a read, a merge and a write that loses to nobody. Trouble of a place is always Transient, since a key that
could not join or leave today is tried again tomorrow; nothing is thrown away for it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio

from rotator.host.files import LockTimeoutError, contents, locked_folder
from rotator.host.threads import Threads
from rotator.ports import Conflict, Refused, Transient
from rotator.providers.http.auth import DocumentStore
from rotator.providers.keys.jwks import KeySet, parse
from rotator.providers.oauth.config import AssertionKeyOptions

KEY = "jwks"  # of a Vault document: the whole set as one text, ready for any template
_TRIES = 5
_READABLE = 0o644  # by the web server that hands the set out
_LARGEST = 1024 * 1024  # bytes of a set
_PATIENCE = 20.0  # seconds for a change, or a look
_LOCK = 5.0  # seconds for the lock of the folder

T = TypeVar("T")

Change = Callable[[KeySet], KeySet]


class JwksStore(Protocol):
    """One place where a set is kept. Both verbs raise Transient."""

    async def read(self) -> KeySet:
        """The set as it is now."""
        ...

    async def change(self, change: Change) -> bool:
        """Make a change; whether there was anything to change."""
        ...


class JwksDocument:
    """A set in a Vault document. Foreign keys of the document survive."""

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
    """A set in a file, replaced in one go; a link is followed and stays. It is this host's: for daemons on several
    hosts, take a document."""

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
        """`by`: after it, monotonic seconds, nothing is changed any more, as nobody waits for it."""
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
                os.fsync(folder)  # what was renamed in it stays so after a power cut
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
    """Those of one folder: a network drive that hangs keeps no other target's files waiting."""
    return Threads(f"files in {folder}", 2)


class DocumentStores(Protocol):
    """Whoever has documents in Vault."""

    def document_store(self, path: str) -> DocumentStore: ...


def places_of(options: AssertionKeyOptions, shelves: DocumentStores) -> list[JwksStore]:
    """Where the set is kept; all of them hold the same, unless trouble kept one of them behind."""
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
