"""Commands of operators (undo, adopt, pause) and what follows from them; a published value that is disproved."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from rotator.ports import Capabilities, Conflict, Minted, Refused, Rejected, Transient
from rotator.rotation.credential import Retirement
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import operators
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Wait
from tests.kit.provider import FakeProvider
from tests.unit.engine.world import PLACE, Actor, Crash, World, crash_at
from tests.unit.rotation.builders import published

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
SETTLE = 11.0  # seconds: a little more than the default


async def say(actor: Actor, word: operators.RecordChange):
    return await actor.reconciler.obey(actor.credential, actor.dependencies, word)


async def undo(actor: Actor, *, emergency: bool = False):
    return await say(actor, operators.undo("ada", emergency=emergency))


async def published_twice(world: World, **changes) -> tuple[Actor, Secret, Secret]:
    """An actor in the grace of a second rotation, and both values."""
    actor = world.actor(retire=Retirement(HOUR), **changes)
    await actor.reconcile()
    old = world.consumer.secret("token")
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    new = world.consumer.secret("token")
    assert old
    assert new
    actor.told.clear()
    return actor, old, new


async def retired(world: World) -> tuple[Actor, Secret, Secret]:
    actor, old, new = await published_twice(world)
    world.clock.move(HOUR)
    await actor.reconcile()
    assert not world.target.accepts(old)
    actor.told.clear()
    return actor, old, new


async def test_within_the_grace_the_value_before_is_proven_and_published_and_nothing_is_cut_short(world: World) -> None:
    actor, old, new = await published_twice(world)
    await undo(actor)
    assert world.consumer.secret("token").matches(new)
    await actor.reconcile()
    assert actor.events == ["UndoBegun", "Restored", "Verified", "Published"]
    assert world.consumer.secret("token").matches(old)
    assert world.consumer.text("rotation") == "3"
    assert world.target.accepts(new)
    world.clock.move(HOUR)
    await actor.reconcile()
    assert actor.events[4:] == ["Condemned", "Retired", "Swept"]
    assert (world.target.accepts(old), world.target.accepts(new)) == (True, False)
    assert len(world.target.living()) == 1


async def test_in_an_emergency_what_is_taken_back_gets_no_grace(world: World) -> None:
    actor, old, new = await published_twice(world)
    await undo(actor, emergency=True)
    await actor.reconcile()
    assert (world.target.accepts(old), world.target.accepts(new)) == (True, False)
    assert (await world.record()).retired is None  # it leaked, for all we know: there is no way back to it


async def test_after_the_grace_the_revocation_is_taken_back_once_none_can_be_on_its_way(world: World) -> None:
    actor, old, _ = await retired(world)
    await undo(actor)
    waits = (await actor.reconcile()).wait
    assert waits.reason == "a revocation of the value before may still be on its way"
    assert not world.target.accepts(old)
    world.clock.move(SETTLE)
    await actor.reconcile()
    assert world.consumer.secret("token").matches(old)
    assert world.target.accepts(old)


async def test_long_after_the_grace_there_is_nothing_to_wait_for(world: World) -> None:
    actor, old, new = await retired(world)
    world.clock.move(HOUR)
    await undo(actor)
    await actor.reconcile()
    assert world.consumer.secret("token").matches(old)
    await undo(actor)  # and back again
    await actor.reconcile()
    assert world.consumer.secret("token").matches(new)
    assert world.consumer.text("rotation") == "4"


async def test_one_that_the_target_refuses_leaves_the_grace_and_everything_else_as_it_was(world: World) -> None:
    actor, _, new = await published_twice(world)
    record = await world.record()
    world.target.revoke(record.predecessor.token)  # somebody did
    await undo(actor)
    world.clock.move(SETTLE)
    await actor.reconcile()
    world.clock.move(SETTLE)
    await actor.reconcile()
    assert actor.events[-1] == "CandidateRejected"
    after = await world.record()
    assert (after.phase, after.predecessor, after.grace_ends) == (
        Phase.PUBLISHED,
        record.predecessor,
        record.grace_ends,
    )
    assert world.consumer.secret("token").matches(new)
    assert after.failure.step == "undo"
    assert "Burned" not in actor.events


async def test_one_brought_back_in_vain_is_ended_again(world: World) -> None:
    actor, old, new = await retired(world)
    world.clock.move(HOUR)
    await undo(actor)
    actor.hook = crash_at("restore: done")
    with pytest.raises(Crash):
        await actor.reconcile()
    assert world.target.accepts(old)  # and the record accounts for it
    assert (await world.record()).predecessor.token in world.target.living()
    actor.hook = lambda label: None
    world.vault.destroy(PLACE, ((await world.record()).predecessor.version,))
    await actor.reconcile()
    assert "UndoFailed" in actor.events
    assert (world.target.accepts(old), world.target.accepts(new)) == (False, True)
    assert (await world.record()).phase is Phase.SETTLED


async def test_a_foreign_write_ends_an_undo_before_anything_is_brought_back(world: World) -> None:
    actor, old, _ = await retired(world)
    world.clock.move(HOUR)
    await undo(actor)
    world.vault.put(PLACE, {"token": "by hand"}, None)
    await actor.reconcile()
    assert actor.events[:2] == ["UndoBegun", "UndoFailed"]
    assert not world.target.accepts(old)


async def test_asking_for_an_undo_twice_is_asking_once(world: World) -> None:
    actor, _, _ = await published_twice(world)
    first = await undo(actor)
    assert await undo(actor) == first
    assert actor.events == ["UndoBegun"]


async def refusal(actor: Actor, word: operators.RecordChange) -> str:
    before = await actor.journal.load("blog/bot")
    with pytest.raises(Refused) as caught:
        await say(actor, word)
    assert await actor.journal.load("blog/bot") == before
    return caught.value.reason


WORD = operators.undo("ada", emergency=False)


async def test_it_is_refused_while_the_path_holds_another_value(world: World) -> None:
    actor, _, _ = await published_twice(world)
    world.vault.put(PLACE, {"token": "by hand"}, None)
    assert "does not hold what we published" in await refusal(actor, WORD)


async def test_it_is_refused_when_the_value_is_gone_from_vault(world: World) -> None:
    actor, _, _ = await published_twice(world)
    world.vault.destroy(PLACE, ((await world.record()).predecessor.version,))
    assert "is gone from Vault" in await refusal(actor, WORD)


async def test_it_is_refused_when_the_record_was_deleted_at_the_target(world: World) -> None:
    actor, _, _ = await retired(world)
    world.target.remove((await world.record()).retired.token)
    assert "was deleted at the target since" in await refusal(actor, WORD)


async def test_it_is_refused_where_a_revocation_is_for_ever_or_there_is_one_slot(world: World) -> None:
    actor, _, _ = await retired(world)
    actor.dependencies = replace(actor.dependencies, provider=FakeProvider(world.target, capabilities=Capabilities()))
    assert "cannot take that back" in await refusal(actor, WORD)
    actor.dependencies = replace(
        actor.dependencies, provider=FakeProvider(world.target, capabilities=Capabilities(overlap=False))
    )
    assert "keeps one value only" in await refusal(actor, WORD)


async def test_it_is_refused_when_there_is_nothing_to_take_back(world: World) -> None:
    actor = world.actor()
    await actor.reconcile()
    assert "there is no rotation to take back" in await refusal(actor, WORD)


async def test_who_works_on_the_record_is_not_disturbed(world: World) -> None:
    actor, _, _ = await published_twice(world)
    entry = await actor.journal.load("blog/bot")
    await actor.journal.save(entry, entry.record, world.actor("host-b").reconciler.leases.stamp(entry))
    with pytest.raises(Conflict, match="worked on by host-b"):
        await undo(actor)


# --- adopt ----------------------------------------------------------------------------------------------------------


def by_hand(world: World, name: str = "by hand") -> Secret:
    """Somebody mints a token and writes it to the consumer path."""
    minted = world.target.mint(name, None)
    world.vault.put(PLACE, {"token": minted.secret.reveal(), "theirs": "kept"}, None)
    return minted.secret


async def owned(name: str, by: Token) -> TokenOwners:
    """A token is another credential's."""
    record = Record("l9", current=published(1, token=Token(by.id)))
    return TokenOwners({name: record}, {}, (), "rotator-home-")


