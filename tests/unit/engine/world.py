"""A small world for the engine's tests: a Vault, a target, a clock that stands still, actors that visit.

The edges are those of tests/kit, which the contract suite holds to the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, ReconcileResult, Transition
from rotator.ports import Document, Entry, Installation
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from rotator.testing.memory_vault import MemoryJournal
from tests.kit.clock import StillClock
from tests.kit.provider import FakeProvider, Target
from tests.kit.store import FakeStore, FakeVault

PLACE, SLOT = VaultPath("secret", "blog/bot"), VaultPath("secret", "rotator/staged/blog/bot")
JOURNAL = VaultPath("secret", "rotator/journal/blog/bot")
TTL = 30.0


class Crash(BaseException):
    """The process is gone: nothing may catch it."""


@dataclass
class Actor:
    """One process that visits. `hook` is called with a label around every call to Vault and target."""

    reconciler: Reconciler
    dependencies: Dependencies
    credential: Credential
    journal: MemoryJournal
    told: list[Transition]
    hook: Callable[[str], None] = lambda label: None

    async def reconcile(self, ask: RotationRequest | None = None) -> ReconcileResult:
        return await self.reconciler.reconcile(self.credential, self.dependencies, ask)

    @property
    def events(self) -> list[str]:
        """What happened, by the names of the events."""
        return [type(transition.event).__name__ for transition in self.told]


@dataclass
class World:
    """Vault, the target, one clock, and how far Vault's clock is ahead of it."""

    clock: StillClock = field(default_factory=StillClock)
    vault: FakeVault = field(default_factory=FakeVault)
    skew: timedelta | None = None

    def __post_init__(self) -> None:
        self.target = Target(self.clock.now, seed="canary")

    def actor(self, holder: str = "host-a", **changes: Any) -> Actor:
        """A process of its own; `changes` are to the credential."""
        wanted = {"schedule": Every(timedelta(days=30), jitter=0), **changes}
        credential = Credential("blog/bot", "halo-cms", "blog", PLACE, **wanted)
        told: list[Transition] = []

        async def pause(label: str) -> None:
            actor.hook(label)

        store = FakeStore(self.vault, pause)
        store.server_clock = lambda: None if self.skew is None else self.clock.now() + self.skew
        journal = MemoryJournal(store)
        dependencies = Dependencies(
            store=store,
            provider=FakeProvider(self.target, pause),
            clock=self.clock,
            installation=Installation("home", b"key of the fingerprints"),
            slot=SLOT,
            nonce=lambda: f"{holder}-{len(self.vault.history)}",
        )
        reconciler = Reconciler(journal, Leases(holder, TTL, self.clock.monotonic), lambda: "l1", told.append)
        actor = Actor(reconciler, dependencies, credential, journal, told)
        return actor

    async def entry(self) -> Entry:
        """The journal document as it stands."""
        return await MemoryJournal(FakeStore(self.vault)).load("blog/bot")

    async def record(self) -> Record:
        """The record as it stands."""
        record = (await self.entry()).record
        assert record
        return record

    @property
    def consumer(self) -> Document:
        """What consumers read."""
        return self.vault.get(PLACE)

    @property
    def healthy(self) -> bool:
        """Whether consumers hold a value that the target accepts."""
        secret = self.consumer.secret("token")
        return secret is not None and self.target.accepts(secret)


def crash_at(label: str) -> Callable[[str], None]:
    """A hook under which the process dies at this point."""

    def hook(here: str) -> None:
        if here == label:
            raise Crash(label)

    return hook
