"""A journal in memory that keeps records as they are: the codec is most of a long run's time, and has its own tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.ports import Document, Entry, Lease, Refused
from rotator.rotation.record import Record
from rotator.testing.memory_vault import MemoryJournal


@dataclass(slots=True)
class Kept:
    """What the documents of one world stand for."""

    records: dict[str, tuple[Record, Lease]] = field(default_factory=dict)

    def keep(self, record: Record, lease: Lease) -> dict[str, object]:
        """The document that stands for them."""
        number = str(len(self.records) + 1)
        self.records[number] = record, lease
        return {"kept": number}

    def read(self, values: Mapping[str, Any]) -> tuple[Record, Lease]:
        """What a document stands for. Raises Refused when somebody else wrote it."""
        found = self.records.get(str(values.get("kept")))
        if found is None:
            raise Refused("the journal cannot be read")
        return found


class QuickJournal(MemoryJournal):
    """The Journal port; faults strike its store."""

    def __init__(self, store: Any, kept: Kept) -> None:
        super().__init__(store)
        self.kept = kept

    def encoded(self, over: Entry, record: Record, lease: Lease) -> dict[str, object]:
        return self.kept.keep(record, lease)

    def decoded(self, name: str, read: Document) -> Entry:
        return Entry(name, read.version, *self.kept.read(read.values or {}), self.store.server_clock())