ADOPT = operators.adopt("ada")


async def test_a_value_made_by_hand_is_adopted_without_a_write_and_without_a_rotation(world: World) -> None:
    actor, mine = world.actor(retire=Retirement(HOUR)), by_hand(world)
    before = world.consumer
    record = await say(actor, ADOPT)
    assert world.consumer == before
    assert (record.phase, record.current.token.name, record.rotation) == (Phase.SETTLED, "by hand", 0)
    seen = await actor.reconcile()
    assert isinstance(seen.wait, Wait)
    assert seen.wait.until == world.clock.now() + timedelta(days=30)
    assert actor.events == ["Adopted"]
    assert await say(actor, ADOPT) == record  # twice is once
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.clock.move(HOUR)
    await actor.reconcile()
    assert not world.target.accepts(mine)
    assert world.consumer.text("theirs") == "kept"


async def test_a_hold_for_a_foreign_value_is_settled_and_our_own_gets_its_grace(world: World) -> None:
    actor = world.actor(retire=Retirement(HOUR))
    await actor.reconcile()
    ours = world.consumer.secret("token")
    mine = by_hand(world)
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert (await world.record()).phase is Phase.HELD
    await say(actor, ADOPT)
    await actor.reconcile()
    assert (world.target.accepts(ours), world.target.accepts(mine)) == (True, True)
    world.clock.move(HOUR)
    await actor.reconcile()
    assert (world.target.accepts(ours), world.target.accepts(mine)) == (False, True)
    assert (await world.record()).phase is Phase.SETTLED


