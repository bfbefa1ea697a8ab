"""The Journal port, held by the fake and by a real OpenBao."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from rotator.ports import Conflict, Entry, Journal, Lease, Refused
from rotator.rotation.credential import VaultPath
from rotator.rotation.phases import RequestedState
from rotator.rotation.record import Record
from rotator.testing.memory_vault import MemoryJournal
from rotator.vault.journal import VaultJournal
from tests.kit.store import FakeStore, FakeVault
from tests.unit.vault.worlds import Operator, kv_on

pytestmark = pytest.mark.anyio
RECORD = Record(lineage="7f3a2b", rotation=3, state=RequestedState(), requested_at=datetime(2026, 3, 1, tzinfo=UTC))


@dataclass
class World:
    journal: Journal
    operator: FakeVault | Operator
    mount: str

    def place(self, name: str) -> VaultPath:
        return VaultPath(self.mount, f"rotator/journal/{name}")

    def read(self, name: str) -> dict[str, object]:
        if isinstance(self.operator, FakeVault):
            return dict(self.operator.get(self.place(name)).values or {})
        return self.operator.bao.call("GET", f"{self.mount}/data/rotator/journal/{name}")["data"]["data"]


@pytest.fixture(params=["fake", pytest.param("openbao", marks=pytest.mark.system)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        journal = MemoryJournal(FakeStore())
        yield World(journal, journal.store.vault, "secret")
        return
    bao, mount = request.getfixturevalue("openbao"), request.getfixturevalue("mount")
    kv = kv_on(bao, mount)
    yield World(VaultJournal(kv, mount, "rotator"), Operator(bao), mount)
    await kv.session.close()


async def test_a_credential_without_a_journal_has_an_empty_entry(world: World) -> None:
    entry = await world.journal.load("blog")
    assert (entry.name, entry.version, entry.record, entry.lease) == ("blog", 0, None, Lease())


async def test_what_was_saved_is_loaded(world: World) -> None:
    lease = Lease("host-a/1", 4, 12.5)
    saved = await world.journal.save(await world.journal.load("blog"), RECORD, lease)
    loaded = await world.journal.load("blog")
    assert (saved.version, saved.record, saved.lease) == (1, RECORD, lease)
    assert (loaded.version, loaded.record, loaded.lease) == (1, RECORD, lease)


async def test_of_two_who_read_the_same_entry_one_loses(world: World) -> None:
    entry = await world.journal.load("blog")
    await world.journal.save(entry, RECORD, Lease("first"))
    with pytest.raises(Conflict):
        await world.journal.save(entry, RECORD, Lease("second"))
    assert (await world.journal.load("blog")).lease.holder == "first"


async def test_even_an_identical_record_and_lease_by_another_is_a_conflict(world: World) -> None:
    entry = await world.journal.load("blog")
    await world.journal.save(entry, RECORD, Lease("same"))
    with pytest.raises(Conflict):
        await world.journal.save(entry, RECORD, Lease("same"))


async def test_each_save_fences_the_next(world: World) -> None:
    entry = await world.journal.load("blog")
    for rotation in range(3):
        entry = await world.journal.save(entry, replace(RECORD, rotation=rotation), Lease("me", rotation))
        assert entry.version == rotation + 1
    assert (await world.journal.load("blog")).record.rotation == 2


async def test_keys_of_a_stranger_or_of_a_later_release_survive(world: World) -> None:
    entry = await world.journal.save(Entry("blog", 0, None), RECORD, Lease())
    world.operator.overwrite(world.place("blog"), world.read("blog") | {"note": "ask Ada", "later": {"n": 1}})
    entry = await world.journal.load("blog")
    assert entry.foreign == {"note": "ask Ada", "later": {"n": 1}}
    await world.journal.save(entry, RECORD, Lease())
    assert world.read("blog")["note"] == "ask Ada"
    assert world.read("blog")["later"] == {"n": 1}


async def test_a_journal_of_a_newer_schema_is_refused(world: World) -> None:
    await world.journal.save(Entry("blog", 0, None), RECORD, Lease())
    world.operator.overwrite(world.place("blog"), world.read("blog") | {"schema": "2"})
    with pytest.raises(Refused, match="newer rotator"):
        await world.journal.load("blog")


async def test_a_damaged_journal_is_refused_by_the_name_of_its_key(world: World) -> None:
    await world.journal.save(Entry("blog", 0, None), RECORD, Lease())
    world.operator.overwrite(world.place("blog"), world.read("blog") | {"rotation": "three"})
    with pytest.raises(Refused, match="`rotation`"):
        await world.journal.load("blog")


async def test_a_deleted_journal_is_refused_and_forgotten_metadata_begins_anew(world: World) -> None:
    await world.journal.save(Entry("blog", 0, None), RECORD, Lease())
    world.operator.delete(world.place("blog"))
    with pytest.raises(Refused, match="was deleted"):
        await world.journal.load("blog")
    world.operator.forget(world.place("blog"))
    assert (await world.journal.load("blog")).version == 0


async def test_names_lists_every_journal_and_nothing_else(world: World) -> None:
    assert await world.journal.names() == ()
    for name in ("blog", "team/a/desk", "team/b", "blog2"):
        await world.journal.save(Entry(name, 0, None), RECORD, Lease())
    world.operator.overwrite(VaultPath(world.mount, "rotator/staged/other"), {"a": "1"})
    assert await world.journal.names() == ("blog", "blog2", "team/a/desk", "team/b")


async def test_every_leaf_of_the_document_is_text(world: World) -> None:
    await world.journal.save(Entry("blog", 0, None), RECORD, Lease("me", 2**60))

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert all(isinstance(leaf, str) for leaf in leaves(world.read("blog")))
    assert (await world.journal.load("blog")).lease.seq == 2**60
