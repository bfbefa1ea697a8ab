"""Revocation of access tokens (RFC 7009): servers that honour it, ignore it, end more than that, or do not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import Capabilities, Outcome, Refused, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Limits, Retirement
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.procedures.operators import undo
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest, live_at
from rotator.rotation.schedule import Every
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.kit.requests import FakeRequests
from tests.kit.store import FakeStore
from tests.unit.engine.world import PLACE, Actor, Crash, World
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

AT, REVOKES = "/auth/revoke", {"revocation_url": "/auth/revoke"}
KEPT = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")
BY_SECRET: dict[str, Any] = {"signing_key": None}


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock, **REVOKES) as running:
        yield running


def asked(world: desk.Desk) -> int:
    return sum(call.path.startswith(AT) for call in world.itsm.calls.since(0))


async def test_what_is_revoked_is_dead_and_others_live(world: desk.Desk) -> None:
    provider = world.bound("oauth-token")
    one, two = await provider.mint("r1", None), await provider.mint("r2", None)
    assert await provider.is_dead(one.token, one.secret) is False
    assert await provider.revoke(one.token, one.secret) is Outcome.DONE
    assert await provider.is_dead(one.token, one.secret) is True
    assert await provider.is_dead(two.token, two.secret) is False
    assert not world.itsm.model.accepts_token(one.secret)
    assert await provider.revoke(one.token, one.secret) is Outcome.ALREADY
    assert asked(world) == 1  # what is dead is not revoked: some servers would end more than that


async def test_an_answer_proves_nothing(world: desk.Desk) -> None:
    world.itsm.model.change(revocation="nothing")
    provider = world.bound("oauth-token")
    made = await provider.mint("r1", None)
    assert await provider.revoke(made.token, made.secret) is Outcome.DONE
    assert await provider.is_dead(made.token, made.secret) is False


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_is_recovered_by_asking_again(world: desk.Desk, when: str) -> None:
    provider = world.bound("oauth-token")
    made = await provider.mint("r1", None)
    world.itsm.faults.add("drop", when=when, path=AT)
    with pytest.raises(Transient):
        await provider.revoke(made.token, made.secret)
    assert await provider.revoke(made.token, made.secret) is (Outcome.DONE if when == "before" else Outcome.ALREADY)
    assert await provider.is_dead(made.token, made.secret) is True


async def test_a_server_in_trouble_says_when_to_ask_again(world: desk.Desk) -> None:
    provider = world.bound("oauth-token")
    made = await provider.mint("r1", None)
    world.itsm.faults.add("status", path=AT, status=503, retry_after=7)
    with pytest.raises(Transient) as fault:
        await provider.revoke(made.token, made.secret)
    assert fault.value.retry_after == 7.0


@pytest.mark.parametrize("word", ["unsupported_token_type", "unauthorized_client"])
async def test_a_refusal_is_told_in_words(world: desk.Desk, word: str) -> None:
    provider = world.bound("oauth-token")
    made = await provider.mint("r1", None)
    world.itsm.model.change(revocation_refused=word)
    with pytest.raises(Refused, match=f"the revocation endpoint answers 400: {word}"):
        await provider.revoke(made.token, made.secret)


async def test_without_its_value_it_is_left_alone(world: desk.Desk) -> None:
    provider = world.bound("oauth-token")
    made = await provider.mint("r1", None)
    with pytest.raises(Refused, match="its value is not at hand"):
        await provider.revoke(made.token, None)
    assert await provider.is_dead(made.token, None) is None
    world.clock.move(3600)
    assert await provider.revoke(made.token, None) is Outcome.ALREADY
    assert await provider.is_dead(made.token, None) is True
    assert asked(world) == 0


@pytest.mark.parametrize(("preset", "first"), [("hydra", 1), ("spring", 2)])
async def test_the_audience_that_is_taken_is_found_and_remembered(clock: HandClock, preset: str, first: int) -> None:
    async with desk.running(preset, clock, **REVOKES) as world:
        provider = world.bound("oauth-token", backdate=timedelta(seconds=1), algorithm="RS256")
        for number in range(2):
            made = await provider.mint(f"r{number}", None)
            assert await provider.revoke(made.token, made.secret) is Outcome.DONE
            assert not world.itsm.model.accepts_token(made.secret)
            assert asked(world) == first + number


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_with_a_secret_proves_itself_as_at_the_token_endpoint(clock: HandClock, method: str) -> None:
    async with desk.running("keycloak", clock, **REVOKES) as world:
        application = world.itsm.model.add_application("plain", secret=world.keys.held[desk.SECRET])
        provider = world.bound("oauth-token", client_id=application.client_id, auth_method=method, **BY_SECRET)
        made = await provider.mint("r1", None)
        assert await provider.revoke(made.token, made.secret) is Outcome.DONE
        assert not world.itsm.model.accepts_token(made.secret)
        world.keys.held[desk.SECRET] = Secret("canary-another-secret-77")
        with pytest.raises(Refused, match="the revocation endpoint answers 401"):
            await world.server.revocation.revoke(world.credential("oauth-token").options, made.secret)


async def test_what_lacks_a_scope_is_revoked_as_nobody_will_publish_it(world: desk.Desk) -> None:
    world.itsm.model.change(drops_scopes=True)
    with pytest.raises(Refused, match="did not grant"):
        await world.bound("oauth-token", scopes=("all", "no:such")).mint("r1", None)
    assert asked(world) == 1
    assert world.itsm.model.grants.living(world.client.client_id) == 0


@pytest.mark.parametrize(
    ("options", "can"),
    [
        ({}, Capabilities(revokes_by_value=True)),
        (
            {"grant": "refresh_token", "refresh_token": KEPT, "refresh_ends_access": False},
            Capabilities(needs_install=True, revokes_by_value=True, shared_grant=True),
        ),
        (
            {"grant": "refresh_token", "refresh_token": KEPT},
            Capabilities(needs_install=True, mint_ends_predecessor=True, can_revoke=False),
        ),
    ],
)
async def test_what_can_be_revoked(world: desk.Desk, options: dict[str, Any], can: Capabilities) -> None:
    assert world.bound("oauth-token", **options).capabilities == can


# whole rotations


class Rotations:
    """A world whose target is a service desk."""

    def __init__(self, world: World, at: desk.Desk) -> None:
        self.world, self.desk = world, at

    def actor(self, holder: str = "host-a", minutes: int = 40, **options: Any) -> Actor:
        made = self.world.actor(
            holder,
            schedule=Every(timedelta(minutes=minutes), jitter=0),
            lifetime=timedelta(hours=1),
            retire=Retirement(after=timedelta(minutes=5), gives_way=True),
            limits=Limits(mints_per_day=100),
        )
        made.dependencies = replace(made.dependencies, provider=self.desk.bound("oauth-token", **options))
        return made

    async def until(self, actor: Actor, *ends: type[ev.Event], asked: RotationRequest | None = None) -> Record:
        """Reconcile, with the waits that are asked for, until one of these happens."""
        for _ in range(120):
            seen = await actor.reconcile(asked)
            assert seen.record
            if any(isinstance(each.event, ends) for each in actor.told):
                actor.told.clear()
                return seen.record
            wait = seen.wait.until - self.world.clock.now() if seen.wait.until else timedelta(seconds=30)
            self.world.clock.move(max(wait, timedelta(seconds=1)))
        raise AssertionError(f"it comes to {actor.events}")

    def read(self) -> Secret:
        found = self.world.consumer.secret("token")
        assert found
        return found

    def accepted(self, value: Secret) -> bool:
        return self.desk.itsm.model.accepts_token(value)


@pytest.fixture
async def rotations() -> AsyncIterator[Rotations]:
    world = World()
    clock: Any = world.clock
    async with desk.running("keycloak", clock, **REVOKES) as running:
        yield Rotations(world, running)


async def second(rotations: Rotations, actor: Actor) -> tuple[Secret, Secret]:
    """The first value and the second, which was published just now."""
    await rotations.until(actor, ev.Published)
    old = rotations.read()
    await rotations.until(actor, ev.Published)
    return old, rotations.read()


async def test_a_predecessor_is_revoked_after_its_grace(rotations: Rotations) -> None:
    one = rotations.actor()
    old, new = await second(rotations, one)
    began = rotations.world.clock.now()
    assert rotations.accepted(old)
    record = await rotations.until(one, ev.Retired)
    assert rotations.world.clock.now() - began == timedelta(minutes=5)
    assert not rotations.accepted(old)
    assert rotations.accepted(new)
    assert (record.phase, record.refused_at, record.ends_together) == (Phase.SETTLED, None, "")


async def test_in_an_emergency_nothing_old_lives_for_a_minute(rotations: Rotations) -> None:
    one = rotations.actor()
    await rotations.until(one, ev.Published)
    old = rotations.read()
    rotations.world.clock.move(60)
    began = rotations.world.clock.now()
    await rotations.until(one, ev.Retired, asked=RotationRequest(began, "ada", emergency=True))
    assert rotations.world.clock.now() - began < timedelta(seconds=5)
    assert not rotations.accepted(old)
    assert rotations.accepted(rotations.read())


@pytest.mark.parametrize(
    "trouble", [{"revocation": "nothing"}, {"revocation_refused": "unsupported_token_type"}], ids=["200", "refused"]
)
async def test_what_is_not_revoked_ends_by_its_date_and_holds_nothing_up(
    rotations: Rotations, trouble: dict[str, Any]
) -> None:
    one = rotations.actor()
    rotations.desk.itsm.model.change(**trouble)
    old, _ = await second(rotations, one)
    record = await rotations.until(one, ev.LeftToExpire)
    [left] = record.left
    assert left.until == left.value.token.expires_at
    assert "revocation" in left.reason
    assert rotations.accepted(old)
    await rotations.until(one, ev.Published)
    assert rotations.accepted(rotations.read())


async def test_a_revocation_without_an_answer_ends_with_the_date(rotations: Rotations) -> None:
    one = rotations.actor()
    rotations.desk.itsm.faults.add("status", path=AT, status=503, times=None)
    await second(rotations, one)
    record = await rotations.until(one, ev.Retired)
    assert "expired at" in record.evidence
    assert rotations.accepted(rotations.read())


async def test_a_revocation_without_an_answer_holds_nothing_up(rotations: Rotations) -> None:
    one = rotations.actor(minutes=15)
    rotations.desk.itsm.faults.add("status", path=AT, status=503, times=None)
    await second(rotations, one)
    began = rotations.world.clock.now()
    record = await rotations.until(one, ev.LeftToExpire)  # when the next rotation is due, which follows at once
    assert rotations.world.clock.now() - began < timedelta(minutes=16)
    assert record.rotation == 3
    assert rotations.accepted(rotations.read())


async def test_where_the_published_value_ends_too_a_new_one_follows_and_none_is_revoked_again(
    rotations: Rotations,
) -> None:
    one = rotations.actor()
    rotations.desk.itsm.model.change(revocation="family")
    _, new = await second(rotations, one)
    record = await rotations.until(one, ev.Retired)
    assert record.ends_together == record.target
    assert not rotations.accepted(new)
    began = rotations.world.clock.now()
    await rotations.until(one, ev.Published) if rotations.read().matches(new) else None
    assert rotations.world.clock.now() - began < timedelta(seconds=60)
    assert rotations.accepted(rotations.read())
    calls = asked(rotations.desk)
    await rotations.until(one, ev.LeftToExpire)
    await rotations.until(one, ev.Published)
    await rotations.until(one, ev.LeftToExpire)
    assert asked(rotations.desk) == calls
    assert rotations.accepted(rotations.read())


async def test_a_candidate_that_is_burned_is_revoked(rotations: Rotations) -> None:
    one = rotations.actor()
    model = rotations.desk.itsm.model
    await rotations.until(one, ev.Published)
    rotations.world.clock.move(40 * 60)
    rotations.desk.itsm.faults.add("status", path="/api/Agent/me", status=404, times=4)
    await rotations.until(one, ev.Published)
    await rotations.until(one, ev.Retired)
    assert model.grants.living(rotations.desk.client.client_id) == 1


async def test_a_crash_between_revocation_and_record_revokes_nothing_twice(rotations: Rotations) -> None:
    one = rotations.actor()
    old, new = await second(rotations, one)

    def die(label: str) -> None:
        if asked(rotations.desk):
            raise Crash(label)

    one.hook = die
    with pytest.raises(Crash):
        await rotations.until(one, ev.Retired)
    assert not rotations.accepted(old)
    rotations.world.clock.move(60)
    await rotations.until(rotations.actor("host-b"), ev.Retired)
    assert asked(rotations.desk) == 1
    assert rotations.accepted(new)


@pytest.mark.parametrize(("ends", "calls"), [(False, 1), (True, 0)], ids=["keycloak", "hydra"])
async def test_a_refreshed_token_is_revoked_unless_the_refresh_has_ended_it(
    rotations: Rotations, ends: bool, calls: int
) -> None:
    """Where it is dead already, asking for its end would end the consent."""
    model, client = rotations.desk.itsm.model, rotations.desk.client
    model.change(refresh_ends_access=ends)
    rotations.desk.keys.document_store(KEPT.name).put(refresh_token=model.authorise(client))
    one = rotations.actor(grant="refresh_token", refresh_token=KEPT, refresh_ends_access=False)
    old, new = await second(rotations, one)
    await rotations.until(one, ev.Retired)
    assert asked(rotations.desk) == calls
    assert not rotations.accepted(old)
    assert rotations.accepted(new)
    await rotations.until(one, ev.Published)
    assert rotations.accepted(rotations.read())


async def revoke(rotations: Rotations, actor: Actor, *ends: type[ev.Event]) -> Record:
    """`rotate revoke`, until one of these happens."""
    world, requests = rotations.world, FakeRequests(FakeStore(rotations.world.vault))
    actor.reconciler.requests = FakeRequests(actor.journal.store)
    world.clock.move(1)
    live = live_at((await world.entry()).record)
    now = world.clock.now()
    wish = OperatorRequest(f"at-{now:%H%M%S}", RequestVerb.ROTATE, now, "ada", emergency=True, patient=True, live=live)
    await requests.put("blog/bot", wish)
    await actor.reconciler.requests.look()
    return await rotations.until(actor, *ends)


async def leaked(rotations: Rotations, actor: Actor) -> Secret:
    """A value that leaked, and that the server does not end when it is asked to."""
    rotations.desk.itsm.model.change(revocation="nothing")
    await rotations.until(actor, ev.Published)
    old = rotations.read()
    record = await revoke(rotations, actor, ev.LeftToExpire)
    assert rotations.accepted(old)
    assert [each.leaked for each in record.left] == [True]
    return old


@pytest.mark.parametrize("between", ["nothing", "a rotation"])
async def test_what_leaked_is_revoked_once_more_by_the_next_emergency(rotations: Rotations, between: str) -> None:
    one = rotations.actor()
    old = await leaked(rotations, one)
    if between == "a rotation":
        await rotations.until(one, ev.Published)
    second = rotations.read()
    rotations.desk.itsm.model.change(revocation="one")
    record = await revoke(rotations, one, ev.Reopened)
    record = await rotations.until(one, ev.Retired)
    assert not rotations.accepted(old)
    assert not rotations.accepted(second)
    assert rotations.accepted(rotations.read())
    assert (record.left, record.predecessor) == ((), None)


async def test_what_leaked_and_is_not_ended_by_another_emergency_stays_known(rotations: Rotations) -> None:
    one = rotations.actor()
    old = await leaked(rotations, one)
    await revoke(rotations, one, ev.Reopened)
    record = await rotations.until(one, ev.LeftToExpire)
    assert len(record.left) == 2
    assert all(each.leaked and not each.again for each in record.left)
    assert rotations.accepted(old)
    assert (record.phase, record.asked) == (Phase.SETTLED, None)
    await rotations.until(one, ev.Ended)  # each by its date
    record = await rotations.until(one, ev.Ended, ev.Requested)
    assert not rotations.accepted(old)


async def test_an_emergency_does_not_wait_for_the_one_before_it_that_gets_no_answer(rotations: Rotations) -> None:
    one = rotations.actor()
    await rotations.until(one, ev.Published)
    old = rotations.read()
    rotations.desk.itsm.faults.add("status", path=AT, status=503, times=None)
    await revoke(rotations, one, ev.Faulted)
    second = rotations.read()
    began = rotations.world.clock.now()
    await revoke(rotations, one, ev.Published)
    assert rotations.world.clock.now() - began < timedelta(seconds=5)
    rotations.desk.itsm.faults.clear()
    await rotations.until(one, ev.Reopened)
    record = await rotations.until(one, ev.Retired)
    assert not rotations.accepted(old)
    assert not rotations.accepted(second)
    assert rotations.accepted(rotations.read())
    assert record.left == ()


async def test_what_leaked_and_is_gone_from_vault_is_told_with_its_date(rotations: Rotations) -> None:
    one = rotations.actor()
    old = await leaked(rotations, one)
    rotations.desk.itsm.model.change(revocation="one")
    rotations.world.vault.destroy(PLACE, (1,))
    record = await revoke(rotations, one, ev.LeftToExpire)
    [left] = record.left
    assert "is gone from Vault, and only its value ends it" in left.reason
    assert rotations.accepted(old)


async def test_revocations_without_an_answer_are_no_reason_to_give_up(rotations: Rotations) -> None:
    one = rotations.actor()
    old, _ = await second(rotations, one)
    rotations.desk.itsm.faults.add("status", path=AT, status=503, times=20)
    await rotations.until(one, ev.Retired)
    assert asked(rotations.desk) == 21
    assert not rotations.accepted(old)


async def test_an_undo_brings_back_what_was_left_to_its_date(rotations: Rotations) -> None:
    one = rotations.actor()
    rotations.desk.itsm.model.change(revocation="nothing")
    old, new = await second(rotations, one)
    await rotations.until(one, ev.LeftToExpire)
    await one.reconciler.obey(one.credential, one.dependencies, undo("ada", emergency=False))
    record = await rotations.until(one, ev.Published)
    assert rotations.read().matches(old)
    assert record.predecessor
    assert record.left == ()
    assert rotations.accepted(new)
