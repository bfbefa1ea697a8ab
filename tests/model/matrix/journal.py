"""A journal that keeps records as they are: the real codec is most of a run's time, and has tests of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.ports import Entry, Lease, Refused
from rotator.rotation.record import Record
from tests.model.matrix.promises import JOURNAL
from tests.model.matrix.wire import WiredStore


@dataclass(slots=True)
class Kept:
    """What the documents of one world stand for."""

    records: dict[str, tuple[Record, Lease]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def keep(self, record: Record, lease: Lease) -> dict[str, object]:
        """The document that stands for them."""
        number = str(next(self._numbers))
        self.records[number] = record, lease
        return {"kept": number}

    def read(self, values: Mapping[str, Any]) -> tuple[Record, Lease]:
        """What a document stands for. Raises Refused when somebody else wrote it."""
        found = self.records.get(str(values.get("kept")))
        if found is None:
            raise Refused("the journal cannot be read")
        return found


@dataclass(slots=True)
class QuickJournal:
    """The journal port; faults strike its store."""

    store: WiredStore
    kept: Kept

    async def load(self, name: str) -> Entry:
        """See `Journal.load`."""
        read = await self.store.read(JOURNAL, strong=True)
        if read.deleted:
            raise Refused("the journal was deleted")
        if read.version == 0:
            return Entry(name, 0, None, server_time=self.store.server_clock())
        record, lease = self.kept.read(read.values or {})
        return Entry(name, read.version, record, lease, self.store.server_clock())

    async def save(self, over: Entry, record: Record, lease: Lease) -> Entry:
        """See `Journal.save`."""
        version = await self.store.write(JOURNAL, self.kept.keep(record, lease), cas=over.version)
        return Entry(over.name, version, record, lease, self.store.server_clock())

    async def names(self) -> tuple[str, ...]:
        """See `Journal.names`."""
        return ("blog/bot",)