async def test_what_cannot_be_adopted_is_refused_in_words(world: World) -> None:
    actor = world.actor()
    assert "holds nothing" in await refusal(actor, ADOPT)
    by_hand(world)
    other = world.actor()
    other.dependencies = replace(other.dependencies, owners=partial(owned, "blog/web", world.target.living()[0]))
    assert "is blog/web's token" in await refusal(other, ADOPT)
    world.target.fail("verify")
    with pytest.raises(Transient):
        await say(actor, ADOPT)
    world.vault.put(PLACE, {"token": "nobody's"}, None)
    assert "nobody knows it" in await refusal(actor, ADOPT)
    by_hand(world, "rotator-home-search-l1-r1-a1")
    assert "was minted for another credential" in await refusal(actor, ADOPT)
    by_hand(world, "too strong")
    world.target.judge = lambda token, secret: Rejected("other roles", final=True)
    assert "is not what settings want: other roles" in await refusal(actor, ADOPT)


@pytest.mark.parametrize(
    ("can", "end"),
    [
        (Capabilities(), "then end the old one by hand on target blog, where only you know which it is"),
        (Capabilities(overlap=False), "it ends this"),
        (Capabilities(can_revoke=False), "the old one ends by its date"),
    ],
    ids=["nobody could end it later", "one slot", "it expires"],
)
async def test_a_kind_whose_values_are_silent_says_so_and_what_to_do(world: World, can: Capabilities, end: str) -> None:
    class Silent:
        capabilities = can

    actor = world.actor()
    by_hand(world)
    plain, actor.dependencies = actor.dependencies, replace(actor.dependencies, provider=Silent())
    said = await refusal(actor, ADOPT)
    assert "values of kind halo-cms do not say whose they are, so none is adopted" in said
    assert said.endswith(f'set on_foreign = "overwrite" and let `rotate now` write a new one; {end}')
    silent, actor.dependencies = actor.dependencies, plain
    await actor.reconcile()
    actor.dependencies = silent
    assert 'set on_foreign = "overwrite", release it and let `rotate now`' in await refusal(actor, ADOPT)


