"""Client assertions and access tokens on a service desk: what each answer means, and what is never sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Refused, Rejected, Transient, Unknown
from rotator.providers import KINDS
from rotator.providers.http.client import HttpClient, error_word
from rotator.providers.keys.assertion import read
from rotator.providers.keys.signing import public_key
from rotator.providers.oauth.config import AccessTokenOptions, ClientAssertionOptions, ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import (
    ClientDenied,
    Granted,
    UnfitGrant,
    granted,
    hint,
    introduced,
    sendable,
)
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk
from tests.unit.providers.keys import private_pem, public_pem, rsa_key

pytestmark = pytest.mark.anyio

LIFE = timedelta(seconds=60)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock) as running:
        yield running


async def proof(world: desk.Desk, life: timedelta = LIFE, **options: Any) -> Any:
    bound = world.bound(**options)
    minted = await bound.mint("r1", world.clock.now() + life)
    return await bound.verify(minted.token, minted.secret)


async def test_the_document_holds_what_a_token_request_needs(world: desk.Desk) -> None:
    minted = await world.bound().mint("r1", world.clock.now() + LIFE)
    assert minted.fields == {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_id": world.client.client_id,
        "token_url": f"{world.itsm.url}/auth/token?tenant=acme",
    }
    assert world.exchanges() == 0


async def test_a_published_assertion_never_outlives_the_servers_maximum_age(clock: HandClock) -> None:
    async with desk.running("keycloak", clock, max_age=timedelta(seconds=50)) as world:
        minted = await world.bound().mint("r1", clock.now() + timedelta(hours=1))
        assert minted.token.expires_at == clock.now() + timedelta(seconds=50)


async def test_the_proof_shows_the_age_as_well_since_the_sibling_is_as_old(world: desk.Desk) -> None:
    bound = world.bound()
    minted = await bound.mint("r1", world.clock.now() + timedelta(hours=1))
    world.clock.move(61)
    verdict = await bound.verify(minted.token, minted.secret)
    assert isinstance(verdict, Rejected)
    assert "invalid_client" in verdict.reason


async def test_too_little_rest_of_life_is_rejected_before_anybody_is_asked(world: desk.Desk) -> None:
    verdict = await proof(world, timedelta(seconds=14))
    assert verdict == Rejected("less than the promised 15s of its life are left", final=True)
    assert world.exchanges() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"scopes": ("read:users",)}, "invalid_scope", id="unknown scope"),
        pytest.param({"identity": {"name": "somebody"}}, "another identity: name", id="another identity"),
        pytest.param({"client_secret": None, "send_assertion_type": False}, "invalid_client", id="no type"),
        pytest.param({"scopes": ()}, "no `scopes` are asked for", id="no scope at all"),
        pytest.param({"kid": "another"}, "invalid_client", id="unknown kid"),
        pytest.param({"assertion_issuer": "https://other.example"}, "invalid_client", id="another issuer"),
    ],
)
async def test_a_refusal_is_told_in_words(world: desk.Desk, options: dict[str, Any], words: str) -> None:
    verdict = await proof(world, **options)
    assert isinstance(verdict, Rejected)
    assert words in verdict.reason


@pytest.mark.parametrize("options", [{"algorithm": "RS256"}, {"kid": "none"}, {"client_secret": None}, {"probe": ""}])
async def test_a_lax_enough_server_accepts_these_as_well(world: desk.Desk, options: dict[str, Any]) -> None:
    assert await proof(world, **options) == Accepted()


async def test_identity_is_compared_with_what_the_probe_tells(world: desk.Desk) -> None:
    assert await proof(world, identity={"name": "crm", "id": 0}) == Accepted()


@pytest.mark.parametrize(("status", "expected"), [(403, Rejected), (404, Unknown)])
async def test_a_machine_identity_without_an_agent_may_need_another_probe(
    world: desk.Desk, status: int, expected: type
) -> None:
    world.itsm.model.lone_me = status
    assert isinstance(await proof(world), expected)
    assert await proof(world, probe="/api/Tickets?count=1") == Accepted()


async def test_a_silently_dropped_scope_fails_the_proof(clock: HandClock) -> None:
    async with desk.running("oidc-provider", clock) as world:
        verdict = await proof(world, scopes=("all", "read:users"))
        assert isinstance(verdict, Rejected)
        assert (verdict.final, verdict.reason) == (
            True,
            "the server did not grant: read:users; allow it to the client there, or take it out of `scopes`",
        )


async def test_where_no_scope_is_left_the_silence_is_not_taken_for_a_habit_of_the_server(clock: HandClock) -> None:
    async with desk.running("oidc-provider", clock) as world:
        verdict = await proof(world, scopes=("read:users",))
        assert isinstance(verdict, Rejected)
        assert "may have none of read:users, or the server never names any" in verdict.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"kid": "mistaken"}, "its key, algorithm PS256, kid (mistaken) and audience", id="by assertion"),
        pytest.param({"client_id": "nobody"}, "compare client_id nobody", id="another client"),
        pytest.param({"signing_key": None}, 'want auth_method = "client_secret_basic"', id="by secret"),
        pytest.param({"signing_key": None, "client_secret": None}, "registered as a public client", id="public"),
    ],
)
async def test_a_refused_client_is_told_what_to_compare(world: desk.Desk, options: dict[str, Any], words: str) -> None:
    given = {"client_id": world.client.client_id, "client_secret": desk.SECRET, "signing_key": desk.KEY, **options}
    client = ClientOptions(**given)
    assertion = await world.server.vouched(client) if client.asserts else None
    with pytest.raises(Refused) as refusal:
        await world.server.exchange(client, assertion)
    assert words in refusal.value.reason


async def test_a_secret_may_stand_in_the_header_with_every_sign_that_it_has(clock: HandClock) -> None:
    async with desk.running("oidc-provider", clock) as world:
        secret = Secret("canary:client secret%2B+&=\N{LATIN SMALL LETTER E WITH ACUTE}-9e")
        application = world.itsm.model.add_application("shop", secret=secret)
        world.keys.held[desk.SECRET] = secret
        bound = world.bound(
            "oauth-token", client_id=application.client_id, signing_key=None, auth_method="client_secret_basic"
        )
        minted = await bound.mint("r1", None)
        assert await bound.verify(minted.token, minted.secret) == Accepted()
        world.keys.held[desk.SECRET] = Secret("canary-another-secret-9f")
        with pytest.raises(Refused, match="client_secret_post"):
            await bound.mint("r2", None)


async def test_a_wrong_tenant_is_explained_and_decides_nothing(clock: HandClock) -> None:
    async with desk.running("halo", clock, tenant="other") as world:
        verdict = await proof(world)
        assert isinstance(verdict, Unknown)
        assert "wrong tenant" in verdict.reason
        assert await world.server.audit(()) == ["the server names another tenant in /api/authinfo: compare tenant"]


async def test_the_tenant_may_travel_in_the_form(clock: HandClock) -> None:
    async with desk.running("halo", clock, tenant_in="form") as world:
        assert await proof(world) == Accepted()


async def test_a_key_that_changed_after_signing_is_noticed(world: desk.Desk) -> None:
    bound = world.bound()
    minted = await bound.mint("r1", world.clock.now() + LIFE)
    world.keys.held[desk.KEY] = private_pem(rsa_key(2048, 1))
    verdict = await bound.verify(minted.token, minted.secret)
    assert verdict == Rejected("not an assertion that the present key signed")


async def test_another_assertion_is_rejected_for_good(world: desk.Desk) -> None:
    bound = world.bound()
    one, two = [await bound.mint("r1", world.clock.now() + LIFE) for _ in range(2)]
    assert await bound.verify(one.token, two.secret) == Rejected("the assertion belongs to another token", final=True)


async def test_a_missing_secret_of_one_client_is_no_reason_to_leave_the_whole_target_alone(world: desk.Desk) -> None:
    world.keys.held.clear()
    with pytest.raises(Refused) as refusal:
        await world.bound().mint("r1", world.clock.now() + LIFE)
    assert type(refusal.value) is Refused


async def test_a_key_that_stays_elsewhere_signs_as_well(world: desk.Desk) -> None:
    class Elsewhere:
        async def public_pem(self) -> str:
            return public_pem(rsa_key())

        async def sign(self, algorithm: str, message: bytes) -> bytes:
            import jwt

            return jwt.get_algorithm_by_name(algorithm).sign(message, rsa_key())

    world.keys.remote["transit/crm"] = Elsewhere()
    assert await proof(world, signing_key=None, transit_key="transit/crm") == Accepted()


@pytest.mark.parametrize("preset", desk.PRESETS)
@pytest.mark.parametrize("way", ["secret", "assertion", "both"])
async def test_an_access_token_is_had_by_secret_by_assertion_or_by_both(
    clock: HandClock, preset: str, way: str
) -> None:
    async with desk.running(preset, clock) as world:
        world.client.demands_assertion = way != "secret"
        world.itsm.model.change(with_secret=way != "assertion")
        options = {"secret": {"signing_key": None}, "assertion": {"client_secret": None}, "both": {}}[way]
        bound = world.bound("oauth-token", **options)
        minted = await bound.mint("r1", None)
        assert minted.token.expires_at == clock.now() + timedelta(hours=1)
        assert minted.fields["scope"] == "all"
        assert await bound.verify(minted.token, minted.secret) == Accepted()
        await world.server.control(world.credential("oauth-token", **options))


async def test_a_refused_client_is_told_and_mints_nothing(world: desk.Desk) -> None:
    world.keys.held[desk.SECRET] = Secret("canary-wrong-secret-77")
    with pytest.raises(Refused, match="unauthorized_client"):
        await world.bound("oauth-token").mint("r1", None)


async def test_a_lost_answer_of_a_token_request_is_transient(world: desk.Desk) -> None:
    world.itsm.faults.add("drop", when="after")
    with pytest.raises(Transient):
        await world.bound("oauth-token").mint("r1", None)


async def test_a_server_that_accepts_anyone_is_refused(world: desk.Desk) -> None:
    world.client.demands_assertion = False
    with pytest.raises(Refused, match="accepts anyone"):
        await world.server.control(world.credential())


async def test_a_page_in_front_of_the_server_is_no_refusal_of_a_broken_client(world: desk.Desk) -> None:
    world.itsm.faults.add("status", status=403, path="/auth/token")
    with pytest.raises(Transient, match="something in front of it"):
        await world.server.control(world.credential())


async def test_a_probe_that_accepts_anyone_is_refused(world: desk.Desk) -> None:
    with pytest.raises(Refused, match="accepts anyone"):
        await world.server.control(world.credential(probe="/api/authinfo"))


async def test_a_backdated_start_and_an_own_issuer_reach_the_server(world: desk.Desk) -> None:
    world.client.issuer = "https://issuer.example"
    options = {"assertion_issuer": "https://issuer.example", "backdate": timedelta(seconds=20)}
    assert await proof(world, **options) == Accepted()
    minted = await world.bound(**options).mint("r1", world.clock.now() + LIFE)
    found = read(minted.secret, public_key(public_pem(rsa_key())))
    assert found
    assert found.claims["nbf"] == found.claims["iat"] == int(world.clock.now().timestamp()) - 20
    assert found.expires_at == world.clock.now() + LIFE


async def test_a_clock_ahead_of_a_server_that_breaks_at_the_future_is_made_up_for_by_backdate(clock: HandClock) -> None:
    async with desk.running("hydra", clock, max_age=timedelta(minutes=2)) as world:
        world.itsm.model.change(ahead=-10.0)  # this server's clock is ten seconds behind
        assert isinstance(await proof(world), Unknown)
        bound = world.bound(backdate=timedelta(seconds=10))
        minted = await bound.mint("r1", world.clock.now() + timedelta(hours=1))
        assert await bound.verify(minted.token, minted.secret) == Accepted()
        assert minted.token.expires_at == world.clock.now() + timedelta(seconds=110), "max_age counts from `iat`"


@pytest.mark.parametrize("audience", ["token_url", "auth_url", "issuer", "https://literal.example"])
async def test_each_audience_is_one_string(clock: HandClock, audience: str) -> None:
    named = {"issuer": "https://as.example", "auth_url": "URL/auth"}
    async with desk.running("halo", clock, audience=audience, **named) as world:
        minted = await world.bound().mint("r1", clock.now() + LIFE)
        found = read(minted.secret, public_key(public_pem(rsa_key())))
        known = {"token_url": f"{world.itsm.url}/auth/token", "auth_url": f"{world.itsm.url}/auth"}
        known["issuer"] = "https://as.example"
        assert found
        assert found.claims["aud"] == known.get(audience, audience)


@pytest.mark.parametrize(
    ("shape", "keys", "words"),
    [
        (ClientAssertionOptions, {}, "signing_key"),
        (ClientAssertionOptions, {"transit_key": "crm"}, "transit_key"),
        (ClientAssertionOptions, {"transit_key": "transit/crm", "signing_key": desk.KEY}, "exclude"),
        (ClientAssertionOptions, {"signing_key": desk.KEY, "backdate": timedelta(seconds=31)}, "backdate"),
        (ClientAssertionOptions, {"signing_key": desk.KEY, "x5t": "sha256"}, "x5t"),
        (ClientAssertionOptions, {"signing_key": desk.KEY, "scopes": ("a b",)}, "scopes"),
        (ClientAssertionOptions, {"signing_key": desk.KEY, "probe": "//evil"}, "probe"),
        (ClientAssertionOptions, {"signing_key": desk.KEY, "probe": "", "identity": {"id": 1}}, "identity"),
        (AccessTokenOptions, {}, "client_secret"),
        (AccessTokenOptions, {"client_secret": desk.SECRET, "probe": ""}, "probe"),
    ],
)
def test_faulty_keys_are_refused_by_name(shape: Any, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shape(client_id="c", **keys)


@pytest.mark.parametrize(
    ("keys", "option"),
    [
        ({"audience": "issuer"}, "issuer"),
        ({"max_age": timedelta(0)}, "max_age"),
        ({"token_url": "ftp://x"}, "token_url"),
        ({"token_url": "https://as.example/token#x"}, "token_url"),
        ({"auth_url": "http://far.example"}, "auth_url"),
        ({"auth_url": "https://as.example/?realm=x"}, "auth_url"),
    ],
)
def test_faulty_targets_are_refused_by_name(keys: dict[str, Any], option: str) -> None:
    with pytest.raises(ValueError, match=option):
        OAuthTargetConfig(url="https://desk.example", **keys)


@pytest.mark.parametrize(
    ("keys", "called"),
    [
        ({"token_url": "https://as.example/o/token/"}, "https://as.example/o/token/"),  # django-oauth-toolkit 3.4.1
        ({"token_url": "https://as.example/t?p=1"}, "https://as.example/t?p=1"),
        ({"token_url": "https://as.example/t?p=1", "tenant": "acme"}, "https://as.example/t?p=1&tenant=acme"),
        ({"auth_url": "https://as.example/"}, "https://as.example/token"),
        ({"tenant": "acme"}, "https://desk.example/auth/token?tenant=acme"),
    ],
)
async def test_a_token_url_is_called_as_it_is_given(clock: HandClock, keys: dict[str, Any], called: str) -> None:
    asked: list[str] = []

    async def peer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(400, stream=httpx.ByteStream(b'{"error": "invalid_client"}'))

    target = OAuthTargetConfig(url="https://desk.example", **keys)
    site = OAuthServer(
        HttpClient("desk", target, clock, no_password, httpx.MockTransport(peer)), target, desk.Keys(), clock
    )
    with pytest.raises(ClientDenied):
        await site.exchange(ClientOptions(client_id="c"), None, Secret("s"))
    await site.aclose()
    assert asked == [called]


@pytest.mark.parametrize(("stranger", "final"), [(401, True), (403, False)])
async def test_a_403_is_a_missing_right_unless_a_token_that_nobody_has_gets_it_too(
    clock: HandClock, stranger: int, final: bool
) -> None:
    async def peer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            403 if request.headers["authorization"] == "Bearer t" else stranger, stream=httpx.ByteStream(b"")
        )

    target = OAuthTargetConfig(url="https://desk.example")
    site = OAuthServer(
        HttpClient("desk", target, clock, no_password, httpx.MockTransport(peer)), target, desk.Keys(), clock
    )
    verdict = await site.probe(ClientOptions(client_id="c"), Granted(Secret("t"), clock.now(), None, None))
    await site.aclose()
    assert isinstance(verdict, Rejected)
    assert verdict.final is final


def test_the_audience_is_the_address_as_it_is_given() -> None:
    given = {"token_url": "https://as.example/o/token/", "auth_url": "https://as.example/o/"}
    for audience, address in given.items():
        assert OAuthTargetConfig(url="https://desk.example", audience=audience, **given).aud == address


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, None), ({"expires_in": None}, None), ({"expires_in": 40}, 40), ({"expires_in": 40.0}, 40),
        ({"expires_in": 39.7}, 39.7), ({"expires_in": 1e2}, 100), ({"expires_in": "40"}, 40),
        ({"expires_in": "40.5"}, 40.5), ({"expires_in": "1e2"}, 100), ({"expires_in": 1}, 1),
    ],
)  # fmt: skip
def test_a_granted_life_is_read_in_every_form_that_servers_use(told: Any, seconds: float | None) -> None:
    life = granted({"access_token": "t", **told}, NOW).life
    assert life == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "told", [0, 0.4, "0.99", -1, "0", "-5", 1e12, "1e999", True, "soon", [], float("inf"), "9" * 5000, 10**400]
)
def test_a_granted_life_that_is_none_is_refused_and_not_replaced(told: Any) -> None:
    with pytest.raises(Refused, match="expires_in"):
        granted({"access_token": "t", "expires_in": told}, NOW)


@pytest.mark.parametrize("value", ["two words", "tök", "a\nb", "=", "x" * 10 + "\u202e"])
def test_a_granted_token_that_no_header_may_carry_is_refused_at_once_and_not_at_each_proof(value: str) -> None:
    with pytest.raises(UnfitGrant, match="no Authorization header"):
        sendable(granted({"access_token": value}, NOW))


@pytest.mark.parametrize(
    ("lifetime", "words"),
    [
        (None, "always expires"),
        (timedelta(hours=25), "24h"),
        (timedelta(seconds=61), "max_age of 60s"),
        (timedelta(seconds=50), "rest of 15s"),
        (timedelta(seconds=60), ""),
    ],
)
def test_a_lifetime_that_cannot_hold_is_explained(lifetime: timedelta | None, words: str) -> None:
    keys = OAuthTargetConfig(url="https://desk.example", max_age=timedelta(seconds=60))
    options = ClientAssertionOptions(client_id="c", signing_key=desk.KEY)
    from rotator.rotation.credential import Credential, VaultPath

    wanted = Credential("crm", "client-assertion", "d", VaultPath("s", "p"), lifetime=lifetime, options=options)
    said = KINDS["client-assertion"].validate(wanted, keys, timedelta(seconds=36))
    assert words in said
    assert bool(said) is bool(words)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"error":"invalid_client","error_description":"canary"}', "invalid_client"),
        (b'{"error":"canary-secret"}', ""),
        (b'{"error":["invalid_client"]}', ""),
        (b'["error"]', ""),
        (b"<html>", ""),
        (b"", ""),
        (b"null", ""),
    ],
)
def test_nothing_but_a_registered_word_is_read_from_a_refusal(body: bytes, word: str) -> None:
    assert error_word(body) == word


# what a person reads who has set a real server up wrongly: the answers are those of Keycloak 26.4.0


def test_a_userinfo_probe_without_the_scope_openid_is_explained() -> None:
    client = ClientOptions(client_id="shop", scopes=("profile",), probe="/realms/shop/protocol/openid-connect/userinfo")
    assert "userinfo opens to the scope openid only" in hint(client, 403)
    assert hint(ClientOptions(client_id="shop", scopes=("openid",), probe=client.probe), 403) == ""


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(404, "", "no word of an OAuth server's"), (401, "unauthorized_client", "service account for client_credentials")],
)
def test_a_refusal_names_what_to_look_at(status: int, error: str, words: str) -> None:
    assert words in ClientDenied(status, error).reason


def test_an_offline_session_that_is_not_asked_for_is_named_as_the_reason_of_a_401() -> None:
    kept = SecretRef(SecretSource.VAULT, "secret/renewals/crm", "refresh_token")
    keys: dict[str, Any] = {"client_id": "shop", "grant": "refresh_token", "refresh_token": kept, "probe": "/userinfo"}
    assert "`scopes` have to name it as well" in hint(AccessTokenOptions(**keys, scopes=("openid",)), 401)
    assert hint(AccessTokenOptions(**keys, scopes=("openid", "offline_access")), 401) == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_the_type_of_an_assertion_is_sent_where_settings_want_it(wanted: bool) -> None:
    client = ClientOptions(client_id="crm", send_assertion_type=wanted)
    form, auth = introduced(client, None, Secret("canary-assertion-5a"))
    assert (set(form), auth) == (
        {"client_id", "client_assertion"} | ({"client_assertion_type"} if wanted else set()),
        None,
    )
