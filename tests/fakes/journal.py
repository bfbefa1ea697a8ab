"""Owns an in-memory Journal: the real document codec on a FakeStore, so that faults planned there strike here."""

from __future__ import annotations

import itertools

from rotator.ports import Entry, Lease, Refused
from rotator.rotation.credential import Place
from rotator.rotation.record import Record
from rotator.vault import document
from tests.fakes.store import FakeStore


class FakeJournal:
    """The Journal port; deterministic: nonces are counted, not drawn."""

    def __init__(self, store: FakeStore | None = None, mount: str = "secret", prefix: str = "rotator") -> None:
        self.store = store or FakeStore()
        self.folder = Place(mount, f"{prefix}/journal")
        self._nonces = itertools.count(1)

    def place(self, name: str) -> Place:
        """Where the document of this credential lies."""
        return Place(self.folder.mount, f"{self.folder.path}/{name}")

    async def load(self, name: str) -> Entry:
        """See `Journal.load`."""
        read = await self.store.read(self.place(name), strong=True)
        if read.deleted:
            raise Refused(f"the journal of {name} was deleted (version {read.version})")
        if read.version == 0:
            return Entry(name, 0, None, server_time=self.store.server_clock())
        return document.decode(name, read.version, read.values or {}, self.store.server_clock())

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`."""
        values = document.encode(record, lease, f"nonce-{next(self._nonces)}", over.foreign)
        version = await self.store.write(self.place(over.name), values, cas=over.version)
        return Entry(over.name, version, record, lease, self.store.server_clock(), over.foreign)

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`."""
        return await self.store.list(self.folder)
