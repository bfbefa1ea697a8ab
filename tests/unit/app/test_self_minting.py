"""A token that mints its own successor is shown to its own target only, also after settings have named another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.app.secret_resolver import myself
from rotator.ports import MinterRefused
from rotator.rotation.credential import Credential, Retirement, VaultPath
from rotator.rotation.record import PublishedValue, Record, Token
from rotator.rotation.schedule import Every
from rotator.rotation.secret import Secret
from rotator.settings import Target, load
from tests.kit.store import FakeStore, FakeVault
from tests.unit.settings.files import SOUND, write

pytestmark = pytest.mark.anyio

MARK = b"a key of this test's own"
PATH = VaultPath("secret", "apps/newsletter/halo")
OLD, NEW = "canary-of-the-old-target", "canary-of-the-new-target"


@pytest.fixture
def vault() -> FakeVault:
    vault = FakeVault()
    vault.overwrite(PATH, {"token": OLD})
    return vault


@pytest.fixture
def targets(tmp_path) -> tuple[Target, Target]:
    blog = load(write(tmp_path, SOUND)).targets["blog"]
    return blog, replace(blog, name="intranet")


def credential(target: Target) -> Credential:
    schedule, retire = Every(timedelta(days=1)), Retirement(timedelta(hours=1))
    return Credential("newsletter", "halo-pat", target.name, PATH, schedule=schedule, retire=retire)


def published(target: Target, value: str, version: int) -> PublishedValue:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    mark = Secret(value).fingerprint(MARK)
    return PublishedValue(Token(f"pat-{version}", f"pat-{version}"), mark, version, version, at, PATH, target.name, "")


async def shown(vault: FakeVault, target: Target, record: Record | None) -> str:
    auth = await myself(FakeStore(vault), target, credential(target), record, MARK)
    return auth.secret.reveal()


async def test_what_was_put_there_by_hand_mints_first(vault, targets):
    assert await shown(vault, targets[0], None) == OLD
    assert await shown(vault, targets[0], Record("l1")) == OLD


async def test_the_published_token_mints_its_successor(vault, targets):
    record = replace(Record("l1"), current=published(targets[0], OLD, 1))
    assert await shown(vault, targets[0], record) == OLD


async def test_after_a_move_the_new_target_is_not_shown_the_token_of_the_old_one(vault, targets):
    blog, intranet = targets
    record = replace(Record("l1"), current=published(blog, OLD, 1))
    with pytest.raises(MinterRefused, match="a token of target 'blog', which is not shown to 'intranet'") as refused:
        await shown(vault, intranet, record)
    assert "another minter for the first rotation there" in str(refused.value)


async def test_a_token_of_the_new_target_that_a_person_put_there_mints(vault, targets):
    vault.overwrite(PATH, {"token": NEW})
    record = replace(Record("l1"), current=published(targets[0], OLD, 1))
    assert await shown(vault, targets[1], record) == NEW


async def test_once_a_successor_lives_elsewhere_the_predecessor_ends_itself(vault, targets):
    blog, intranet = targets
    vault.overwrite(PATH, {"token": NEW})
    record = replace(Record("l1"), current=published(intranet, NEW, 2), predecessor=published(blog, OLD, 1))
    assert await shown(vault, blog, record) == OLD
    assert await shown(vault, intranet, record) == NEW


async def test_a_predecessor_that_cannot_be_read_any_more_does_not_lend_out_its_successor(vault, targets):
    blog, intranet = targets
    vault.forget(PATH)
    vault.overwrite(PATH, {"token": NEW})
    record = replace(Record("l1"), current=published(intranet, NEW, 1), predecessor=published(blog, OLD, 7))
    with pytest.raises(MinterRefused, match="holds no token"):
        await shown(vault, blog, record)
