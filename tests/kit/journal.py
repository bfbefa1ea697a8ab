"""An in-memory Journal on a FakeStore, so that faults planned there strike here."""

from __future__ import annotations

from rotator.testing.memory_vault import MemoryJournal
from tests.kit.store import FakeStore


class FakeJournal(MemoryJournal):
    """The Journal port; deterministic: nonces are counted, not drawn."""

    def __init__(self, store: FakeStore | None = None, mount: str = "secret", prefix: str = "rotator") -> None:
        super().__init__(store or FakeStore(), mount, prefix)
