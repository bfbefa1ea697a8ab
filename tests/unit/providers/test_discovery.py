"""Discovery by the issuer: what is read, what is believed, what is sent nowhere, and when it is read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from rotator.ports import Accepted, Fault, Refused, Transient
from rotator.providers.keys.assertion import read
from rotator.providers.keys.signing import public_key
from rotator.providers.oauth.config import OAuthTargetConfig
from rotator.providers.oauth.discovery import Endpoints, documents_of
from rotator.providers.oauth.server import OAuthServer
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.issuer import CANARY, CLIENT, FIRST, GRANTED, ISSUER, SECOND, SOUND, TOKEN, Peer, calling
from tests.unit.providers.keys import public_pem, rsa_key

pytestmark = pytest.mark.anyio


async def exchanged(peer: Peer, clock: HandClock, **options: Any) -> str:
    """Why a token request did not succeed, or nothing."""
    async with calling(peer, clock, **options) as site:
        try:
            await site.exchange(CLIENT, None)
        except Fault as fault:
            return f"{type(fault).__name__}: {fault.reason}"
    return ""


# where it is


@pytest.mark.parametrize(
    ("issuer", "first", "second"),
    [
        ("https://a", "https://a/.well-known/oauth-authorization-server", "https://a/.well-known/openid-configuration"),
        (
            "https://a/",
            "https://a/.well-known/oauth-authorization-server",
            "https://a/.well-known/openid-configuration",
        ),
        (
            "https://a:8/x/y/",
            "https://a:8/.well-known/oauth-authorization-server/x/y",
            "https://a:8/x/y/.well-known/openid-configuration",
        ),
    ],
)
def test_the_document_has_two_addresses(issuer: str, first: str, second: str) -> None:
    assert documents_of(issuer) == (first, second)


@pytest.mark.parametrize(
    "answer", [404, 500, SOUND | {"issuer": "https://as.example"}, httpx.Response(302, headers={"location": "/"})]
)
async def test_what_the_one_address_does_not_tell_the_other_does(clock: HandClock, answer: Any) -> None:
    peer = Peer()
    peer.answers |= {FIRST: answer, SECOND: SOUND}
    assert await exchanged(peer, clock) == ""
    assert peer.calls == [FIRST, SECOND, TOKEN]


async def test_a_document_is_read_once_for_many_requests_at_a_time(clock: HandClock) -> None:
    peer = Peer()
    async with calling(peer, clock) as site, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(site.exchange, CLIENT, None)
    assert peer.asked() == [FIRST]


# who wins


async def test_without_an_issuer_nothing_is_asked(clock: HandClock) -> None:
    peer = Peer()
    peer.answers["https://api.example/auth/token"] = GRANTED
    assert await exchanged(peer, clock, issuer="") == ""
    assert peer.calls == ["https://api.example/auth/token"]


@pytest.mark.parametrize("named", [{"token_url": "https://own.example/token"}, {"auth_url": "https://own.example"}])
async def test_a_token_endpoint_of_the_settings_wins_and_nothing_is_asked_for_it(
    clock: HandClock, named: dict[str, str]
) -> None:
    peer = Peer()
    peer.answers["https://own.example/token"] = GRANTED
    assert await exchanged(peer, clock, **named) == ""
    assert peer.calls == ["https://own.example/token"]


async def test_what_the_settings_leave_out_is_filled_in(clock: HandClock) -> None:
    base = "https://as.example/shop"
    peer = Peer(
        revocation_endpoint=f"{base}/revoke",
        introspection_endpoint=f"{base}/introspect",
        jwks_uri=f"{base}/jwks",
        registration_endpoint=f"{base}/register",
        scopes_supported=["a", 1, "b"],
        grant_types_supported="client_credentials",
        mtls_endpoint_aliases={"token_endpoint": f"{base}/mtls", "revocation_endpoint": "https://evil.example/"},
    )
    async with calling(peer, clock, introspection_url="https://own.example/look") as site:
        found = await site.endpoints(CLIENT)
    assert (found.token, found.revocation, found.jwks) == (TOKEN, f"{base}/revoke", f"{base}/jwks")
    assert (found.introspection, found.registration) == ("https://own.example/look", f"{base}/register")
    assert (found.scopes, found.grants, found.auth_methods) == ({"a", "b"}, None, None)
    assert (dict(found.mtls), list(found.refused)) == ({"token": f"{base}/mtls"}, ["mtls revocation"])


def test_whoever_shows_a_certificate_calls_the_other_address() -> None:
    told = Endpoints(
        revocation="https://as.example/r",
        introspection="https://as.example/i",
        mtls={"introspection": "https://mtls.example/i"},
    )
    assert told.need("introspection") == "https://as.example/i"
    assert told.need("introspection", with_certificate=True) == "https://mtls.example/i"
    assert told.need("revocation", with_certificate=True) == "https://as.example/r"


async def test_an_address_of_the_settings_hides_the_alias_for_certificates(clock: HandClock) -> None:
    peer = Peer(mtls_endpoint_aliases={"token_endpoint": "https://as.example/mtls"})
    async with calling(peer, clock, token_url=TOKEN) as site:
        assert dict((await site.endpoints(CLIENT)).mtls) == {}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [(404, Refused), (503, Transient), (SOUND | {"issuer": "https://evil.example"}, Refused)],
)
async def test_a_named_token_endpoint_needs_no_document_and_what_else_is_needed_says_why(
    clock: HandClock, answer: Any, fault: type[Fault]
) -> None:
    peer = Peer()
    peer.answers[FIRST] = peer.answers[SECOND] = answer
    async with calling(peer, clock, token_url=TOKEN, introspection_url="https://own.example/look") as site:
        found = await site.endpoints(CLIENT)
        assert (found.need("token"), found.need("introspection")) == (TOKEN, "https://own.example/look")
        with pytest.raises(fault, match=f"issuer {ISSUER}"):
            found.need("revocation")


async def test_an_endpoint_that_nobody_names_is_refused_with_the_option_that_would(clock: HandClock) -> None:
    async with calling(Peer(), clock) as site:
        with pytest.raises(Refused, match="the server names no revocation_endpoint: set revocation_url at the target"):
            (await site.endpoints(CLIENT)).need("revocation")


async def test_an_issuer_that_is_no_address_is_a_name_only(clock: HandClock) -> None:
    async with calling(Peer(), clock, issuer="urn:example:as", token_url=TOKEN) as site:
        assert (await site.endpoints(CLIENT)).token == TOKEN


# what is not believed: nothing is sent there


@pytest.mark.parametrize(
    ("told", "words"),
    [
        pytest.param({"issuer": "https://evil.example"}, "is that of https://evil.example: nothing", id="another"),
        pytest.param({"issuer": f"{ISSUER}/"}, "differs by its closing slash", id="a slash more"),
        pytest.param({"issuer": "https://AS.example/shop"}, "is that of https://AS.example/shop", id="letter case"),
        pytest.param({"issuer": "x\x1b[2J"}, r"is that of x\x1b[2J: nothing", id="control characters"),
        pytest.param({"issuer": None}, "it does not say whose it is", id="nobody's"),
        pytest.param({"token_endpoint": None}, "names no token_endpoint", id="no token endpoint"),
        pytest.param({"token_endpoint": ""}, "its token_endpoint is no address", id="an empty one"),
        pytest.param({"token_endpoint": ["x"]}, "its token_endpoint is no address", id="no text"),
        pytest.param({"token_endpoint": "https://as.example/a b"}, "its token_endpoint is no address", id="a blank"),
        pytest.param({"token_endpoint": "http://as.example/shop/token"}, "is at http://as.example:80,", id="http"),
        pytest.param({"token_endpoint": "ftp://as.example/token"}, "must start with https://", id="no http at all"),
        pytest.param({"token_endpoint": "/shop/token"}, "must start with https://", id="a path"),
        pytest.param({"token_endpoint": "https://me@as.example/token"}, "a user or a password", id="a user"),
        pytest.param({"token_endpoint": r"https://as.example\@evil.example/"}, "a user or a pass", id="a backslash"),
        pytest.param({"token_endpoint": "https://as.example/#x"}, "must have no fragment", id="a fragment"),
        pytest.param({"token_endpoint": "https://169.254.169.254/x"}, "must not be a link-local", id="metadata"),
        pytest.param({"token_endpoint": "https://evil.example/t"}, "is at https://evil.example:443,", id="elsewhere"),
        pytest.param(
            {"token_endpoint": "https://as.example.evil.example/t"}, "is at https://as.ex", id="a longer name"
        ),
        pytest.param(
            {"token_endpoint": "https://as.example:8443/token"}, "is at https://as.example:8443,", id="a port"
        ),
        pytest.param(
            {"token_endpoint": "https://api.example/token"}, "is at https://api.example:443,", id="our target"
        ),
        pytest.param({"token_endpoint": "http://127.0.0.1:9/token"}, "is at http://127.0.0.1:9,", id="this host"),
    ],
)
async def test_a_document_that_lies_is_told_and_never_followed(
    clock: HandClock, told: dict[str, Any], words: str
) -> None:
    peer = Peer(**told)
    said = await exchanged(peer, clock)
    assert said.startswith("Unbelievable: the discovery document of issuer https://as.example/shop ")
    assert words in said
    assert "nothing is sent" in said
    assert peer.calls == [FIRST, SECOND]
    assert CANARY not in "".join(peer.bodies)


@pytest.mark.parametrize("document", [[], "text", 7.5, {"issuer": [ISSUER]}])
async def test_json_that_is_no_document_is_none(clock: HandClock, document: Any) -> None:
    peer = Peer()
    peer.answers[FIRST] = document
    assert "it does not say whose it is" in await exchanged(peer, clock)


@pytest.mark.parametrize(
    "named",
    [
        {"revocation_url": "https://tokens.example/revoke"},
        {"introspection_url": "https://tokens.example/"},
        {"registration_url": "https://TOKENS.example:443/register"},
    ],
)
async def test_a_host_that_the_settings_name_for_secrets_is_believed(clock: HandClock, named: dict[str, str]) -> None:
    peer = Peer(token_endpoint="https://tokens.example/token")
    peer.answers["https://tokens.example/token"] = GRANTED
    assert await exchanged(peer, clock, **named) == ""


async def test_a_key_set_elsewhere_is_no_word_for_secrets_there(clock: HandClock) -> None:
    peer = Peer(token_endpoint="https://keys.example/token")
    assert "is at https://keys.example:443" in await exchanged(peer, clock, jwks_url="https://keys.example/jwks")


async def test_a_foreign_address_costs_that_endpoint_alone(clock: HandClock) -> None:
    async with calling(Peer(revocation_endpoint="https://evil.example/revoke"), clock) as site:
        found = await site.endpoints(CLIENT)
        assert found.need("token") == TOKEN
        with pytest.raises(
            Refused, match=r"its revocation_endpoint is at https://evil\.example:443, .* revocation_url"
        ):
            found.need("revocation")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(404, "404 at /.well-known/oauth-authorization-server/shop; 404 at /shop/.well-known/", id="none"),
        pytest.param(httpx.Response(204), "204 at /.well-known/", id="empty"),
        pytest.param(httpx.Response(200, html="<p>Log in"), "200 with a page instead of JSON", id="a page"),
        pytest.param(httpx.Response(307, headers={"location": TOKEN}), "307, sent elsewhere", id="a redirect"),
        pytest.param(SOUND | {"x": "y" * 262144}, "with more than 262144 bytes", id="huge"),
    ],
)
async def test_where_there_is_no_document_it_is_told_with_the_remedy(clock: HandClock, answer: Any, words: str) -> None:
    peer = Peer()
    peer.answers[FIRST] = peer.answers[SECOND] = answer
    said = await exchanged(peer, clock)
    assert said.startswith("Refused: issuer https://as.example/shop does not say where its endpoints are: ")
    assert words in said
    assert said.endswith(": compare issuer with what the server calls itself, or set token_url")
    assert peer.calls == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("answer", "calls"),
    [(503, 2), (429, 1), (httpx.ConnectError("x"), 1), (httpx.Response(200, json={}, content=b"{"), 1)],
    ids=["in trouble", "busy", "away", "cut off"],
)
async def test_what_cannot_be_read_now_is_undecided(clock: HandClock, answer: Any, calls: int) -> None:
    peer = Peer()
    if isinstance(answer, httpx.Response):
        answer = httpx.Response(200, headers={"content-type": "application/json"}, content=b"{")
    peer.answers[FIRST] = answer
    peer.answers[SECOND] = 404
    said = await exchanged(peer, clock)
    assert said.startswith("Transient: where the endpoints of issuer https://as.example/shop are cannot be read now: ")
    assert len(peer.calls) == calls


# when it is read again


async def times(peer: Peer, site: OAuthServer) -> int:
    """How often it is read for one request."""
    before = len(peer.asked())
    await site.exchange(CLIENT, None)
    return len(peer.asked()) - before


async def test_it_is_read_again_after_an_hour(clock: HandClock) -> None:
    peer = Peer()
    async with calling(peer, clock) as site:
        assert await times(peer, site) == 1
        clock.move(3599)
        assert await times(peer, site) == 0
        clock.move(1)
        peer.answers[FIRST] = SOUND | {"token_endpoint": "https://as.example/new"}
        peer.answers["https://as.example/new"] = GRANTED
        assert await times(peer, site) == 1
        assert peer.calls[-1] == "https://as.example/new"


@pytest.mark.parametrize("answer", [503, 404, httpx.ConnectError("x"), httpx.Response(200, html="<p>")])
async def test_the_last_good_document_holds_while_there_is_no_other_and_is_looked_for_each_minute(
    clock: HandClock, answer: Any
) -> None:
    peer = Peer()
    async with calling(peer, clock) as site:
        await site.exchange(CLIENT, None)
        peer.answers[FIRST] = answer
        clock.move(3600)
        assert await times(peer, site) >= 1
        clock.move(59)
        assert await times(peer, site) == 0
        clock.move(1)
        assert await times(peer, site) >= 1


async def test_a_document_that_begins_to_lie_ends_what_was_believed(clock: HandClock) -> None:
    peer = Peer()
    async with calling(peer, clock) as site:
        await site.exchange(CLIENT, None)
        peer.answers[FIRST] = SOUND | {"token_endpoint": "https://evil.example/"}
        clock.move(3600)
        for _ in range(2):
            with pytest.raises(Refused, match="is not believed"):
                await site.exchange(CLIENT, None)
        assert peer.calls.count(TOKEN) == 1


@pytest.mark.parametrize(
    "answer",
    [404, 502, httpx.Response(302, headers={"location": "/"}), httpx.Response(200, html="x"), httpx.ConnectError("x")],
)
async def test_after_an_answer_of_no_oauth_server_it_is_read_again_a_minute_later_at_most(
    clock: HandClock, answer: Any
) -> None:
    peer = Peer()
    async with calling(peer, clock) as site:
        await site.exchange(CLIENT, None)
        peer.answers[TOKEN] = answer
        for seconds, again in ((30, 0), (29, 0), (1, 1), (59, 0), (1, 1)):
            clock.move(seconds)
            before = len(peer.asked())
            with pytest.raises((Refused, Transient)):
                await site.exchange(CLIENT, None)
            assert len(peer.asked()) - before == again


async def test_a_refusal_in_words_is_no_reason_to_read_it_again(clock: HandClock) -> None:
    peer = Peer()
    async with calling(peer, clock) as site:
        await site.exchange(CLIENT, None)
        peer.answers[TOKEN] = httpx.Response(400, json={"error": "invalid_client"})
        for _ in range(3):
            clock.move(100)
            with pytest.raises(Refused):
                await site.exchange(CLIENT, None)
    assert peer.asked() == [FIRST]


async def test_those_who_waited_for_a_try_that_failed_do_not_try_again(clock: HandClock) -> None:
    peer, faults = Peer(), []

    async def failing(request: httpx.Request) -> httpx.Response:
        peer.calls.append(str(request.url))
        await anyio.lowlevel.checkpoint()
        clock.move(10)
        raise httpx.ConnectTimeout("x")

    async def ask(site: OAuthServer) -> None:
        try:
            await site.exchange(CLIENT, None)
        except Transient as fault:
            faults.append(fault.reason)

    peer.__class__ = type("Failing", (Peer,), {"__call__": lambda self, request: failing(request)})
    async with calling(peer, clock) as site, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, site)
    assert peer.calls == [FIRST]
    assert len(faults) == 5


# what follows it


@pytest.fixture
async def world(clock: HandClock) -> AsyncIterator[desk.Desk]:
    async with desk.running("keycloak", clock, issuer="URL") as running:
        running.itsm.model.discovery = True
        yield running


@pytest.mark.parametrize("audience", ["token_url", "issuer"])
async def test_assertions_and_what_is_published_beside_them_follow(clock: HandClock, audience: str) -> None:
    async with desk.running("keycloak", clock, issuer="URL", audience=audience) as world:
        world.itsm.model.discovery = True
        bound = world.bound()
        minted = await bound.mint("r1", clock.now() + timedelta(minutes=1))
        found = read(minted.secret, public_key(public_pem(rsa_key())))
        assert found
        token = f"{world.itsm.url}/auth/token"
        assert found.claims["aud"] == {"token_url": token, "issuer": world.itsm.url}[audience]
        assert minted.fields["token_url"] == f"{token}?tenant=acme"
        assert await bound.verify(minted.token, minted.secret) == Accepted()


async def test_an_access_token_is_had_and_proven(world: desk.Desk) -> None:
    bound = world.bound("oauth-token")
    minted = await bound.mint("r1", None)
    assert world.itsm.model.accepts_token(minted.secret)
    assert await bound.verify(minted.token, minted.secret) == Accepted()


# settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"issuer": "as.example"}, "issuer must start with https://"),
        ({"issuer": "http://as.example"}, "issuer: plain http is for loopback only"),
        ({"issuer": "https://as.example?x=y"}, "issuer must have neither query nor fragment"),
        ({"issuer": "https://169.254.169.254"}, "issuer must not be a link-local address"),
        ({"issuer": ISSUER, "audience": "auth_url"}, 'audience = "auth_url" needs the key auth_url'),
    ],
)
def test_an_issuer_that_has_to_be_asked_is_an_address_that_may_be(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OAuthTargetConfig(url="https://api.example", **options)
