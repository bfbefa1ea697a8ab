"""A host that rotates one credential, over a way to a raft cluster on which things may happen after any write."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, Transition
from rotator.host.cron import SystemClock
from rotator.ports import Installation
from rotator.rotation.credential import Credential, Retirement, VaultPath
from rotator.rotation.record import Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.schedule import Every
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.login import token
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.http_server import Heard
from tests.kit.provider import FakeProvider, Target
from tests.system.raft_cluster import Cluster, reader
from tests.unit.vault.hostile import Proxy


@dataclass
class Way(Proxy):
    """The way to Vault. `after(path, body)` is called when a write was carried out, before its answer is given."""

    after: Callable[[str, bytes], None] = lambda path, body: None

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        answer = super().forward(heard)
        if heard.method == "POST" and answer[0] < 300:
            self.after(heard.target, heard.raw)
        return answer


@dataclass
class Host:
    """A process that visits one credential of a target in memory, all of its Vault over one way."""

    name: str
    way: Way
    kv: Kv
    target: Target
    told: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock, self.place = SystemClock(), VaultPath("kv", f"apps/{self.name}")
        retire, schedule = Retirement(after=timedelta(0)), Every(timedelta(days=30), jitter=0)
        self.credential = Credential(self.name, "halo-pat", "blog", self.place, retire=retire, schedule=schedule)
        provider, slot = FakeProvider(self.target), VaultPath("kv", f"rotator/staged/{self.name}")
        home = Installation("home", b"key of the fingerprints")
        self.dependencies = Dependencies(self.kv, provider, clock, home, slot, nonce=lambda: secrets.token_hex(8))
        journal, leases = VaultJournal(self.kv, "kv", "rotator"), Leases("host-a", 30.0, clock.monotonic)
        self.reconciler = Reconciler(journal, leases, lambda: "l1", self.told.append)

    async def reconcile(self) -> Record:
        """A visit on request, as far as it goes."""
        seen = await self.reconciler.reconcile(
            self.credential, self.dependencies, RotationRequest(self.dependencies.clock.now(), "person")
        )
        assert seen.record
        return seen.record

    @property
    def events(self) -> list[str]:
        """What happened, by the names of the events."""
        return [type(each.event).__name__ for each in self.told]


@asynccontextmanager
async def host(made: Cluster, node: int, name: str) -> AsyncIterator[Host]:
    """A host at work on the credential of this name, through this node."""
    way = Way(made.nodes[node].address)
    connection = VaultConnection(way.address, mount="kv", instance="test", read_timeout=2, total_timeout=3)
    kv = Kv(Session(connection, token(lambda: made.nodes[0].root), SystemClock()))
    try:
        yield Host(name, way, kv, Target(SystemClock().now, seed=f"canary-{name}"))
    finally:
        await kv.session.close()
        way.close()


def kept(made: Cluster, node: int, place: VaultPath) -> Any:
    """A document's newest version, and its values, as this node says without asking anybody."""
    with reader(made.nodes[node]) as get:
        found = get(f"data/{place.path}")
    return found["metadata"]["version"], found["data"]
