"""HaloITSM's applications: what is never touched, which slot is taken, what is told to a person, and in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as replace_keys

from rotator.ports import Accepted, Minted, MinterRefused, NeedsPerson, Outcome, Refused, Rejected, Transient, Unknown
from rotator.providers.halo_itsm.application_api import ApplicationRecord, lost, moment
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.unit.providers import back_office
from tests.unit.providers.back_office import CHIEF, KINDS_HERE, SECRET, Office
from tests.unit.providers.turns import Turns

pytestmark = pytest.mark.anyio

NAME = "rotator-lab1-crm-c0ffee-r1-a1"
API, ONE, PAIR = KINDS_HERE


@pytest.fixture
async def office(clock: HandClock) -> AsyncIterator[Office]:
    async with back_office.running(clock, API) as office:
        yield office


@asynccontextmanager
async def asserting(clock: HandClock, **keys: Any) -> AsyncIterator[Office]:
    async with back_office.running(clock, PAIR, **keys) as office:
        yield office


async def installed(provider: Any, name: str = NAME, *keep: Token) -> Minted:
    minted = await provider.mint(name, None, keep)
    return Minted(await provider.install(minted), minted.secret, minted.fields)


def reason(caught: pytest.ExceptionInfo[Refused]) -> str:
    assert "canary" not in caught.value.reason
    return caught.value.reason


# what is never touched


@pytest.mark.parametrize("kind", KINDS_HERE)
async def test_an_application_of_halos_own_is_never_touched(office: Office, kind: str) -> None:
    office.crm.system = True
    with pytest.raises(Refused, match="never touched"):
        await office.bound(kind).mint(NAME, None)
    minted = Minted(Token(f"{office.crm.id}/clientSecret/{NAME}", NAME), Secret("canary-forced"))
    with pytest.raises(Refused, match="never touched"):
        await office.bound(kind).install(replace(minted)) if kind != PAIR else await office.bound(kind).mint(NAME, None)
    assert office.posts() == 0


async def test_the_management_application_is_never_rotated_by_itself(office: Office) -> None:
    own = office.bound(ONE, application=office.chief.id, client_id=office.chief.client_id)
    with pytest.raises(Refused, match="must not depend on itself"):
        await own.mint(NAME, None)


async def test_an_application_with_another_client_id_is_refused(office: Office) -> None:
    with pytest.raises(Refused, match="which one is meant"):
        await office.bound(ONE, application=office.spare.id).mint(NAME, None)


async def test_rights_that_a_change_drops_are_put_back_and_the_change_is_refused_by_name(office: Office) -> None:
    office.itsm.model.keeps_unsent = False
    with pytest.raises(Refused) as caught:
        await installed(office.bound(ONE, signing_key=None))
    assert "roles, scopes, which was put back" in reason(caught)
    assert "resend" in reason(caught)
    assert office.crm.roles == ("sys-all-permissions",)
    assert office.crm.scopes == ("all",)


async def test_rights_that_were_dropped_by_a_change_without_an_answer_are_put_back_by_the_next_try(
    office: Office,
) -> None:
    office.itsm.model.keeps_unsent = False
    office.itsm.faults.add("drop", when="after", method="POST", path="/api/Application")
    provider = office.bound(ONE, signing_key=None)
    minted = await provider.mint(NAME, None)
    with pytest.raises(Transient):
        await provider.install(minted)
    assert office.crm.roles == ()
    with pytest.raises(Refused, match="put back"):
        await provider.install(minted)
    assert office.crm.roles == ("sys-all-permissions",)


async def test_rights_that_a_change_dropped_are_put_back_however_long_the_look_at_them_took() -> None:
    turns = Turns()
    turns.model.keeps_unsent = False
    desk = turns.daemon().dependencies.provider
    minted = await desk.mint(NAME, None)

    async def slowly() -> None:
        turns.world.clock.move(60)

    turns.wire.holds[turns.wire.calls + 3] = slowly
    with pytest.raises(Refused, match="put back"):
        await desk.install(minted)
    assert turns.wire.changes == [turns.wire.calls - 3, turns.wire.calls - 1]
    assert turns.spare.roles == ("sys-all-permissions",)


async def test_an_application_that_was_switched_on_by_a_change_without_an_answer_stays_on(office: Office) -> None:
    office.spare.inactive = True
    office.itsm.faults.add("drop", when="after", method="POST", path="/api/Application")
    provider = office.bound(ONE, two=True, signing_key=None)
    minted = await provider.mint(NAME, None)
    with pytest.raises(Transient):
        await provider.install(minted)
    token = await provider.install(minted)
    assert not office.spare.inactive
    assert await provider.verify(token, minted.secret) == Accepted()


async def test_what_is_sent_along_is_not_dropped(clock: HandClock) -> None:
    async with back_office.running(clock, API, resend=("roles", "scopes")) as office:
        office.itsm.model.keeps_unsent = False
        first = await installed(office.bound(API))
        assert office.accepts(first.secret)
        assert office.crm.roles == ("sys-all-permissions",)


async def test_a_change_by_somebody_else_at_the_same_moment_is_no_verdict(office: Office) -> None:
    office.itsm.faults.add("status", status=409, method="POST", path="/api/Application")
    with pytest.raises(Transient, match="same moment"):
        await installed(office.bound(API))


async def test_a_key_made_on_the_last_of_all_days_is_not_reckoned_past_it(office: Office) -> None:
    """.NET's DateTime.MaxValue, and what a server far in the west makes of it."""
    for told in ("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.999999-14:00"):
        when = moment(told)
        assert when is not None
        assert when + timedelta(days=365) > when


