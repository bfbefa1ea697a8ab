"""A KV version 2 engine in memory, and the ports to Vault on it, for the conformance kit.

tests/contract compares it with a real one. It does not wait by itself: `pause` is called around each effect.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from rotator.ports import Conflict, Document, Entry, Lease, Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record
from rotator.rotation.secret import Secret
from rotator.vault import journal_codec

Pause = Callable[[str], Awaitable[None]]


async def no_pause(label: str) -> None:
    """Do not pause."""


@dataclass
class Key:
    """One path: its versions, None for a destroyed one."""

    versions: dict[int, dict[str, object] | None] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    newest: int = 0
    max_versions: int = 0


@dataclass
class MemoryVault:
    """The server. `history` lists every accepted write, oldest first."""

    max_versions: int = 10
    keys: dict[VaultPath, Key] = field(default_factory=dict)
    history: list[tuple[VaultPath, int]] = field(default_factory=list)

    def get(self, place: VaultPath, version: int | None = None) -> Document:
        """The newest version, or the given one."""
        key = self.keys.get(place, Key())
        number = key.newest if version is None else version
        if number not in key.versions:
            return Document(0)
        values = key.versions[number]
        if values is None or number in key.deleted:
            return Document(number, deleted=True)
        return Document(number, _sent(values))

    def put(self, place: VaultPath, values: Mapping[str, object], cas: int | None) -> int:
        """Write over version `cas`, or whatever is there. Raises Conflict."""
        key = self.keys.setdefault(place, Key())
        if cas is not None and cas != key.newest:
            raise Conflict("the document was changed in between")
        key.newest += 1
        key.versions[key.newest] = _sent(values)
        kept = key.max_versions or self.max_versions
        for old in [number for number in key.versions if number <= key.newest - kept]:
            del key.versions[old]
        self.history.append((place, key.newest))
        return key.newest

    def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """Destroy these versions for good."""
        key = self.keys.get(place, Key())
        key.versions.update({number: None for number in versions if number in key.versions})

    def list(self, folder: VaultPath) -> tuple[str, ...]:
        """Every path below the folder, relative to it."""
        start = f"{folder.path}/"
        paths = (place.path for place in self.keys if place.mount == folder.mount)
        return tuple(sorted(path.removeprefix(start) for path in paths if path.startswith(start)))


class MemoryStore:
    """A client of it: the SecretStore port."""

    def __init__(self, vault: MemoryVault, pause: Pause = no_pause) -> None:
        self.vault = vault
        self.pause = pause
        self.server_clock: Callable[[], datetime | None] = lambda: None

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        """See `SecretStore.read`."""
        _check(place)
        await self.before("read", place)
        found = self.see(place, version, strong)
        await self.after("read", place)
        return found

    async def write(self, place: VaultPath, values: Mapping[str, object], *, cas: int) -> int:
        """See `SecretStore.write`."""
        _check(place)
        await self.before("write", place)
        version = self.vault.put(place, values, cas)
        await self.after("write", place)
        return version

    async def destroy(self, place: VaultPath, versions: tuple[int, ...]) -> None:
        """See `SecretStore.destroy`."""
        _check(place)
        await self.before("destroy", place)
        self.vault.destroy(place, versions)
        await self.after("destroy", place)

    async def list(self, folder: VaultPath) -> tuple[str, ...]:
        """Every path below a folder."""
        await self.before("list", folder)
        found = self.vault.list(folder)
        await self.after("list", folder)
        return found

    def see(self, place: VaultPath, version: int | None, strong: bool) -> Document:
        """The state that a read shows; here the newest."""
        return self.vault.get(place, version)

    async def before(self, verb: str, place: VaultPath) -> None:
        """The request is about to leave."""
        await self.pause(f"before {verb} {place}")

    async def after(self, verb: str, place: VaultPath) -> None:
        """The request has had its effect; the answer is on its way."""
        await self.pause(f"after {verb} {place}")


class MemoryJournal:
    """The Journal port on a MemoryStore, with the real document codec. Nonces are counted, so it is deterministic."""

    def __init__(self, store: MemoryStore, mount: str = "secret", prefix: str = "rotator") -> None:
        self.store = store
        self.folder = VaultPath(mount, f"{prefix}/journal")
        self._nonces = itertools.count(1)

    def place(self, name: str) -> VaultPath:
        """The path of this credential's document."""
        return VaultPath(self.folder.mount, f"{self.folder.path}/{name}")

    async def load(self, name: str) -> Entry:
        """See `Journal.load`."""
        read = await self.store.read(self.place(name), strong=True)
        if read.deleted:
            raise Refused(f"the journal of {name} was deleted (version {read.version})")
        if read.version == 0:
            return Entry(name, 0, None, server_time=self.store.server_clock())
        return self.decoded(name, read)

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`."""
        version = await self.store.write(self.place(over.name), self.encoded(over, record, lease), cas=over.version)
        return Entry(over.name, version, record, lease, self.store.server_clock(), over.foreign)

    def encoded(self, over: Entry, record: Record, lease: Lease) -> dict[str, object]:
        """The document that says this."""
        return journal_codec.encode(record, lease, f"nonce-{next(self._nonces)}", over.foreign)

    def decoded(self, name: str, read: Document) -> Entry:
        """The entry in a document."""
        return journal_codec.decode(name, read.version, read.values or {}, self.store.server_clock())

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`."""
        return await self.store.list(self.folder)

    async def bury(self, name: str) -> None:
        """End a lease whose holder is known to be dead."""
        entry = await self.load(name)
        if entry.record is not None and entry.lease.holder:
            await self.save(entry, entry.record, replace(entry.lease, holder=""))


def _sent(value: Any) -> Any:
    """The document as it arrives: a copy through JSON, secrets in clear."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _sent(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sent(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else Secret.reveal(value)


def _check(place: VaultPath) -> None:
    if any(segment in ("", ".", "..") or not segment.isprintable() for segment in str(place).split("/")):
        raise Refused(f"{place} is not a usable Vault path")
