"""A credential that is renamed, or whose path another one shares: nobody ends what consumers read, and the way on is
told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.engine.strays import left_behind, survey
from rotator.ports import Refused, StoreRefused, Transient
from rotator.rotation.credential import Credential, Retirement, VaultPath
from rotator.rotation.ownership import TokenOwners, TokenState
from rotator.rotation.procedures import operators
from rotator.rotation.record import HoldReason, Phase, Token
from rotator.rotation.rotation_request import RotationRequest
from tests.unit.engine.world import PLACE, Actor, World

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


def aware(actor: Actor, *others: Credential) -> Actor:
    """An actor that knows the whole installation, as a composed one does. `others`: what settings name beside it."""

    async def owners() -> TokenOwners:
        return await everything(actor, *others)

    actor.dependencies = replace(actor.dependencies, owners=owners)
    return actor


async def everything(actor: Actor, *others: Credential) -> TokenOwners:
    named = {each.name: each for each in (actor.credential, *others)}
    return await survey(actor.journal, actor.dependencies.store, actor.dependencies.installation, named)


def renamed(world: World, **changes) -> Actor:
    """The same credential under another name, at the same path."""
    actor = world.actor(**changes)
    actor.credential = replace(actor.credential, name="third")
    actor.dependencies = replace(actor.dependencies, slot=VaultPath("secret", "rotator/staged/third"))
    return aware(actor)


async def rotated(world: World, times: int = 1, **changes) -> Actor:
    actor = aware(world.actor(retire=Retirement(HOUR), **changes))
    await actor.reconcile()
    for _ in range(times - 1):
        world.clock.move(1)
        await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    return actor


def ids(world: World) -> list[Token]:
    return list(world.target.living())


async def test_the_hold_says_whose_value_it_is_and_how_to_go_on(world: World) -> None:
    await rotated(world)
    third = renamed(world)
    await third.reconcile()
    record = (await third.journal.load("third")).record
    assert record
    assert record.held
    assert record.held.reason is HoldReason.FOREIGN_WRITE
    assert "published by" not in record.held.text
    assert "holds the value that the credential blog/bot published" in record.held.text
    assert "give it its name back" in record.held.text
    assert record.held.text.endswith("give it its name back")  # neither needs a release
    assert "`rotate adopt third`" in record.held.text


async def test_the_hold_says_the_same_as_ever_of_a_value_that_nobody_knows(world: World) -> None:
    await rotated(world)
    world.vault.put(PLACE, {"token": "somebody's"}, None)
    third = renamed(world)
    await third.reconcile()
    record = (await third.journal.load("third")).record
    assert record
    assert record.held
    assert "holds a value that we did not write" in record.held.text


async def test_the_hold_names_a_credential_of_the_settings_whose_value_was_copied_there(world: World) -> None:
    bot = await rotated(world)
    third = aware(renamed(world), bot.credential)
    third.credential = replace(third.credential, place=VaultPath("secret", "third"))
    secret = world.consumer.secret("token")
    assert secret
    world.vault.put(third.credential.place, {"token": secret.reveal()}, None)
    await third.reconcile()
    record = (await third.journal.load("third")).record
    assert record
    assert record.held
    assert "holds a value of the credential blog/bot" in record.held.text


async def test_a_hold_is_told_without_the_owner_when_nobody_can_look(world: World) -> None:
    await rotated(world)
    third = renamed(world)

    async def sealed() -> TokenOwners:
        raise Transient("Vault is sealed")

    third.dependencies = replace(third.dependencies, owners=sealed)
    await third.reconcile()
    record = (await third.journal.load("third")).record
    assert record
    assert record.held
    assert "holds a value that we did not write" in record.held.text


async def test_after_a_rename_adopt_goes_on_under_the_new_name_and_ends_the_old_token_later(world: World) -> None:
    await rotated(world)
    old = world.consumer.secret("token")
    third = renamed(world, retire=Retirement(HOUR))
    await third.reconcile()
    await third.reconciler.obey(third.credential, third.dependencies, operators.adopt("ada"))
    assert len(ids(world)) == 1
    world.clock.move(1)
    await third.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert old
    assert world.target.accepts(old)
    world.clock.move(HOUR)
    await third.reconcile()
    assert not world.target.accepts(old)
    assert world.healthy


async def test_a_renamed_credential_leaves_nothing_that_could_be_called_a_stray(world: World) -> None:
    """The newest value, and the one in grace, whose record no settings name."""
    bot = await rotated(world, 2)
    third = renamed(world)
    now, (old, new) = world.clock.now(), ids(world)
    owners = await everything(third)
    assert [owners.of(each, now).state for each in (new, old)] == [TokenState.PUBLISHED, TokenState.IN_GRACE]
    assert owners.of(old, now + HOUR + HOUR).state is TokenState.UNMANAGED
    left, unreadable = await left_behind(third.journal, ["third"])
    assert (set(left), unreadable) == ({bot.credential.name}, {})


async def test_a_stray_that_a_person_put_on_a_configured_path_is_not_reaped(world: World) -> None:
    """The number is older than the record's, and consumers read it."""
    bot = await rotated(world)
    stray = world.target.mint(f"{(await world.record()).stem}-r1-a7", None)
    web = replace(bot.credential, name="web", place=VaultPath("secret", "web"))
    aware(bot, web)
    world.vault.put(web.place, {"token": stray.secret.reveal(), "provider_id": stray.token.id}, None)
    world.clock.move(1)
    await bot.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(HOUR)
    await bot.reconcile()
    record = await world.record()
    await bot.journal.save(await world.entry(), replace(record, strays=True), (await world.entry()).lease)
    await bot.reconcile()
    assert world.target.accepts(stray.secret)
    world.vault.put(web.place, {"token": "another"}, None)
    await bot.journal.save(await world.entry(), replace(await world.record(), strays=True), (await world.entry()).lease)
    await bot.reconcile()
    assert not world.target.accepts(stray.secret)