# what the application api says


async def test_its_refusals_are_told_in_words(office: Office) -> None:
    provider = office.bound(API)
    office.chief.roles = ()
    with pytest.raises(MinterRefused, match="too weak"):
        await provider.mint(NAME, None)
    office.keys.held[CHIEF] = Secret("canary-wrong-chief")
    office.clock.move(3600)
    with pytest.raises(MinterRefused, match=r"the management application: .*invalid_client"):
        await provider.mint(NAME, None)


async def test_an_api_that_is_not_there_or_down_is_told_in_words(office: Office) -> None:
    with pytest.raises(Refused, match="answers 404 to a look at application 99: is that its id in Halo"):
        await office.bound(API, application="99").mint(NAME, None)
    office.itsm.faults.add("status", status=503, path="/api/Application/*", times=None)
    with pytest.raises(Transient, match="503"):
        await office.bound(API).mint(NAME, None)


async def test_a_token_without_scope_opens_nothing_and_the_words_say_so(clock: HandClock) -> None:
    async with back_office.running(clock, API, echoes_scope=False) as office:
        office.itsm.faults.add("status", status=401, path="/api/Application/*", times=2)
        provider = office.bound(API)
        with pytest.raises(MinterRefused, match="scopes in `management` open nothing"):
            await provider.mint(NAME, None)


async def test_an_access_token_is_used_again_and_a_dead_one_is_replaced_without_a_word(office: Office) -> None:
    provider = office.bound(API)
    await provider.mint(NAME, None)
    await provider.mint(NAME, None)
    exchanges = [each for each in office.itsm.calls.since(0) if each.path.startswith("/auth/token")]
    assert len(exchanges) == 1
    office.itsm.model.grants.revoke(office.chief.client_id)
    await provider.mint(NAME, None)
    office.clock.move(3600)
    await provider.mint(NAME, None)
    exchanges = [each for each in office.itsm.calls.since(0) if each.path.startswith("/auth/token")]
    assert len(exchanges) == 3


async def test_a_wrong_tenant_is_a_500_and_the_words_say_so(clock: HandClock) -> None:
    async with back_office.running(clock, API, tenant="other") as office:
        with pytest.raises(Transient, match="wrong tenant"):
            await office.bound(API).mint(NAME, None)


