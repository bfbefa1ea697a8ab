"""A target that is down at the start: what Vault knows is read and shown, and the target is told of once, soon."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.engine.circuit_breakers import CircuitBreakers, Guard
from rotator.engine.worker_pool import WorkerPool
from rotator.ports import Transient
from rotator.rotation.record import Phase
from rotator.rotation.rotation_request import RotationRequest
from tests.unit.engine.world import Actor, World

pytestmark = pytest.mark.anyio


def crew_of(actor: Actor, world: World, told: list[str], neighbours: int = 1) -> WorkerPool:
    async def control(wanted: object) -> None:
        raise Transient("nobody answers at blog.example:443")

    guard = Guard(
        reconciler=actor.reconciler,
        dependencies=lambda wanted: actor.dependencies,
        clock=world.clock,
        unforeseen=lambda name, bug: None,
        troubled=lambda wanted, reason: None,
        control=control,
        minter=lambda wanted: wanted.target,
        health=CircuitBreakers(lambda who, reason, pause: told.append(f"{who}: {reason}")),
        neighbours=lambda target: neighbours,
    )
    names = {actor.credential.name: actor.credential}
    return WorkerPool(guard=guard, clock=world.clock, credentials=names, per_target={}, workers=1)


async def test_the_record_is_read_and_the_target_told_of_once(world: World) -> None:
    await world.actor().reconcile()
    told: list[str] = []
    worker_pool = crew_of(world.actor("host-b"), world, told)
    world.target.calls.clear()
    [credential] = worker_pool.credentials.values()
    for _ in range(5):
        seen = await worker_pool.guard.attend(credential, None)
        assert seen.record is not None
        assert (seen.record.phase, seen.record.rotation) == (Phase.SETTLED, 1)
        world.clock.move(40)
    assert told == ["target blog: nobody answers at blog.example:443"]
    assert world.target.calls == []


async def test_nothing_is_begun_there_and_the_asker_hears_why(world: World) -> None:
    await world.actor().reconcile()
    worker_pool = crew_of(world.actor("host-b"), world, [])
    [credential] = worker_pool.credentials.values()
    world.clock.move(60)
    seen = await worker_pool.guard.attend(credential, RotationRequest(world.clock.now(), "ada"))
    assert seen.wait.reason == "nobody answers at blog.example:443"
    assert seen.wait.until
    assert seen.wait.until <= world.clock.now() + timedelta(seconds=5)
    assert (await world.record()).phase is Phase.SETTLED
    assert (await world.entry()).lease.holder == ""


async def test_one_of_many_names_in_trouble_is_not_yet_the_targets(world: World) -> None:
    await world.actor().reconcile()
    told: list[str] = []
    worker_pool = crew_of(world.actor("host-b"), world, told, neighbours=5)
    [credential] = worker_pool.credentials.values()
    await worker_pool.guard.attend(credential, None)
    assert told == []
