"""The journal edge of the simulation: documents of the modelled Vault, through the real codec or whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from math import floor

from rotator.ports import Document, Entry, Lease, Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Record
from rotator.vault import journal_codec
from tests.model.simulation.vault import KvClient, Vault
from tests.model.simulation.world import EPOCH, World


@lru_cache
def place_of(name: str) -> VaultPath:
    """Where the journal of this credential lies."""
    return VaultPath("kv", f"rotator/journal/{name}")


@lru_cache(maxsize=4096)
def _second(number: int) -> datetime:
    return EPOCH + timedelta(seconds=number)


@dataclass
class SimJournal:
    """The journal port. Without the codec a document holds record and lease as they are, which is faster."""

    world: World
    vault: Vault
    newer: bool = False  # every document was written by a newer rotator
    _last: dict[str, tuple[object, Entry]] = field(default_factory=dict)  # decoded: the document, and what it says

    def __post_init__(self) -> None:
        self._kv = cache(partial(KvClient, self.world, self.vault))

    async def load(self, name: str) -> Entry:
        """See `Journal.load`."""
        read = await self._kv(name).get(place_of(name))
        if self.world.running:
            self.world.running.read[name] = self.world.now
        if self.newer:
            self.world.fault("newer_schema", name)
            raise Refused("written by a newer rotator")
        if read.version == 0 or read.values is None:
            return Entry(name, read.version, None, server_time=self._date())
        if self.world.swarm.codec:
            return self._decoded(name, read)
        record, lease = read.values["record"], read.values["lease"]
        assert isinstance(record, Record)
        assert isinstance(lease, Lease)
        return Entry(name, read.version, record, lease, self._date())

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`."""
        nonce = self.world.word()
        values: dict[str, object] = {"nonce": nonce, "record": record, "lease": lease}  # compared in this order
        if self.world.swarm.codec:
            values = journal_codec.encode(record, lease, nonce, over.foreign)
        version = await self._kv(over.name).put(place_of(over.name), values, over.version)
        self.world.running.owner.wrote = self.world.now
        return Entry(over.name, version, record, lease, self._date(), over.foreign)

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`."""
        return tuple(sorted(place.path.rpartition("/")[2] for place in self.vault.docs if "/journal/" in place.path))

    def _decoded(self, name: str, read: Document) -> Entry:
        """Decoding is pure: a document is decoded once, however many look at it."""
        values, entry = self._last.get(name, (None, None))
        if entry is None or values is not read.values:
            entry = journal_codec.decode(name, read.version, read.values or {})
            self._last[name] = read.values, entry
        return Entry(name, read.version, entry.record, entry.lease, self._date(), entry.foreign)

    def _date(self) -> datetime | None:
        if not self.world.swarm.vault_tells:
            return None
        return _second(floor(self.world.now + self.vault.skew + 5e-7))  # dates are rounded to microseconds
