"""What reading tells of the next rotation: applications of HaloITSM that are unfit, and roles that do not exist."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import MinterRefused
from rotator.providers.base import Remark
from rotator.providers.halo_itsm.application_api import ApplicationRecord
from rotator.providers.halo_itsm.application_checks import of_client, of_two
from rotator.providers.http.auth import Bearer
from rotator.providers.oauth.config import ClientOptions
from rotator.rotation.record import Token
from tests.kit.clock import HandClock
from tests.unit.providers import back_office, halo
from tests.unit.providers.back_office import KINDS_HERE, Office

pytestmark = pytest.mark.anyio

API, ONE, PAIR = KINDS_HERE
SHAPE: dict[str, Any] = {"application": None, "client_secret": back_office.SECRET}  # of an oauth-token


@pytest.fixture
async def office(clock: HandClock) -> AsyncIterator[Office]:
    async with back_office.running(clock, ONE) as office:
        office.crm.agent = office.spare.agent = office.itsm.model.add_agent("ada")
        office.crm.roles = office.spare.roles = ()
        yield office


async def found(office: Office, kind: str = ONE, *keep: Token, **options: Any) -> list[Remark]:
    """What a look finds, which changes nothing."""
    posts = office.posts()
    credential = office.credential(kind, **options)
    remarks = await office.server.preview(credential, keep)
    assert office.posts() == posts
    assert remarks is not None
    assert all(each.remedy for each in remarks)
    return remarks


def _system(office: Office) -> None:
    office.crm.system = True


def _gone(office: Office) -> None:
    office.itsm.model.applications.pop(office.crm.id)


def _renamed(office: Office) -> None:
    office.crm.client_id = "somebody-elses"


def _off(office: Office) -> None:
    office.crm.inactive = True


def _narrow(office: Office) -> None:
    office.crm.scopes = ("read:tickets",)


def _other_key(office: Office) -> None:
    office.crm.public_key = back_office.public_pem(back_office.rsa_key(number=1))


TROUBLES: dict[Callable[[Office], None], str] = {
    _system: "is one of Halo's own (system) applications",
    _gone: "answers 404 to a look at application",
    _renamed: "has another client id than the settings say",
    _off: "is inactive: nobody could use a new value",
    _narrow: "lacks the scope edit:tickets",
    _other_key: "has another public key than that of the credential's key",
}


async def test_an_application_that_fits_gives_rise_to_nothing(office: Office) -> None:
    assert await found(office) == []
    assert await found(office, two=True) == []


@pytest.mark.parametrize(("trouble", "words"), TROUBLES.items())
async def test_an_application_that_no_rotation_could_use_is_found_by_reading(
    office: Office, trouble: Callable[[Office], None], words: str
) -> None:
    ours = {"application": office.crm.id, "client_id": office.crm.client_id}
    trouble(office)
    (remark,) = [each for each in await found(office, scopes=("edit:tickets",), **ours) if each.grave]
    assert words in remark.text


async def test_of_two_applications_both_are_read_and_compared(office: Office) -> None:
    office.crm.system = office.spare.system = True
    assert len([each for each in await found(office, two=True) if each.grave]) == 2
    office.crm.system = office.spare.system = False
    office.spare.scopes = ("read:tickets", "edit:tickets")
    (remark,) = await found(office, two=True, scopes=("edit:tickets",))
    assert (remark.grave, "take turns with different scopes" in remark.text) == (False, True)


async def test_a_secret_that_needs_an_assertion_beside_it_needs_a_key(office: Office) -> None:
    (remark,) = await found(office, signing_key=None)
    assert (remark.grave, "has no key for it" in remark.text) == (True, True)


async def test_where_changes_are_forbidden_it_still_looks_and_finds_the_application_by_its_client_id(
    clock: HandClock,
) -> None:
    async with back_office.running(clock, ONE, manage_applications=False) as office:
        office.crm.system = True
        (remark,) = [each for each in await found(office, application="") if each.grave]
        assert "is one of Halo's own" in remark.text
        office.chief.roles = ()
        (note,) = await found(office)
        assert (note.note, note.grave, "too weak" in note.text) == (True, False, True)


async def test_without_a_management_application_it_says_what_was_not_looked_at(clock: HandClock) -> None:
    async with back_office.running(clock, ONE, manage_applications=False, management=None) as office:
        (note,) = await found(office)
        assert note.note
        assert f"(id {office.crm.id})" in note.text
        assert await office.server.preview(office.credential("oauth-token", **SHAPE), ()) is None


async def test_a_management_application_that_is_refused_is_one_fault_of_the_target(office: Office) -> None:
    office.chief.secret = "other"
    with pytest.raises(MinterRefused):
        await office.server.audit((office.credential(ONE),))
    assert await office.server.audit(()) == []  # none of the credentials needs it


async def test_slots_that_are_taken_stop_the_first_rotation_and_are_told_before_a_later_one(clock: HandClock) -> None:
    async with back_office.running(clock, API) as office:
        office.crm.agent, office.crm.roles = office.itsm.model.add_agent("ada"), ()
        assert await found(office, API) == []
        for number, slot in enumerate(office.crm.slots):
            slot.put(f"canary-in-use-{number}", clock.now(), 90)
            slot.last_used = clock.now()
        (remark,) = await found(office, API)
        assert (remark.grave, "has no free slot" in remark.text) == (True, True)
        published = Token("1/new_apikey1/x", "x")
        assert [each.grave for each in await found(office, API, published)] == [False]
        assert await found(office, API, published, Token("1/new_apikey2/y", "y")) == []


async def test_a_key_life_that_halo_will_not_give_is_told(clock: HandClock) -> None:
    async with back_office.running(clock, API) as office:
        office.crm.agent, office.crm.roles = office.itsm.model.add_agent("ada"), ()
        office.crm.expiry_days = 30
        credential = replace(office.credential(API), lifetime=timedelta(days=60))
        (remark,) = await office.server.preview(credential, ()) or ()
        assert (remark.grave, 'lifetime = "30d"' in remark.remedy) == (True, True)


async def test_a_client_of_another_kind_is_looked_up_by_its_client_id(office: Office) -> None:
    office.crm.inactive = True
    (remark,) = await found(office, "oauth-token", **SHAPE)
    assert (remark.grave, "is inactive" in remark.text) == (True, True)
    (remark,) = await found(office, "oauth-token", **{**SHAPE, "client_id": "nobodys"})
    assert (remark.grave, "lists no application" in remark.text) == (False, True)
    office.chief.roles = ()
    office.server.applications._ids.clear()
    (note,) = await found(office, "oauth-token", **SHAPE)
    assert (note.note, "too weak" in note.text) == (True, True)


# roles of a Halo CMS


@pytest.mark.parametrize("release", ["2.26.0", "2.19.3"])
async def test_a_role_that_does_not_exist_is_found_where_halo_would_mint_a_token_with_it(
    release: str, clock: HandClock
) -> None:
    async with halo.running(release, clock) as world:
        assert await world.server.preview(halo.credential(), ()) == []
        (remark,) = await world.server.preview(halo.credential(roles=[halo.ROLE, "role-of-nobody"]), ()) or ()
        assert remark.grave
        assert "there is no role role-of-nobody" in remark.text
        # a minter that is not all-powerful is refused such a role by Halo itself, which a trial shows
        limited = Bearer(world.halo.model.mint("minter", name="limited", roles=[halo.ROLE]))
        site = await halo.open_site(world.halo.url, limited, clock)
        assert await site.preview(halo.credential(roles=["role-of-nobody"]), ()) is None
        await site.aclose()


# what an application shows


def record(**document: Any) -> ApplicationRecord:
    return ApplicationRecord({"id": "7", "clientId": "c", "loginas_agent_id": 3, **document})


def texts(shown: ApplicationRecord, **options: Any) -> list[str]:
    return [each.text for each in of_client(shown, ClientOptions(client_id="c", **options), proven=False)]


@pytest.mark.parametrize("roles", [["sys-all-permissions"], [{"id": 1, "name": "sys-all-permissions"}]])
@pytest.mark.parametrize("name", ["roles", "identity_roles"])
def test_the_highest_role_is_told_wherever_it_stands(name: str, roles: list[Any]) -> None:
    (text,) = texts(record(**{name: roles}, scopes=[{"name": "read:tickets"}]))
    assert "sys-all-permissions" in text
    assert "read:tickets" in text
    assert texts(record(**{name: ["sys-crm"]})) == []


@pytest.mark.parametrize("agent", [0, "0", ""])
def test_an_application_that_is_nobody_is_told(agent: object) -> None:
    nobody, probe = texts(record(loginas_agent_id=agent))
    assert "logs in as no agent, and shows no role" in nobody
    assert "the probe asks who the agent is" in probe
    assert texts(record(loginas_agent_id=agent, roles=["sys-crm"]), probe="/api/Status") == []


def test_what_halo_does_not_say_is_not_judged() -> None:
    assert texts(ApplicationRecord({"id": "7"}), scopes=("all",)) == []


@pytest.mark.parametrize(("told", "grave"), [([{"name": "read:tickets"}], True), ([], False)])
def test_a_scope_that_is_not_listed_stops_a_rotation_unless_nothing_is_listed(told: list[Any], grave: bool) -> None:
    wanted = ClientOptions(client_id="c", scopes=("edit:tickets", "offline_access"))
    (remark,) = of_client(record(scopes=told), wanted, proven=False)
    assert (remark.grave, remark.text) == (grave, "application 7 lacks the scope edit:tickets")
    assert list(of_client(record(scopes=[{"name": "all"}]), wanted, proven=False)) == []


def test_two_applications_with_the_same_rights_are_alike_whatever_else_differs() -> None:
    assert list(of_two(record(displayName="a"), record(id="8", displayName="b"))) == []
    (remark,) = of_two(record(), record(id="8", loginas_agent_id=4))
    assert "different agents" in remark.text