# which slot


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ("empty", "empty", "1"),
        ("used", "empty", "2"),
        ("empty", "used", "1"),
        ("used", "expired", "2"),
        ("expired", "unused", "1"),
        ("used", "unused", "2"),
        ("forgotten", "used", "1"),
        ("used", "used", "1: API key 1 was last used at"),
        ("used", "fresh", "less than an hour ago"),
    ],
)
async def test_the_slot_is_the_one_that_nobody_needs(office: Office, first: str, second: str, taken: str) -> None:
    now = office.clock.now()
    for slot, state in zip(office.crm.slots, (first, second), strict=True):
        if state == "empty":
            continue
        made = now - timedelta(days={"expired": 100, "fresh": 0}.get(state, 50))
        slot.put(f"canary-{state}", made, 90)
        slot.last_used = {"used": now - timedelta(days=1), "forgotten": now - timedelta(days=31)}.get(state)
    provider = office.bound(API)
    if len(taken) > 1:
        with pytest.raises(Refused) as caught:
            await provider.mint(NAME, None)
        assert taken.partition(": ")[2] in reason(caught) or taken in reason(caught)
        return
    assert (await provider.mint(NAME, None)).token.id == f"{office.crm.id}/new_apikey{taken}/{NAME}"


async def test_a_slot_that_holds_a_spared_key_is_never_taken_unless_the_key_has_expired(office: Office) -> None:
    provider = office.bound(API)
    one = await installed(provider, NAME)
    two = await installed(provider, NAME, one.token)
    office.clock.move(80 * 86400)
    with pytest.raises(Refused, match="must live on"):
        await provider.mint(NAME, None, (one.token, two.token))
    office.clock.move(11 * 86400)
    await provider.mint(NAME, None, (one.token, two.token))


async def test_a_key_that_was_given_up_leaves_its_slot_free_at_once(office: Office) -> None:
    provider = office.bound(API)
    one = await installed(provider, NAME)
    two = await installed(provider, NAME, one.token)
    assert await provider.revoke(two.token) is Outcome.DONE
    for process in (office, office.elsewhere()):
        again = await process.bound(API).mint(NAME, None, (one.token,))
        assert again.token.id.startswith(f"{office.crm.id}/new_apikey2/")


async def test_a_key_that_a_person_made_where_we_gave_up_ours_is_left_alone(office: Office) -> None:
    provider = office.bound(API)
    one = await installed(provider, NAME)
    two = await installed(provider, NAME, one.token)
    await provider.revoke(two.token)
    office.crm.slots[1].put("canary-persons-own", office.clock.now(), 90)
    with pytest.raises(Refused, match="less than an hour ago"):
        await provider.mint(NAME, None, (one.token,))


async def test_a_management_client_whose_key_is_in_transit_waits_an_hour_for_a_slot_it_gave_up(office: Office) -> None:
    api = office.bound(API)._api
    known = await api.waste(office.crm.id, "new_apikey1")
    other = await api.waste(office.crm.id, "new_apikey2")
    assert known.matches(await office.elsewhere().bound(API)._api.waste(office.crm.id, "new_apikey1"))
    assert not known.matches(other)
    management = replace_keys(office.server.config.management, client_secret=None, transit_key="transit/chief")
    office.server.config = replace_keys(office.server.config, management=management)
    assert await api.waste(office.crm.id, "new_apikey1") is None


async def test_a_slot_that_a_person_filled_in_between_is_left_alone(office: Office) -> None:
    provider = office.bound(API)
    minted = await provider.mint(NAME, None)
    office.crm.slots[0].put("canary-persons-own", office.clock.now(), 90)
    with pytest.raises(Transient, match="cannot tell yet"):
        await provider.install(minted)
    office.clock.move(180)
    with pytest.raises(Refused, match="by somebody else"):
        await provider.install(minted)
    assert await provider.revoke(minted.token) is Outcome.ALREADY
    assert await provider.is_dead(minted.token, None) is True
    assert office.accepts(Secret("canary-persons-own"))


async def test_a_key_that_somebody_overwrote_is_not_ours_to_end(office: Office) -> None:
    provider = office.bound(API)
    one = await installed(provider)
    office.clock.move(60)
    office.crm.slots[0].put("canary-persons-own", office.clock.now(), 90)
    assert await provider.revoke(one.token) is Outcome.ALREADY
    assert office.accepts(Secret("canary-persons-own"))


async def test_a_life_that_halo_will_not_give_is_refused_before_anything_is_made(office: Office) -> None:
    office.crm.expiry_days = 30
    with pytest.raises(Refused, match='set lifetime = "30d"'):
        await office.bound(API).mint(NAME, office.clock.now() + timedelta(days=90))
    minted = await office.bound(API).mint(NAME, office.clock.now() + timedelta(days=30))
    token = await office.bound(API).install(minted)
    assert token.expires_at == office.clock.now() + timedelta(days=30)