async def test_in_the_middle_of_a_rotation_nothing_is_adopted_and_our_own_is_not_foreign(world: World) -> None:
    actor, _, _ = await published_twice(world)
    assert (await say(actor, ADOPT)).phase is Phase.PUBLISHED
    assert actor.events == []
    by_hand(world)
    assert "is under way" in await refusal(actor, ADOPT)


async def test_a_value_that_was_put_back_is_released_not_adopted(world: World) -> None:
    actor = world.actor()
    await actor.reconcile()
    ours = dict(world.consumer.values)
    by_hand(world)
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    world.vault.put(PLACE, ours, None)
    assert "release it" in await refusal(actor, ADOPT)


# --- pause, and a value disproved -----------------------------------------------------------------------------------


async def test_a_paused_credential_of_which_nothing_is_known_yet_is_not_begun(world: World) -> None:
    actor = world.actor()
    record = await say(actor, operators.pause("ada", "a freeze", HOUR))
    assert record.paused.until == world.clock.now() + HOUR
    seen = await actor.reconcile()
    assert (seen.wait.until, actor.events) == (world.clock.now() + HOUR, ["Paused"])
    world.clock.move(HOUR)
    await actor.reconcile()
    assert world.healthy


async def test_resuming_ends_it_and_what_is_not_paused_is_left_alone(world: World) -> None:
    actor = world.actor()
    await say(actor, operators.resume("ada"))
    assert actor.events == []
    await say(actor, operators.pause("ada", "", None))
    assert (await actor.reconcile()).wait.until is None
    await say(actor, operators.resume("bob"))
    await actor.reconcile()
    assert actor.events[:3] == ["Paused", "Unpaused", "Requested"]


async def test_a_disproved_value_is_due_at_once_unless_it_is_another_by_now(world: World) -> None:
    actor, _, _ = await published_twice(world)
    record = await world.record()
    for token_id in (record.predecessor.token.id, "nobody's"):
        assert await say(actor, operators.disprove(token_id, "401")) == record
    assert (await say(actor, operators.disprove(record.current.token.id, "401"))).refused_at
    await say(actor, operators.disprove(record.current.token.id, "401"))
    await actor.reconcile()
    assert actor.events[:3] == ["Disproved", "Swept", "Requested"]
    assert (await world.record()).rotation == 3


async def test_a_value_that_somebody_replaced_is_not_disproved(world: World) -> None:
    actor, _, _ = await published_twice(world)
    world.vault.put(PLACE, {"token": "by hand"}, None)
    await say(actor, operators.disprove((await world.record()).current.token.id, "401"))
    assert actor.events == []


class Paired(FakeProvider):
    """What it mints has a name and a twin beside the value."""

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        minted = await super().mint(name, expires_at, keep)
        return replace(minted, fields={"kid": f"kid-of-{name}", "twin": Secret(f"canary-twin-of-{name}")})


@pytest.mark.parametrize("known", [True, False], ids=["as it is recorded", "in a record that does not say"])
async def test_what_is_public_beside_a_value_is_no_secret_in_an_undo(world: World, known: bool) -> None:
    actor = world.actor(retire=Retirement(HOUR))
    actor.dependencies = replace(actor.dependencies, provider=Paired(world.target))
    await actor.reconcile()
    first = dict(world.consumer.values or {})
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    if not known:
        entry = await actor.journal.load("blog/bot")
        older = replace(entry.record, predecessor=replace(entry.record.predecessor, public=()))
        await actor.journal.save(entry, older, entry.lease)
    hidden: set[str] = set()
    actor.hook = lambda label: hidden.update(each.reveal() for each in Secret.living())
    await undo(actor)
    await actor.reconcile()
    now = world.consumer.values or {}
    assert {key: now[key] for key in ("token", "kid", "twin")} == {key: first[key] for key in ("token", "kid", "twin")}
    assert first["twin"] in hidden
    assert (first["kid"] in hidden) is not known
