"""Owns what can happen to one request: lost before or after its effect, late, slow; effects are the models'."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rotator.ports import Fault, Transient
from tests.simulation.world import World, beat

T = TypeVar("T")
TIMEOUT = 10.0  # seconds until a client gives up on an answer


async def send(
    world: World, edge: str, verb: str, name: str, effect: Callable[[], T], *, writes: bool, timely: bool = False
) -> T:
    """Send one request and wait for its answer. The effect happens between two beats, later, or never.

    `timely`: it does not leave after its client's deadline, however long the process was stopped.
    """
    thread = world.running
    assert thread is not None
    label = f"{edge}.{verb}"
    fate = _fate(world, edge, writes=writes)
    thread.wire, leaves = effect if writes else None, world.now
    await beat(_latency(world), f"{label} sent")
    thread.wire = None
    outcome: T | Fault | None = None
    if timely and world.now - leaves > TIMEOUT:
        raise Transient(f"{edge}: no answer in time")
    if fate in ("", "lost_after"):
        outcome = attempt(effect)
    if fate == "late":
        world.later(TIMEOUT + world.rng.uniform(0.3, 3.0), lambda: attempt(effect) and None)
    if fate:
        world.fault(f"{edge}_{fate}", name)
    await beat(TIMEOUT if fate == "late" else _latency(world), f"{label} answered")
    if fate:
        raise Transient(f"{edge}: {fate}")
    if isinstance(outcome, Fault):
        raise outcome
    return outcome


def attempt(effect: Callable[[], T]) -> T | Fault:
    """The effect's result or its fault, as a value."""
    try:
        return effect()
    except Fault as fault:
        return fault


def _fate(world: World, edge: str, *, writes: bool) -> str:
    swarm = world.swarm
    lost, late = (swarm.vault_lost, swarm.vault_late) if edge == "vault" else (swarm.lost, swarm.late)
    if world.chance(lost):
        return "lost_after" if writes and world.rng.random() < 0.5 else "lost_before"
    return "late" if writes and world.chance(late) else ""


def _latency(world: World) -> float:
    if world.chance(world.swarm.slow):
        return world.rng.uniform(0.5, 6.0)
    return world.rng.uniform(0.002, 0.03)
