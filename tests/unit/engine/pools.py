"""A worker pool for tests: its reconciles are what a test says they are, and time moves when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel

from rotator.engine.circuit_breakers import Guard
from rotator.engine.reconciler import Gate, ReconcileResult
from rotator.engine.worker_pool import WorkerPool
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.steps import Wait
from tests.kit.clock import StillClock
from tests.unit.rotation.builders import credential, record

Visiting = Callable[[Credential, RotationRequest | None], Awaitable[ReconcileResult | Record | Wait]]
FAR = timedelta(days=20)


@dataclass
class FakeVisitor:
    """Visits as the test says; `visits` lists who was visited with what ask, `inside` who is being visited now."""

    clock: StillClock
    visiting: Visiting
    visits: list[tuple[str, RotationRequest | None]] = field(default_factory=list)
    inside: list[Credential] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)  # visits at once, by target
    forgotten: list[str] = field(default_factory=list)
    brief: set[str] = field(default_factory=set)

    @property
    def leases(self) -> FakeVisitor:
        return self

    @property
    def names(self) -> list[str]:
        """Who was visited, in order."""
        return [name for name, _ in self.visits]

    def forget(self, name: str) -> None:
        self.forgotten.append(name)

    async def reconcile(
        self, wanted: Credential, dependencies: object, ask: RotationRequest | None, *, gate: Gate
    ) -> ReconcileResult:
        if closed := await gate.closed():
            return ReconcileResult(None, closed)
        self.visits.append((wanted.name, ask))
        self.inside.append(wanted)
        at_once = sum(each.target == wanted.target for each in self.inside)
        self.most[wanted.target] = max(at_once, self.most.get(wanted.target, 0))
        try:
            found = await self.visiting(wanted, ask)
        finally:
            self.inside.remove(wanted)
        if isinstance(found, Record):
            return ReconcileResult(found, Wait(self.clock.now() + FAR, "due some day"))
        return ReconcileResult(record(Phase.SETTLED), found) if isinstance(found, Wait) else found


@dataclass
class Stage:
    """A crew at work."""

    worker_pool: WorkerPool
    clock: StillClock
    reconciler: FakeVisitor
    bugs: list[tuple[str, BaseException]]
    troubles: list[tuple[str, str]]
    controls: list[str]

    async def rest(self) -> None:
        """Let everybody go on: more turns of the loop than a few visits take."""
        for _ in range(60 + 8 * len(self.worker_pool.credentials)):
            await anyio.lowlevel.checkpoint()

    async def after(self, seconds: float) -> None:
        """Time passes, and the alarm rings."""
        self.clock.move(seconds)
        self.worker_pool.tick()
        await self.rest()


def bots(*names: str, **changes: Any) -> dict[str, Credential]:
    """Credentials by name; a name may say its target: `shop:bot`."""
    made = {}
    for name in names:
        target = name.partition(":")[0] if ":" in name else "blog"
        made[name] = credential(name=name, **{"target": target, **changes})
    return made


async def settled(wanted: Credential, ask: RotationRequest | None) -> Record:
    """A visit that finds nothing to do."""
    return record(Phase.SETTLED)


def hang(event: anyio.Event) -> Visiting:
    """Visits that last until the event."""

    async def visiting(wanted: Credential, ask: RotationRequest | None) -> Record:
        await event.wait()
        return record(Phase.SETTLED)

    return visiting


@asynccontextmanager
async def at_work(
    credentials: dict[str, Credential], visiting: Visiting = settled, *, clock: StillClock | None = None, **changes: Any
) -> AsyncIterator[Stage]:
    """A crew that works inside the block; leaving it stops the crew and cancels what hangs."""
    clock = clock or StillClock()
    reconciler = FakeVisitor(clock, visiting)
    bugs: list[tuple[str, BaseException]] = []
    troubles: list[tuple[str, str]] = []
    controls: list[str] = []
    refusing = changes.pop("control", None)

    async def control(wanted: Credential) -> None:
        controls.append(wanted.name)
        if refusing:
            await refusing(wanted)

    guard = Guard(
        reconciler=reconciler,  # type: ignore[arg-type]  # a fake in its place
        dependencies=lambda wanted: None,  # type: ignore[arg-type,return-value]  # the fake needs none
        clock=clock,
        unforeseen=lambda name, bug: bugs.append((name, bug)),
        troubled=lambda wanted, reason: troubles.append((wanted.name, reason)),
        control=control,
        minter=changes.pop("minter", lambda wanted: wanted.target),
    )
    worker_pool = WorkerPool(
        **{
            "guard": guard,
            "clock": clock,
            "credentials": credentials,
            "per_target": {},
            "workers": 8,
            "reconcile": timedelta(minutes=5),
            **changes,
        }
    )
    async with anyio.create_task_group() as group:
        group.start_soon(worker_pool.run)
        yield Stage(worker_pool, clock, reconciler, bugs, troubles, controls)
        worker_pool.stop()
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


def elsewhere(credentials: dict[str, Credential], name: str, target: str) -> dict[str, Credential]:
    """The same credentials, one of them on another target."""
    return {**credentials, name: replace(credentials[name], target=target)}