async def test_what_cannot_be_read_makes_its_tokens_nobodys_to_end(world: World) -> None:
    bot = await rotated(world)
    third = renamed(world)
    world.vault.delete(VaultPath("secret", "rotator/journal/blog/bot"))
    world.vault.put(PLACE, {"token": "another"}, None)
    owner = (await everything(third)).of(ids(world)[0], world.clock.now())
    assert owner.state is TokenState.IN_FLIGHT
    assert "was deleted" in owner.said
    assert "was deleted" in (await left_behind(third.journal, ["third"]))[1]["blog/bot"]
    bot.dependencies.store.fail("read", StoreRefused("403"), place=PLACE)
    assert (await everything(bot)).of(ids(world)[0], world.clock.now()).state is TokenState.IN_FLIGHT


async def test_a_value_of_which_nothing_says_what_it_is_protects_the_tokens_of_its_credential(world: World) -> None:
    """The journal is lost, and settings do not describe the value."""
    bot = await rotated(world, describe=False)
    world.vault.forget(VaultPath("secret", "rotator/journal/blog/bot"))
    owner = (await everything(bot)).of(ids(world)[0], world.clock.now())
    assert owner.state is TokenState.IN_FLIGHT
    assert "nothing says which token it is of" in owner.said


async def test_a_vault_that_does_not_answer_judges_nothing(world: World) -> None:
    bot = await rotated(world)
    for fault in (Transient("sealed"), Refused("no list")):
        bot.dependencies.store.fail("list" if isinstance(fault, Refused) else "read", fault)
        with pytest.raises(type(fault)):
            await everything(bot)
    bot.dependencies.store.fail("read", Transient("sealed"))
    with pytest.raises(Transient):
        await left_behind(bot.journal, [])
    assert (await world.record()).phase is Phase.SETTLED
