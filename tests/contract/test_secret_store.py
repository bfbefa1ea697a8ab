"""The SecretStore port, held by the fake, by the simulation's model and by a real OpenBao."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import anyio
import pytest

from rotator.ports import Conflict, Refused, SecretStore
from rotator.rotation.credential import VaultPath
from tests.kit.store import FakeStore, FakeVault
from tests.model.simulation.driven import Client, DrivenStore
from tests.model.simulation.vault import Vault
from tests.unit.vault.worlds import Operator, canary, kv_on

pytestmark = pytest.mark.anyio


@dataclass
class World:
    store: SecretStore
    operator: FakeVault | Vault | Operator
    place: VaultPath


@pytest.fixture(params=["fake", "simulated", pytest.param("openbao", marks=pytest.mark.system)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param != "openbao":
        store = FakeStore() if request.param == "fake" else DrivenStore(Client())
        yield World(store, store.vault, VaultPath("secret", "apps/blog/halo"))
        return
    bao, mount = request.getfixturevalue("openbao"), request.getfixturevalue("mount")
    kv = kv_on(bao, mount)
    yield World(kv, Operator(bao), VaultPath(mount, "apps/blog/halo"))
    await kv.session.close()


async def test_a_document_that_never_was_reads_as_version_zero(world: World) -> None:
    found = await world.store.read(world.place, strong=True)
    assert (found.version, found.values, found.deleted) == (0, None, False)


async def test_a_written_document_reads_back_with_its_version(world: World) -> None:
    assert await world.store.write(world.place, {"token": canary("a"), "rotation": "1"}, cas=0) == 1
    found = await world.store.read(world.place)
    assert found.version == 1
    assert found.values == {"token": canary("a").reveal(), "rotation": "1"}
    assert found.secret("token").matches(canary("a"))
    assert found.text("rotation") == "1"


async def test_a_second_creation_loses(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    with pytest.raises(Conflict):
        await world.store.write(world.place, {"a": "2"}, cas=0)
    assert (await world.store.read(world.place)).values == {"a": "1"}


async def test_a_write_over_an_outdated_version_loses_and_changes_nothing(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    world.operator.overwrite(world.place, {"a": "foreign"})
    with pytest.raises(Conflict):
        await world.store.write(world.place, {"a": "2"}, cas=1)
    found = await world.store.read(world.place, strong=True)
    assert (found.version, found.values) == (2, {"a": "foreign"})


async def test_a_write_ahead_of_the_version_loses(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    with pytest.raises(Conflict):
        await world.store.write(world.place, {"a": "2"}, cas=7)


async def test_of_two_racing_writes_exactly_one_wins(world: World) -> None:
    won: list[int] = []

    async def race(number: int) -> None:
        with suppress(Conflict):
            won.append(await world.store.write(world.place, {"who": str(number)}, cas=0))

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(race, number)
    assert won == [1]


async def test_older_versions_can_be_read(world: World) -> None:
    for number in range(3):
        await world.store.write(world.place, {"n": str(number)}, cas=number)
    assert (await world.store.read(world.place, version=1)).values == {"n": "0"}
    assert (await world.store.read(world.place, version=2)).version == 2
    assert (await world.store.read(world.place, version=9)).version == 0


async def test_a_trimmed_version_reads_as_version_zero(world: World) -> None:
    world.operator.configure(world.place, max_versions=2)
    for number in range(4):
        await world.store.write(world.place, {"n": str(number)}, cas=number)
    assert (await world.store.read(world.place, version=2)).version == 0
    assert (await world.store.read(world.place, version=3)).values == {"n": "2"}


async def test_a_key_with_metadata_alone_can_be_created(world: World) -> None:
    world.operator.configure(world.place, max_versions=5)
    assert (await world.store.read(world.place)).version == 0
    assert await world.store.write(world.place, {"a": "1"}, cas=0) == 1


async def test_a_deleted_document_says_so_and_keeps_counting(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    world.operator.delete(world.place)
    found = await world.store.read(world.place, strong=True)
    assert (found.version, found.values, found.deleted) == (1, None, True)
    with pytest.raises(Conflict):
        await world.store.write(world.place, {"a": "2"}, cas=0)
    assert await world.store.write(world.place, {"a": "2"}, cas=1) == 2


async def test_deleting_the_newest_version_does_not_bring_back_the_one_before(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    await world.store.write(world.place, {"a": "2"}, cas=1)
    world.operator.delete(world.place)
    assert (await world.store.read(world.place)).deleted
    world.operator.undelete(world.place, 2)
    assert (await world.store.read(world.place)).values == {"a": "2"}


async def test_deleted_metadata_lets_versions_start_anew(world: World) -> None:
    await world.store.write(world.place, {"a": "1"}, cas=0)
    await world.store.write(world.place, {"a": "2"}, cas=1)
    world.operator.forget(world.place)
    assert (await world.store.read(world.place)).version == 0
    with pytest.raises(Conflict):
        await world.store.write(world.place, {"a": "3"}, cas=2)
    assert await world.store.write(world.place, {"a": "3"}, cas=0) == 1


async def test_destroyed_versions_are_gone_for_good_and_destroying_twice_is_no_fault(world: World) -> None:
    await world.store.write(world.place, {"token": canary("b")}, cas=0)
    await world.store.write(world.place, {"token": canary("c")}, cas=1)
    await world.store.destroy(world.place, (1,))
    await world.store.destroy(world.place, (1,))
    gone = await world.store.read(world.place, version=1)
    assert (gone.version, gone.values, gone.deleted) == (1, None, True)
    assert (await world.store.read(world.place)).version == 2


async def test_a_slot_can_be_filled_again_after_its_newest_version_was_destroyed(world: World) -> None:
    await world.store.write(world.place, {"token": canary("b")}, cas=0)
    await world.store.destroy(world.place, (1,))
    found = await world.store.read(world.place, strong=True)
    assert (found.version, found.deleted) == (1, True)
    assert await world.store.write(world.place, {"token": canary("c")}, cas=1) == 2


async def test_destroying_nothing_and_the_nonexistent_is_no_fault(world: World) -> None:
    await world.store.destroy(world.place, ())
    await world.store.destroy(world.place, (3,))


async def test_values_of_any_json_type_survive_a_read_merge_write(world: World) -> None:
    foreign = {
        "n": 12,
        "f": 2.5,
        "t": True,
        "none": None,
        "list": [1, {"deep": ["x"]}],
        "text": "ü \u2028 \"'",
        "": "e",
    }
    world.operator.overwrite(world.place, foreign)
    found = await world.store.read(world.place, strong=True)
    await world.store.write(world.place, {**found.values, "token": canary("d")}, cas=found.version)
    after = await world.store.read(world.place)
    assert after.values == foreign | {"token": canary("d").reveal()}


@pytest.mark.parametrize("path", ["apps/../rotator/journal/x", "", "a//b", "./a", "a/", "line\nbreak"])
async def test_a_path_that_could_mean_another_one_is_refused(world: World, path: str) -> None:
    if isinstance(world.store, DrivenStore):
        pytest.skip("nobody writes paths in a simulation")
    with pytest.raises(Refused):
        await world.store.read(world.place._replace(path=path))
    with pytest.raises(Refused):
        await world.store.write(world.place._replace(path=path), {"a": "1"}, cas=0)


async def test_odd_but_honest_paths_lead_to_different_documents(world: World) -> None:
    paths = ["a b", "a%20b", "a?version=1", "a#b", "ä", "a..b", "a+b"]
    for path in paths:
        await world.store.write(world.place._replace(path=path), {"path": path}, cas=0)
    for path in paths:
        assert (await world.store.read(world.place._replace(path=path))).values == {"path": path}
