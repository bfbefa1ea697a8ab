"""What becomes of a credential whose settings move it: to another key of its document, or to where others sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotator.ports import CannotPresent, Minted
from rotator.rotation.credential import Retirement
from rotator.rotation.procedures import operators
from rotator.rotation.record import HoldReason, Phase, Token, Trigger
from rotator.rotation.secret import Secret
from tests.kit.provider import FakeProvider
from tests.unit.engine.world import PLACE, Actor, World

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


class Signing(FakeProvider):
    """A value goes with what consumers need to sign with it: `place`. One made for another place cannot be tried."""

    place = "transit_key"

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        return replace(await super().mint(name, expires_at, keep), fields={self.place: "shop", "kid": name})

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        if secret is not None and self.place != "transit_key":
            raise CannotPresent("its key is in Vault Transit")
        return await super().is_dead(token, secret)


async def moved(world: World) -> Actor:
    """Signed in Transit, and then settings want a key of its own, under another key of the document."""
    actor = world.actor(retire=Retirement(HOUR), key="public_key")
    actor.dependencies = replace(actor.dependencies, provider=Signing(world.target))
    await actor.reconcile()
    world.vault.put(PLACE, {**(world.consumer.values or {}), "theirs": "kept"}, cas=world.consumer.version)
    provider = actor.dependencies.provider
    assert isinstance(provider, Signing)
    provider.place = "signing"
    actor.credential = replace(actor.credential, key="private_key")
    actor.told.clear()
    world.clock.move(1)
    return actor


async def test_another_key_of_the_document_is_a_move_and_what_is_there_is_still_ours(world: World) -> None:
    actor = await moved(world)
    await actor.reconcile()
    record = await world.record()
    assert actor.events == ["Requested", "Staged", "Verified", "Published"]
    assert record.why is Trigger.MOVED
    assert record.current
    assert record.current.key == "private_key"
    assert (record.phase, record.predecessor is not None) == (Phase.PUBLISHED, True)


async def test_nothing_of_the_value_before_is_left_beside_the_new_one_but_what_others_wrote_is(world: World) -> None:
    actor = await moved(world)
    await actor.reconcile()
    values = world.consumer.values or {}
    assert not {"public_key", "transit_key"} & values.keys()
    assert {"private_key", "signing", "kid", "theirs"} <= values.keys()


async def test_a_value_of_somebody_else_under_the_new_key_is_not_written_over(world: World) -> None:
    actor = await moved(world)
    world.vault.put(PLACE, {**(world.consumer.values or {}), "private_key": "a person's"}, cas=world.consumer.version)
    await actor.reconcile()
    record = await world.record()
    assert record.held
    assert record.held.reason is HoldReason.FOREIGN_WRITE


async def test_a_value_that_cannot_be_tried_any_more_is_not_said_to_be_refused(world: World) -> None:
    actor = await moved(world)
    await actor.reconcile()
    world.clock.move(HOUR)
    await actor.reconcile()
    assert actor.events[-3:] == ["Condemned", "Retired", "Swept"]
    proof = (await world.record()).evidence
    assert "is dead, the target says so (its value was not tried: its key is in Vault Transit); revoked" in proof


async def test_in_the_grace_of_a_rotation_a_move_lets_what_was_begun_end_first(world: World) -> None:
    actor = world.actor(retire=Retirement(HOUR))
    await actor.reconcile()
    world.clock.move(timedelta(days=31))
    await actor.reconcile()
    assert (await world.record()).phase is Phase.PUBLISHED
    actor.credential = replace(actor.credential, key="password")
    world.clock.move(HOUR)
    actor.told.clear()
    await actor.reconcile()
    assert actor.events == ["Condemned", "Retired", "Swept", "Requested", "Staged", "Verified", "Published"]
    assert world.target.accepts(world.consumer.secret("password"))


async def test_an_undo_puts_the_value_under_the_key_that_consumers_read_now(world: World) -> None:
    actor = world.actor(retire=Retirement(HOUR))
    await actor.reconcile()
    old = world.consumer.secret("token")
    actor.credential = replace(actor.credential, key="password")
    world.clock.move(1)
    await actor.reconcile()
    await actor.reconciler.obey(actor.credential, actor.dependencies, operators.undo("ada", emergency=False))
    await actor.reconcile()
    assert old
    assert world.consumer.secret("password").matches(old)
    assert "token" not in (world.consumer.values or {})
