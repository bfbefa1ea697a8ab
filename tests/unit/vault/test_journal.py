"""What the journal in Vault does beyond the port: the installation's own document, and Vault's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from rotator.ports import Installation, Refused
from rotator.rotation.credential import VaultPath
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.worlds import Operator, kv_on

pytestmark = [pytest.mark.anyio, pytest.mark.system]


@pytest.fixture
async def kv(openbao: OpenBao, mount: str) -> AsyncIterator[Kv]:
    kv = kv_on(openbao, mount)
    yield kv
    await kv.session.close()


async def test_the_installation_is_made_once_and_found_again(kv: Kv, mount: str) -> None:
    first = await VaultJournal(kv, mount, "rotator").meta()
    again = await VaultJournal(kv, mount, "rotator").meta()
    other = await VaultJournal(kv, mount, "another").meta()
    assert first == again
    assert (len(first.lineage), len(first.fingerprint_key)) == (6, 32)
    assert int(first.lineage, 16) >= 0
    assert other.lineage != first.lineage


async def test_instances_that_start_together_agree_on_the_installation(kv: Kv, mount: str) -> None:
    found: list[Installation] = []

    async def start() -> None:
        found.append(await VaultJournal(kv, mount, "rotator").meta())

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(start)
    assert len(found) == 6
    assert len({installation.lineage for installation in found}) == 1


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"lineage": "7"}, "damaged"),
        ({"lineage": 123456}, "damaged"),
        ({"fingerprint_key": "short"}, "damaged"),
        ({"fingerprint_key": "!" * 44}, "damaged"),
        ({"fingerprint_key": None}, "damaged"),
        ({"schema": "9"}, "newer rotator"),
    ],
)
async def test_a_damaged_installation_is_refused(
    openbao: OpenBao, kv: Kv, mount: str, damage: dict[str, object], words: str
) -> None:
    journal, place = VaultJournal(kv, mount, "rotator"), VaultPath(mount, "rotator/meta")
    await journal.meta()
    sound = (await kv.read(place)).values or {}
    Operator(openbao).overwrite(place, {**sound, **damage})
    with pytest.raises(Refused, match=words):
        await journal.meta()


async def test_a_deleted_installation_is_not_replaced_by_a_new_one(openbao: OpenBao, kv: Kv, mount: str) -> None:
    journal = VaultJournal(kv, mount, "rotator")
    await journal.meta()
    Operator(openbao).delete(VaultPath(mount, "rotator/meta"))
    with pytest.raises(Refused, match="undelete"):
        await journal.meta()


async def test_an_entry_tells_vaults_time(kv: Kv, mount: str) -> None:
    entry = await VaultJournal(kv, mount, "rotator").load("blog")
    assert entry.server_time is not None
    assert abs((entry.server_time - kv.session.clock.now()).total_seconds()) < 5