async def test_last_use_is_told_and_looking_is_no_use(office: Office) -> None:
    provider = office.bound(API)
    one = await installed(provider)
    assert (await provider.inspect(one.token)).last_used is None
    office.clock.move(60)
    await provider.verify(one.token, one.secret)
    used = office.clock.now()
    office.clock.move(60)
    assert (await provider.inspect(one.token)).last_used == used


# proofs


async def test_a_key_goes_in_the_header_that_settings_name(office: Office) -> None:
    office.itsm.model.key_header = "x-api-key"
    one = await installed(office.bound(API))
    assert isinstance(await office.bound(API).verify(one.token, one.secret), Rejected)
    named = office.bound(API, header="X-API-Key", prefix="")
    assert await named.verify(one.token, one.secret) == Accepted()
    assert await named.is_dead(one.token, one.secret) is False
    assert isinstance(await named.verify(one.token, Secret("a key with blanks")), Rejected)


async def test_a_machine_identity_is_proven_by_another_probe(clock: HandClock) -> None:
    async with asserting(clock) as office:
        office.itsm.model.lone_me = 404
        one = await installed(office.bound(ONE))
        verdict = await office.bound(ONE).verify(one.token, one.secret)
        assert isinstance(verdict, Unknown)
        assert "/api/Status" in verdict.reason
        assert await office.bound(ONE, probe="/api/Status").verify(one.token, one.secret) == Accepted()


@pytest.mark.parametrize("kind", KINDS_HERE)
async def test_a_probe_that_accepts_anyone_fails_the_control(clock: HandClock, kind: str) -> None:
    async with back_office.running(clock, kind) as office:
        with pytest.raises(Refused, match="accepts anyone"):
            await office.bound(kind, probe="/api/authinfo").control()


async def test_an_application_that_does_not_demand_the_assertion_fails_the_control(clock: HandClock) -> None:
    async with asserting(clock) as office:
        office.crm.demands_assertion = False
        with pytest.raises(Refused, match="accepts anyone"):
            await office.bound(PAIR).control()
        credential = office.credential(PAIR)
        found = await office.server.preview(credential, ()) or []
        assert any("does not demand the assertion" in each.text for each in found)


async def test_the_key_pair_is_published_with_what_a_signer_needs(clock: HandClock) -> None:
    async with asserting(clock) as office:
        one, two = await installed(office.bound(PAIR)), await installed(office.bound(PAIR))
        assert one.fields["kid"] != two.fields["kid"]
        assert one.fields["client_id"] == office.crm.client_id
        assert one.fields["token_url"].endswith("/auth/token?tenant=acme")
        assert "kid" not in (await office.bound(PAIR, kid="none").mint(NAME, None)).fields


async def test_a_value_that_is_no_key_is_refused_from_a_person(clock: HandClock) -> None:
    async with asserting(clock) as office:
        with pytest.raises(Refused, match="PEM"):
            await office.bound(PAIR).receive(NAME, Secret("canary-no-key"), None)


# blue/green


async def test_two_applications_take_turns_and_only_one_stays_active(office: Office) -> None:
    provider = office.bound(ONE, two=True, signing_key=None)
    one = await installed(provider)
    assert one.fields["client_id"] == office.spare.client_id
    two = await installed(provider, NAME, one.token)
    assert two.fields["client_id"] == office.crm.client_id
    await provider.revoke(one.token)
    assert office.spare.inactive
    with pytest.raises(Refused, match="only active one"):
        await provider.revoke(two.token)
    three = await installed(provider, NAME, two.token)
    assert not office.spare.inactive
    assert await provider.verify(three.token, three.secret) == Accepted()
    with pytest.raises(Refused, match="must live on"):
        await provider.mint(NAME, None, (two.token, three.token))


async def test_the_slot_of_the_predecessor_is_never_given_up_even_when_its_application_is_off(office: Office) -> None:
    """The record would still call it the predecessor, and end what was published in its place."""
    provider = office.bound(ONE, two=True, signing_key=None)
    one = await installed(provider)
    two = await installed(provider, NAME, one.token)
    office.spare.inactive = True
    with pytest.raises(Refused, match="must live on"):
        await provider.mint(NAME, None, (two.token, one.token))
    office.crm.inactive = True
    three = await provider.mint(NAME, None, (two.token, one.token))
    assert three.token.id.startswith(f"{office.crm.id}/")


