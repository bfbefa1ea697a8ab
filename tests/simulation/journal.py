"""Owns the journal edge of the simulation: documents of the modelled Vault, through the real codec or whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rotator.ports import Entry, Lease, Refused
from rotator.rotation.credential import Place
from rotator.rotation.record import Record
from rotator.vault import document
from tests.simulation.vault import KvClient, Vault
from tests.simulation.world import World


def place_of(name: str) -> Place:
    """Where the journal of this credential lies."""
    return Place("kv", f"rotator/journal/{name}")


@dataclass
class SimJournal:
    """The journal port. Without the codec a document holds record and lease as they are, which is faster."""

    world: World
    vault: Vault
    newer: bool = False  # every document was written by a newer rotator

    async def load(self, name: str) -> Entry:
        """See `Journal.load`."""
        read = await KvClient(self.world, self.vault, name).get(place_of(name))
        if self.newer:
            self.world.fault("newer_schema", name)
            raise Refused("written by a newer rotator")
        if read.version == 0 or read.values is None:
            return Entry(name, read.version, None, server_time=self._date())
        if self.world.swarm.codec:
            return document.decode(name, read.version, read.values, self._date())
        record, lease = read.values["record"], read.values["lease"]
        assert isinstance(record, Record)
        assert isinstance(lease, Lease)
        return Entry(name, read.version, record, lease, self._date())

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`."""
        nonce = self.world.word()
        values: dict[str, object] = {"record": record, "lease": lease, "nonce": nonce}
        if self.world.swarm.codec:
            values = document.encode(record, lease, nonce, over.foreign)
        version = await KvClient(self.world, self.vault, over.name).put(place_of(over.name), values, over.version)
        return Entry(over.name, version, record, lease, self._date(), over.foreign)

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`."""
        return tuple(sorted(place.path.rpartition("/")[2] for place in self.vault.docs if "/journal/" in place.path))

    def _date(self) -> datetime | None:
        if not self.world.swarm.vault_tells:
            return None
        return self.world.date(self.vault.skew).replace(microsecond=0)
