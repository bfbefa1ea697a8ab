"""What can happen to one request: lost before or after its effect, late, slow; effects are the models'."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from functools import cache
from typing import TypeVar

from rotator.ports import Fault, Transient
from tests.model.simulation.world import World

T = TypeVar("T")
TIMEOUT = 10.0  # seconds until a client gives up on an answer


@types.coroutine
def send(
    world: World, edge: str, verb: str, name: str, effect: Callable[[], T], *, writes: bool, timely: bool = False
) -> Generator[tuple[float, str], None, T]:
    """Send one request and wait for its answer. The effect happens between two beats, later, or never.

    `timely`: it does not leave after its client's deadline, however long the process was stopped.
    """
    thread = world.running
    assert thread is not None
    sent, answered = _labels(edge, verb)
    fate = "" if world.calm else _fate(world, edge, writes=writes)
    thread.wire, leaves = effect if writes else None, world.now
    yield _latency(world), sent
    thread.wire = None
    outcome: T | Fault | None = None
    if timely and world.now - leaves > TIMEOUT:
        raise Transient(f"{edge}: no answer in time")
    if fate in ("", "lost_after"):
        try:
            outcome = effect()
        except Fault as fault:
            outcome = fault
    if fate == "late":
        world.lands(TIMEOUT + world.rng.uniform(0.3, 3.0), name, attempt, effect)
    if fate:
        world.fault(f"{edge}_{fate}", name)
    yield TIMEOUT if fate == "late" else _latency(world), answered
    if fate:
        raise Transient(f"{edge}: {fate}")
    if isinstance(outcome, Fault):
        try:
            raise outcome
        finally:
            del outcome  # which holds this frame by its traceback: a circle
    return outcome


def attempt(effect: Callable[[], T]) -> T | Fault:
    """The effect's result or its fault, as a value."""
    try:
        return effect()
    except Fault as fault:
        return fault


@cache
def _labels(edge: str, verb: str) -> tuple[str, str]:
    return f"{edge}.{verb} sent", f"{edge}.{verb} answered"


def _fate(world: World, edge: str, *, writes: bool) -> str:
    """What the weather does to it; asked among faults only."""
    swarm, random = world.swarm, world.rng.random
    lost, late = (swarm.vault_lost, swarm.vault_late) if edge == "vault" else (swarm.lost, swarm.late)
    if lost and random() < lost:
        return "lost_after" if writes and random() < 0.5 else "lost_before"
    return "late" if writes and late and random() < late else ""


def _latency(world: World) -> float:
    slow, rng = world.swarm.slow, world.rng
    if slow and not world.calm and rng.random() < slow:
        return rng.uniform(0.5, 6.0)
    return 0.002 + (0.03 - 0.002) * rng.random()  # rng.uniform() as it is written