# without the application api


@asynccontextmanager
async def by_hand(clock: HandClock, kind: str) -> AsyncIterator[Office]:
    async with back_office.running(clock, kind, manage_applications=False) as office:
        yield office


@pytest.mark.parametrize("kind", [API, ONE])
async def test_a_person_is_told_where_to_press_and_what_they_bring_is_proven(clock: HandClock, kind: str) -> None:
    async with by_hand(clock, kind) as office:
        provider = office.bound(kind)
        assert not provider.capabilities.needs_install
        with pytest.raises(NeedsPerson) as caught:
            await provider.mint(NAME, None)
        for word in ("Configuration > Integrations > Halo API > View Applications", "press Generate", "rotate supply"):
            assert word in reason(caught)
        value = Secret("canary-brought-by-hand")
        supplied = await provider.receive(NAME, value, None)
        assert isinstance(await provider.verify(supplied.token, value), Rejected)
        if kind == API:
            office.crm.slots[1].put(value.reveal(), clock.now(), 90)
        else:
            office.crm.secret = back_office_digest(value)
        assert await provider.verify(supplied.token, value) == Accepted()
        assert office.posts() == 0


def back_office_digest(value: Secret) -> str:
    from tests.sandbox.itsm.applications import digest

    return digest(value.reveal())


async def test_the_old_key_is_ended_by_a_person_and_its_death_is_seen(clock: HandClock) -> None:
    async with by_hand(clock, API) as office:
        provider, value = office.bound(API), Secret("canary-old-key-by-hand")
        office.crm.slots[0].put(value.reveal(), clock.now(), 90)
        token = (await provider.receive(NAME, value, None)).token
        assert await provider.revoke(token) is Outcome.ALREADY
        with pytest.raises(NeedsPerson, match="still accepted"):
            await provider.is_dead(token, value)
        office.crm.slots[0].put("canary-anew", clock.now(), 90)
        assert await provider.is_dead(token, value) is True


async def test_a_public_key_is_shown_to_a_person_and_noticed_when_it_is_there(clock: HandClock) -> None:
    async with by_hand(clock, PAIR) as office:
        provider = office.bound(PAIR)
        assert provider.capabilities.needs_install
        minted = await provider.mint(NAME, None)
        with pytest.raises(NeedsPerson) as caught:
            await provider.install(minted)
        words, _, pem = reason(caught).partition("\n")
        assert "public key" in words
        assert isinstance(await provider.verify(minted.token, minted.secret), Rejected)
        office.crm.public_key, office.crm.kid = pem, ""
        assert await provider.verify(minted.token, minted.secret) == Accepted()
        assert SECRET in office.keys.held


# what an application shows


def test_dates_are_read_as_dotnet_writes_them() -> None:
    assert moment("2026-11-22T16:00:00.123Z") == moment("2026-11-22T16:00:00.123")
    assert moment("0001-01-01T00:00:00") is None
    assert moment(None) is None
    assert moment("soon") is None


def test_what_moves_by_itself_is_no_loss_and_everything_else_is() -> None:
    before = ApplicationRecord(
        {"id": "7", "roles": ["a"], "concurrencyToken": "1", "last_seen": "x", "note": None, "update": 1}
    )
    after = ApplicationRecord({"id": "7", "concurrencyToken": "2", "last_seen": "y", "note": "new"})
    assert lost(before, after, {"public_key": "pem"}) == {"roles": ["a"], "update": 1}
    assert lost(before, after, {"roles": [], "update": 2}) == {}


async def test_a_429_without_a_time_leaves_the_target_alone_for_long(office: Office) -> None:
    one = await installed(office.bound(API))
    office.itsm.faults.add("status", status=429, path="/api/Agent/me")
    verdict = await office.bound(API).verify(one.token, one.secret)
    assert isinstance(verdict, Unknown)
    assert verdict.retry_after == 30
    assert isinstance(await office.bound(API).verify(one.token, one.secret), Unknown)  # not sent
    office.clock.move(31)
    assert await office.bound(API).verify(one.token, one.secret) == Accepted()
