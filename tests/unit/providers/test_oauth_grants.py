"""Access tokens by password and by refresh token: what is sent, what is kept, and what a lost answer costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from rotator.ports import Accepted, Minted, MinterRefused, NeedsPerson, Refused, Rejected, StoreRefused, Transient
from rotator.providers.oauth.config import AccessTokenOptions
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.rotation.wording import when
from tests.kit.clock import HandClock
from tests.kit.shelf import HandShelf
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

KEPT = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")
PASSWORD = SecretRef(SecretSource.FILE, "/desk/password")
LIFE = timedelta(hours=1)


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock) as running:
        document_store(running).put(refresh_token=running.itsm.model.authorise(running.client), owner="ada")
        yield running


def document_store(world: desk.Desk) -> HandShelf:
    return world.keys.document_store(KEPT.name)


def bound(world: desk.Desk, **options: Any) -> Any:
    return world.bound("oauth-token", grant="refresh_token", refresh_token=KEPT, **options)


async def minted(world: desk.Desk) -> Minted:
    made: Minted = await bound(world).mint("r1", None)
    return made


# the password grant


async def test_a_password_opens_an_access_token(world: desk.Desk) -> None:
    world.keys.held[PASSWORD] = Secret("canary-pass-word-31")
    world.itsm.model.add_user("sync", world.keys.held[PASSWORD])
    provider = world.bound("oauth-token", grant="password", username="sync", password=PASSWORD)
    made = await provider.mint("r1", None)
    assert await provider.verify(made.token, made.secret) == Accepted()
    assert made.token.expires_at == world.clock.now() + LIFE
    assert (made.private, provider.capabilities.needs_install) == ({}, False)


async def test_a_wrong_password_is_refused_in_words_and_tried_once(world: desk.Desk) -> None:
    world.keys.held[PASSWORD] = Secret("canary-pass-word-32")
    provider = world.bound("oauth-token", grant="password", username="sync", password=PASSWORD)
    with pytest.raises(Refused, match="invalid_grant, the password") as refusal:
        await provider.mint("r1", None)
    assert type(refusal.value) is Refused
    assert world.exchanges() == 1


# the refresh-token grant


async def test_the_next_refresh_token_is_staged_and_not_published(world: desk.Desk) -> None:
    made = await minted(world)
    assert world.itsm.model.accepts_token(made.secret)
    assert made.private.keys() == {"refresh_token", "spent_refresh_token"}
    assert "refresh_token" not in made.fields
    assert document_store(world).version == 1  # nothing is written before it is staged


@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider"])
async def test_a_public_client_renews_with_nothing_but_its_name(clock: HandClock, preset: str) -> None:
    async with desk.running(preset, clock) as world:
        application = world.itsm.model.add_application("spa")
        document_store(world).put(refresh_token=world.itsm.model.authorise(application))
        public = {"client_id": application.client_id, "client_secret": None, "signing_key": None}
        await world.server.control(world.credential("oauth-token", grant="refresh_token", refresh_token=KEPT, **public))
        provider = bound(world, **public)
        for name in ("r1", "r2"):
            made = await provider.mint(name, None)
            await provider.install(made)
            assert await provider.verify(made.token, made.secret) == Accepted()


@pytest.mark.parametrize("scopes", [(), ("all",)])
async def test_a_refused_value_that_has_expired_is_told_so_and_scopes_are_no_cause(
    world: desk.Desk, scopes: tuple[str, ...]
) -> None:
    made, ours = await minted(world), bound(world, scopes=scopes)
    fresh = await ours.verify(made.token, Secret("canary-of-nobody-41"))
    assert isinstance(fresh, Rejected)
    assert "scopes`" in fresh.reason, "a fresh one may lack a scope"
    world.clock.move(3600)
    verdict = await ours.verify(made.token, made.secret)
    ended = f"the probe refuses the access token: 401; it expired at {when(made.token.expires_at)}"
    assert verdict == Rejected(ended)


async def test_a_value_that_was_accepted_long_ago_lacks_no_scope(world: desk.Desk) -> None:
    world.itsm.model.token_life = timedelta(days=1)
    made, ours = await minted(world), bound(world, scopes=())
    world.clock.move(7200)
    world.itsm.model.grants.end(made.secret.reveal())
    verdict = await ours.verify(made.token, made.secret)
    assert isinstance(verdict, Rejected)
    assert "scopes" not in verdict.reason


async def test_installing_writes_it_over_the_spent_one_and_twice_is_once(world: desk.Desk) -> None:
    made = await minted(world)
    for _ in range(2):
        assert await bound(world).install(made) == made.token
        assert document_store(world).version == 2
    kept = str(document_store(world).values["refresh_token"])
    assert made.private["refresh_token"].matches(Secret(kept))
    assert document_store(world).values["owner"] == "ada"
    assert world.itsm.model.refreshes.takes(kept)
    assert world.itsm.model.accepts_token((await minted(world)).secret)


async def test_a_server_that_does_not_rotate_refresh_tokens_has_nothing_installed(world: desk.Desk) -> None:
    world.itsm.model.change(rotates_refresh=False)
    made = await minted(world)
    assert made.private == {}
    assert await bound(world).install(made) == made.token
    assert document_store(world).version == 1


async def test_what_a_person_wrote_in_the_meantime_is_not_overwritten(world: desk.Desk) -> None:
    made = await minted(world)
    document_store(world).put(refresh_token="canary-by-a-person-4")
    await bound(world).install(made)
    assert document_store(world).values == {"refresh_token": "canary-by-a-person-4"}


async def test_a_write_in_between_to_another_key_of_the_document_is_kept_as_well(world: desk.Desk) -> None:
    made = await minted(world)
    spent = document_store(world).values["refresh_token"]
    document_store(world).meanwhile = lambda: document_store(world).put(refresh_token=spent, owner="grace")
    await bound(world).install(made)
    assert document_store(world).values["owner"] == "grace"
    assert made.private["refresh_token"].matches(Secret(str(document_store(world).values["refresh_token"])))


@pytest.mark.parametrize("fault", [StoreRefused("policy"), Refused("sealed"), Transient("gone")])
async def test_trouble_with_vault_never_makes_the_engine_throw_the_only_copy_away(
    world: desk.Desk, fault: Refused | Transient
) -> None:
    made = await minted(world)
    document_store(world).faults.append(fault)
    with pytest.raises(Transient):
        await bound(world).install(made)
    await bound(world).install(made)
    assert document_store(world).version == 2


async def test_an_answer_that_is_lost_costs_nothing_where_the_server_has_a_leeway(world: desk.Desk) -> None:
    world.itsm.model.change(refresh_leeway=60.0)
    world.itsm.faults.add("drop", when="after", method="POST", path="/auth/token*")
    with pytest.raises(Transient):
        await minted(world)
    world.clock.move(30)
    made = await minted(world)
    await bound(world).install(made)
    assert world.itsm.model.accepts_token((await minted(world)).secret)


async def test_an_answer_that_is_lost_needs_a_person_where_a_second_use_is_a_theft(world: desk.Desk) -> None:
    world.itsm.faults.add("drop", when="after", method="POST", path="/auth/token*")
    with pytest.raises(Transient):
        await minted(world)
    with pytest.raises(NeedsPerson) as need:
        await minted(world)
    assert world.itsm.model.refreshes.ended == {1}
    for word in ("Authorise client", "vault:secret/crm/refresh#refresh_token", "rotate now", world.client.client_id):
        assert word in need.value.reason


async def test_a_refused_refresh_token_is_shown_once_and_a_new_one_at_once(world: desk.Desk) -> None:
    world.itsm.model.refreshes.ended.add(1)
    for _ in range(3):
        with pytest.raises(NeedsPerson):
            await minted(world)
    assert world.exchanges() == 1
    document_store(world).put(refresh_token=world.itsm.model.authorise(world.client))
    made = await minted(world)
    await bound(world).install(made)
    assert document_store(world).values.keys() == {"refresh_token"}


async def test_a_patch_by_a_person_counts_as_well_and_the_mark_goes_with_the_next_installation(
    world: desk.Desk,
) -> None:
    world.itsm.model.refreshes.ended.add(1)
    with pytest.raises(NeedsPerson):
        await minted(world)
    fresh = world.itsm.model.authorise(world.client)
    document_store(world).put(**{**document_store(world).values, "refresh_token": fresh})
    await bound(world).install(await minted(world))
    assert document_store(world).values.keys() == {"refresh_token", "owner"}


async def test_without_any_refresh_token_a_person_is_asked_for_one(world: desk.Desk) -> None:
    document_store(world).put(owner="ada")
    with pytest.raises(NeedsPerson, match="there is no refresh token"):
        await minted(world)
    assert world.exchanges() == 0


async def test_a_refused_client_is_no_reason_to_ask_for_another_refresh_token(world: desk.Desk) -> None:
    world.keys.held[desk.SECRET] = Secret("canary-wrong-secret-78")
    with pytest.raises(Refused, match="unauthorized_client") as refusal:
        await minted(world)
    assert not isinstance(refusal.value, NeedsPerson | MinterRefused)
    assert document_store(world).version == 1


async def test_an_access_token_that_is_none_to_publish_does_not_cost_the_next_refresh_token(world: desk.Desk) -> None:
    world.itsm.model.token_life = timedelta(0)
    with pytest.raises(Refused, match="expires_in"):
        await minted(world)
    kept = document_store(world).values
    assert kept["owner"] == "ada"
    assert world.itsm.model.refreshes.takes(str(kept["refresh_token"]))
    world.itsm.model.token_life = LIFE
    assert (await minted(world)).token.expires_at == world.clock.now() + LIFE


async def test_a_mark_that_cannot_be_written_changes_nothing_about_the_answer(world: desk.Desk) -> None:
    world.itsm.model.refreshes.ended.add(1)
    document_store(world).meanwhile = lambda: document_store(world).faults.append(Transient("gone"))
    with pytest.raises(NeedsPerson):
        await minted(world)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"grant": "password", "username": "sync"}, "username and password"),
        ({"username": "sync", "password": PASSWORD, "client_secret": desk.SECRET}, 'grant = "password"'),
        ({"grant": "refresh_token"}, "refresh_token"),
        ({"grant": "refresh_token", "refresh_token": PASSWORD}, "kept in Vault"),
        ({"refresh_token": KEPT, "client_secret": desk.SECRET}, 'grant = "refresh_token"'),
    ],
)
def test_grants_and_their_keys_go_together(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AccessTokenOptions(client_id="c", **keys)
