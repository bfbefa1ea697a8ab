"""The fuzzing of documents in Vault: the journal, the staged slot and the consumers' path, through real visits.

The engine is the real one, Vault and target are the fakes. Whatever stands in a document, a visit ends with a fault of
ours or without one, what consumers read stays valid, and a journal that cannot be read is left as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from hypothesis import strategies as st

from rotator.ports import Fault, Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.rotation_request import RotationRequest
from rotator.vault import journal_codec
from rotator.vault.journal import _installation
from tests.hostile.fuzz.shapes import VALUES, edited
from tests.unit.engine.world import JOURNAL, PLACE, SLOT, Crash, World, crash_at

HOUR = 3600.0
STOPS = (
    "",
    f"before write {SLOT}",
    f"after write {SLOT}",
    f"before write {PLACE}",
    f"after write {PLACE}",
)


async def _prepared(stop: str) -> World:
    """A credential that was rotated once, and again up to a point where the process died."""
    world = World()
    actor = world.actor("host-a")
    await actor.reconcile()
    world.clock.move(HOUR)
    await actor.reconcile()
    if stop:
        actor.hook = crash_at(stop)
        with suppress(Crash):
            await actor.reconcile(RotationRequest(world.clock.now(), "fuzz"))
        world.clock.move(HOUR)
    return world


def prepared(stop: str) -> World:
    """A fresh one each time: every example changes it."""
    return asyncio.run(_prepared(stop))


@cache
def sound(stop: str, place: VaultPath) -> str:
    """The document as the engine left it, as JSON; an empty object when there is none."""
    return json.dumps(prepared(stop).vault.get(place).values or {})


def hands_at(place: VaultPath) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Where the process died, and what somebody made of the document since."""
    return st.sampled_from(STOPS).flatmap(lambda stop: st.tuples(st.just(stop), edited(json.loads(sound(stop, place)))))


async def _visits(world: World, times: int = 3) -> list[Fault]:
    """Somebody else's visits, hours apart; what they failed with."""
    faults: list[Fault] = []
    for _ in range(times):
        try:
            await world.actor("host-b").reconcile()
        except Fault as fault:
            faults.append(fault)
        world.clock.move(HOUR)
    return faults


def journal(case: tuple[str, dict[str, Any]]) -> None:
    """A journal that cannot be read stops everything and stays as it is; one that can be read does no harm."""
    stop, values = case
    world = prepared(stop)
    version = world.vault.overwrite(JOURNAL, values)
    mints, consumer, living = len(world.target.calls), world.consumer.version, world.target.living()
    try:
        journal_codec.decode("blog/bot", version, values)
    except Refused:
        readable = False
    else:
        readable = True
    faults = asyncio.run(_visits(world))
    assert world.healthy, "what consumers read is no longer valid"
    if not readable:
        assert [type(fault) for fault in faults] == [Refused] * 3
        assert world.vault.get(JOURNAL).version == version
        assert (len(world.target.calls), world.consumer.version) == (mints, consumer)
        assert world.target.living() == living


def newer(case: tuple[str, dict[str, Any], int]) -> None:
    """A journal of a newer schema is read-only, whatever else stands in it."""
    stop, values, schema = case
    world = prepared(stop)
    version = world.vault.overwrite(JOURNAL, {**values, "schema": str(schema)})
    before = (len(world.target.calls), world.consumer.version, world.target.living())
    faults = asyncio.run(_visits(world))
    assert all("newer rotator" in fault.reason for fault in faults)
    assert len(faults) == 3
    assert world.vault.get(JOURNAL).version == version
    assert (len(world.target.calls), world.consumer.version, world.target.living()) == before


def staged(case: tuple[str, dict[str, Any]]) -> None:
    """Nothing out of a staged slot is published that the target did not accept."""
    stop, values = case
    world = prepared(stop)
    world.vault.overwrite(SLOT, values)
    asyncio.run(_visits(world))
    assert world.healthy, "an unproven value was published"


def consumer(case: tuple[str, dict[str, Any]]) -> None:
    """A consumer document of any shape is somebody's: it is never overwritten unasked."""
    stop, values = case
    world = prepared(stop)
    secret = world.consumer.secret("token")
    version = world.vault.overwrite(PLACE, values)
    asyncio.run(_visits(world))
    now = world.consumer
    if now.version != version:
        assert world.healthy
        kept = {key: value for key, value in values.items() if key not in ("token", *OURS)}
        assert kept.items() <= dict(now.values or {}).items()
    assert secret is not None


OURS = ("rotation", "provider_id", "issued_at", "expires_at")


def decoding(values: dict[str, Any]) -> None:
    """The codec alone: an entry or a refusal, and an entry can be written again."""
    try:
        entry = journal_codec.decode("blog", 1, values)
    except Refused:
        return
    assert entry.record
    json.dumps(journal_codec.encode(entry.record, entry.lease, "n", entry.foreign))


def installation(values: dict[str, Any]) -> None:
    """The installation's own document: read, or refused."""
    try:
        made = _installation(values, VaultPath("secret", "rotator/meta"))
    except Refused:
        return
    assert len(made.lineage) == 6
    assert len(made.fingerprint_key) == 32


Check = Callable[[Any], None]
META = {"schema": "1", "lineage": "c0ffee", "fingerprint_key": "A" * 43 + "=", "nonce": "n"}
DOCUMENTS: dict[str, tuple[st.SearchStrategy[Any], Check]] = {
    "a journal edited by hand": (hands_at(JOURNAL), journal),
    "a journal of a newer schema": (
        st.tuples(
            st.sampled_from(STOPS), st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.integers(2, 10**30)
        ),
        newer,
    ),
    "a journal document alone": (
        st.sampled_from(STOPS).flatmap(lambda stop: edited(json.loads(sound(stop, JOURNAL)))),
        decoding,
    ),
    "the installation's document": (edited(META), installation),
    "a staged slot edited by hand": (hands_at(SLOT), staged),
    "a consumer document of any shape": (hands_at(PLACE), consumer),
}
