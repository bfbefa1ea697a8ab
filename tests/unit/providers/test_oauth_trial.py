"""What `rotate check` finds out about an OAuth server: its habits, its clock, who is wrong and why."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from rotator.ports import NeedsPerson, Transient
from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import ClientAssertionOptions, OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.server_checks import findings
from rotator.providers.oauth.token_endpoint import ClientDenied
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.sandbox.itsm.key_sets import KeySets
from tests.unit.providers import desk
from tests.unit.providers.keys import private_pem, rsa_key

pytestmark = pytest.mark.anyio

LIFE = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("preset", "keys", "words"),
    [
        pytest.param("keycloak", {}, ["made 70s ago"], id="a maximum age that nobody set"),
        pytest.param("keycloak", {"max_age": timedelta(seconds=60)}, [], id="as the settings say"),
        pytest.param("oidc-provider", {}, [], id="any age, once"),
        pytest.param("oidc-provider", {"single_use": False}, ["takes an assertion once"], id="once after all"),
        pytest.param("halo", {}, ["takes an assertion again"], id="more often than the settings say"),
        pytest.param(
            "spring", {"single_use": False}, ["31s after its end, and not 65s after it"], id="the dead live on"
        ),
        pytest.param("spring", {"single_use": False, "leeway": timedelta(minutes=1)}, [], id="leeway as set"),
        pytest.param("hydra", {}, [], id="broken by one that has expired: it is not taken"),
        pytest.param("halo", {"tenant": "other"}, ["another tenant"], id="a server that does not answer is not judged"),
    ],
)
async def test_check_finds_out_how_often_and_how_old_a_server_takes_an_assertion(
    clock: HandClock, preset: str, keys: dict[str, Any], words: list[str]
) -> None:
    async with desk.running(preset, clock, **keys) as world:
        found = await world.server.audit((world.credential(),))
        assert len(found) == len(words)
        assert all(word in text for word, text in zip(words, found, strict=True))
        assert world.exchanges() <= 7


async def test_a_leeway_longer_than_any_that_is_tried_is_told_as_such(clock: HandClock) -> None:
    async with desk.running("keycloak", clock, max_age=timedelta(seconds=60)) as world:
        world.itsm.model.change(tolerance=600.0, max_age=None)
        (found,) = await world.server.audit((world.credential(),))
        assert "takes an assertion 65s after its end: set leeway to what" in found


def answering(clock: HandClock, ahead: float, status: int) -> httpx.MockTransport:
    """A token endpoint whose clock is behind ours, as its Date header says."""

    async def peer(request: httpx.Request) -> httpx.Response:
        date = format_datetime(clock.now() - timedelta(seconds=ahead), usegmt=True)
        body = b'{"error": "invalid_client"}' if status < 500 else b'{"error": "error"}'
        return httpx.Response(status, headers={"date": date}, stream=httpx.ByteStream(body))

    return httpx.MockTransport(peer)


@pytest.mark.parametrize("status", [401, 500])
@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (2, 'our clock is 1.0 to 2.0 s ahead of the token endpoint\'s: set the clocks right, or backdate = "2s"'),
        (0, ""),
    ],
)
async def test_a_clock_ahead_of_the_servers_is_named_with_the_difference(
    clock: HandClock, status: int, ahead: float, words: str
) -> None:
    target = OAuthTargetConfig(url="https://desk.example")
    transport = answering(clock, ahead, status)
    ring = desk.Keys({desk.KEY: private_pem(rsa_key())})
    site = OAuthServer(HttpClient("desk", target, clock, ring.fetch, transport), target, ring, clock)
    client = ClientAssertionOptions(client_id="c", signing_key=desk.KEY)
    with pytest.raises((ClientDenied, Transient)) as refusal:
        await site.exchange(client, await site.vouched(client))
    found = await findings(site, client, LIFE)
    await site.aclose()
    assert words in refusal.value.reason
    assert ("our clock" in refusal.value.reason) is bool(words)
    assert [text.partition(": ")[0] for text in found] == ([words.partition(": ")[0]] if words else [])


@pytest.mark.parametrize(
    ("ahead", "backdate", "words"),
    [
        (20, 0, "19.0 to 20.0 s ahead"),
        (20, 30, ""),
        (-3, 0, ""),
        (-20, 0, "20.0 to 21.0 s behind"),
        (90, 0, "clocks right"),
    ],
)
async def test_check_names_a_clock_that_is_wrong_unless_backdate_makes_up_for_it(
    clock: HandClock, ahead: float, backdate: int, words: str
) -> None:
    target = OAuthTargetConfig(url="https://desk.example")
    transport = answering(clock, ahead, 401)
    ring = desk.Keys({desk.KEY: private_pem(rsa_key())})
    site = OAuthServer(HttpClient("desk", target, clock, ring.fetch, transport), target, ring, clock)
    client = ClientAssertionOptions(client_id="c", signing_key=desk.KEY, backdate=timedelta(seconds=backdate))
    found = await findings(site, client, LIFE)
    await site.aclose()
    assert [words in text for text in found] == ([True] if words else [])


# who is wrong, and what would be taken instead

SET: dict[str, Any] = {"signing_key": None, "client_secret": None, "algorithm": "ES256", "jwks": "secret/jwks"}
KEPT = SecretRef(SecretSource.VAULT, "secret/renewals/crm", "refresh_token")


@pytest.mark.parametrize(
    ("keys", "options", "cause"),
    [
        pytest.param({"audience": "https://wrong.example"}, {}, 'with audience = "token_url"', id="audience"),
        pytest.param({"audience": "auth_url"}, {}, 'with audience = "token_url"', id="auth_url"),
        pytest.param({}, {"kid": "mistaken"}, 'with kid = "thumbprint"', id="kid"),
        pytest.param({}, {"assertion_issuer": "https://other.example"}, "", id="nothing that is varied"),
        pytest.param({}, {"scopes": ("read:users",)}, "", id="a scope"),
        pytest.param({}, {}, "", id="nothing wrong"),
    ],
)
@pytest.mark.parametrize("kind", ["client-assertion", "oauth-token"])
async def test_what_the_server_takes_instead_is_named(
    clock: HandClock, kind: str, keys: dict[str, Any], options: dict[str, Any], cause: str
) -> None:
    async with desk.running("keycloak", clock, **keys) as world:
        found = await world.bound(kind, **options).diagnose(None)
        assert [cause in text for text in found] == ([True] if cause else [])
        assert world.exchanges() <= 9


@pytest.mark.parametrize("kind", ["client-assertion", "oauth-token"])
async def test_an_algorithm_that_a_server_does_not_take_is_named(clock: HandClock, kind: str) -> None:
    async with desk.running("halo", clock) as world:
        (found,) = await world.bound(kind, algorithm="RS256").diagnose(None)
        assert 'with algorithm = "PS256"' in found


async def test_every_algorithm_of_an_rsa_key_is_tried_and_only_those(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        world.itsm.model.change(algorithms=("PS512",))
        (found,) = await world.bound(algorithm="RS256").diagnose(None)
        assert 'with algorithm = "PS512"' in found
        assert world.exchanges() <= 14
        world.itsm.model.change(algorithms=("ES256",))
        assert await world.bound().diagnose(None) == []


async def test_a_kid_that_a_server_does_not_know_may_have_to_be_left_out(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        world.client.kid = "key-1"
        (found,) = await world.bound().diagnose(None)
        assert 'with kid = "none"' in found


async def with_a_key(world: desk.Desk) -> tuple[Any, Secret]:
    """A provider whose key is installed, and its value; the server reads the set."""
    bound = world.bound("assertion-key", **SET)
    minted = await bound.mint("rotator-lab1-crm-c0ffee-r1-a1", None)
    await bound.install(minted)
    document_store = world.keys.document_store("secret/jwks")
    world.client.public_key, world.client.kid, world.client.jwks = "", "", lambda: str(document_store.values["jwks"])
    return bound, minted.secret


@pytest.mark.parametrize("preset", ["keycloak", "hydra", "spring"])
async def test_a_server_that_cannot_read_our_key_set_is_told_from_one_that_refuses_the_client(
    clock: HandClock, preset: str
) -> None:
    async with desk.running(preset, clock) as world:
        bound, secret = await with_a_key(world)
        assert await bound.diagnose(secret) == []
        world.itsm.model.assertions.key_sets = KeySets(clock.now)
        world.client.jwks = lambda: ""
        (found,) = await bound.diagnose(secret)
        assert "as it refuses one that nobody has" in found
        assert "jwks_uri" in found
        assert "jwks_listen" in found
        assert world.exchanges() <= 9


async def test_a_server_that_breaks_where_it_cannot_read_a_set_is_understood_as_well(clock: HandClock) -> None:
    async with desk.running("hydra", clock) as world:
        bound, secret = await with_a_key(world)
        world.itsm.faults.add("status", status=500, path="/auth/token", times=100)
        (found,) = await bound.diagnose(secret)
        assert "may be unable to read our key set" in found
        with pytest.raises(Transient, match=r"when they cannot read our key set: compare client_id .*, its jwks_uri"):
            await world.server.control(world.credential("assertion-key", **SET))


async def test_a_wrong_audience_of_a_published_key_is_named(clock: HandClock) -> None:
    async with desk.running("keycloak", clock, audience="https://wrong.example") as world:
        bound, secret = await with_a_key(world)
        (found,) = await bound.diagnose(secret)
        assert 'audience = "token_url"' in found


async def test_a_published_key_that_left_our_set_is_told_without_a_question(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound, secret = await with_a_key(world)
        world.keys.document_store("secret/jwks").put(jwks='{"keys": []}')
        (found,) = await bound.diagnose(secret)
        assert "does not list the published key" in found
        assert world.exchanges() == 0


async def test_a_refresh_token_that_is_missing_or_was_refused_is_told_and_none_is_spent(clock: HandClock) -> None:
    async with desk.running("keycloak", clock) as world:
        bound = world.bound("oauth-token", grant="refresh_token", refresh_token=KEPT)
        with pytest.raises(NeedsPerson, match=r"there is no refresh token\. Authorise client"):
            await bound.diagnose(None)
        document_store = world.keys.document_store("secret/renewals/crm")
        document_store.put(refresh_token="canary-there-is-one")
        assert await bound.diagnose(None) == []
        with pytest.raises(NeedsPerson):
            await bound.mint("r1", None)
        asked = world.exchanges()
        with pytest.raises(NeedsPerson, match="refuses the refresh token"):
            await bound.diagnose(None)
        assert world.exchanges() == asked


@pytest.mark.parametrize(
    ("ends", "alive", "words"),
    [
        (True, True, "refresh_ends_access = false would hold"),
        (True, False, ""),
        (False, True, ""),
        (False, False, "leave"),
    ],
)
async def test_a_server_that_ends_or_keeps_the_token_before_against_the_settings_is_told(
    clock: HandClock, ends: bool, alive: bool, words: str
) -> None:
    async with desk.running("keycloak", clock) as world:
        world.keys.document_store("secret/renewals/crm").put(refresh_token="canary-there-is-one")
        minted = await world.bound("oauth-token").mint("r1", None)
        if not alive:
            world.itsm.model.grants.revoke(world.client.client_id)
        bound = world.bound("oauth-token", grant="refresh_token", refresh_token=KEPT, refresh_ends_access=ends)
        assert [words in text for text in await bound.diagnose(None, minted.secret)] == ([True] if words else [])
