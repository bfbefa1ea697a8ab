"""A refusal is a target's word on a value only while something else is accepted there."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Rejected, Transient, Unknown, Verdict
from rotator.providers import KINDS
from rotator.providers.halo_cms.config import HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import HttpClient
from rotator.providers.manual.config import ManualOptions, ManualTargetConfig
from rotator.providers.manual.provider import ManualServer, ManualToken
from rotator.providers.oauth.config import AccessTokenOptions, OAuthTargetConfig
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted
from rotator.providers.refusals import PositiveControl
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk, halo

pytestmark = pytest.mark.anyio

CONTROL = SecretRef(SecretSource.FILE, "/hub/monitor")
GOOD, OTHER, DEAD = Secret("good"), Secret("canary-of-another"), Secret("dead")


class Site:
    """A target behind a gateway that answers 401 to everybody when it is told to."""

    def __init__(self, clock: HandClock) -> None:
        self.living, self.gateway = {"good", "canary-of-another"}, False
        self.form = {"content-type": "application/json", "www-authenticate": "Bearer"}
        keys = ManualTargetConfig(url="https://hub.example")
        http = HttpClient("hub", keys, clock, no_password, httpx.MockTransport(self._answer))
        self.server = ManualServer(http, desk.Keys({CONTROL: OTHER}).fetch)
        self.calls = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        status = 200 if value in self.living and not self.gateway else 401
        own = {"content-type": "application/json", "www-authenticate": "Bearer"}
        return httpx.Response(status, stream=httpx.ByteStream(b"{}"), headers=self.form if self.gateway else own)

    def tool(self, name: str, **options: Any) -> ManualToken:
        return ManualToken(self.server, ManualOptions(instructions="click", probe="/me", **options), name)


@pytest.fixture
async def site(clock: HandClock) -> Any:
    made = Site(clock)
    yield made
    await made.server.aclose()


async def test_where_everybody_is_refused_nothing_is_said_of_any_value(site: Site) -> None:
    one, two = site.tool("one"), site.tool("two")
    assert await one.verify(Token("a"), GOOD) == Accepted()
    assert await two.verify(Token("b"), OTHER) == Accepted()
    site.gateway = True
    for tool, value in ((one, GOOD), (two, OTHER)):
        verdict = await tool.verify(Token("a"), value)
        assert isinstance(verdict, Unknown)
        assert "everybody is refused there now" in verdict.reason
        assert await tool.is_dead(Token("a"), value) is None
    site.gateway = False
    assert await one.verify(Token("a"), GOOD) == Accepted()


async def test_a_dead_value_is_dead_beside_one_that_is_accepted_and_is_no_measure_afterwards(site: Site) -> None:
    one, two = site.tool("one"), site.tool("two")
    assert await one.verify(Token("a"), GOOD) == Accepted()
    assert await two.verify(Token("b"), OTHER) == Accepted()
    site.living = {"canary-of-another"}
    assert isinstance(await one.verify(Token("a"), GOOD), Rejected)
    site.living = set()
    assert isinstance(await two.verify(Token("b"), OTHER), Rejected), "the first one is known to be dead"


async def test_the_value_before_is_dead_while_its_successor_is_accepted(site: Site) -> None:
    tool = site.tool("one")
    assert await tool.verify(Token("b"), OTHER) == Accepted()
    assert await tool.is_dead(Token("a"), GOOD) is False
    site.living = {"canary-of-another"}
    assert await tool.is_dead(Token("a"), GOOD) is True
    site.living = set()
    assert await tool.is_dead(Token("a"), GOOD) is True, "alone on its target, nothing else can be known"


async def test_a_gateway_in_its_own_words_is_known_by_them_where_no_other_value_is(site: Site) -> None:
    tool = site.tool("one")
    assert await tool.verify(Token("a"), GOOD) == Accepted()
    site.gateway, site.form = True, {"content-type": "application/json", "www-authenticate": "Basic realm=x"}
    verdict = await tool.verify(Token("a"), GOOD)
    assert isinstance(verdict, Unknown)
    assert "in other words than the target's own" in verdict.reason
    assert await tool.is_dead(Token("a"), GOOD) is None


async def test_a_lone_value_is_compared_with_the_one_that_settings_name(site: Site) -> None:
    tool = site.tool("one", control=CONTROL)
    site.gateway = True
    verdict = await tool.verify(Token("a"), GOOD)
    assert isinstance(verdict, Unknown), "at once, before anything was accepted"
    assert "everybody is refused there now" in verdict.reason
    assert await tool.is_dead(Token("a"), GOOD) is None
    site.gateway, site.living = False, {"canary-of-another"}
    assert await tool.verify(Token("a"), GOOD) == Rejected("the probe refuses the token: 401")
    assert await tool.is_dead(Token("a"), GOOD) is True


async def test_what_is_refused_together_for_an_hour_has_ended_together(clock: HandClock) -> None:
    control, shown, lives = PositiveControl(clock.monotonic), list[str](), {"good": True, "canary-of-another": True}

    async def show(name: str) -> bool:
        shown.append(name)
        return lives[name]

    control.accepted("one", GOOD, partial(show, "good"))
    control.accepted("two", OTHER, partial(show, "canary-of-another"))
    assert await control.refused("one", DEAD)  # its own other value is accepted
    assert shown == ["good"]
    lives = {"good": False, "canary-of-another": False}
    assert await control.refused("one", GOOD) is False
    clock.move(1800)
    assert await control.refused("two", OTHER) is False
    clock.move(1801)
    assert await control.refused("one", GOOD) is None
    assert await control.refused("three", DEAD) is None


class Oauth:
    """An OAuth server and its resource server, which refuses in this form; a gateway that refuses everybody so, too."""

    def __init__(self, clock: HandClock, form: tuple[int, bytes], **options: Any) -> None:
        self.living, self.gateway, self.given = set[str](), False, 0
        self.form = self.gateways = form
        self.lacking = set[str]()  # who may not open the probe
        self.clock, self.keys = clock, desk.Keys({desk.SECRET: Secret("s")})
        self.keys.document_store(KEPT.name).put(refresh_token="r0")
        target = OAuthTargetConfig(url="https://desk.example")
        http = HttpClient("desk", target, clock, no_password, httpx.MockTransport(self._answer))
        self.server = OAuthServer(http, target, self.keys, clock)
        given: dict[str, Any] = {
            "client_id": "c",
            "client_secret": desk.SECRET,
            "probe": "/me",
            "identity": {"valid": True},
            **options,
        }
        self.credential = Credential(
            "crm", "oauth-token", "desk", VaultPath("secret", "crm"), options=AccessTokenOptions(**given)
        )
        self.token = KINDS["oauth-token"].bind(self.server, self.credential)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        own = {"content-type": "application/json"}
        if request.method == "POST":
            if b"client_secret=s&" not in request.content + b"&":
                return httpx.Response(401, stream=httpx.ByteStream(b'{"error": "invalid_client"}'), headers=own)
            self.given += 1
            self.living.add(f"t{self.given}")
            told = b'{"access_token": "t%d", "expires_in": 3600}' % self.given
            return httpx.Response(200, stream=httpx.ByteStream(told), headers=own)
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        living = value in self.living
        status, body = (200, b'{"valid": true}') if living else self.form
        if self.gateway:
            status, body = self.gateways
        elif value in self.lacking:
            status, body = 403, b"{}"
        return httpx.Response(status, stream=httpx.ByteStream(body), headers=own)


KEPT = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")
REFRESH = {"grant": "refresh_token", "refresh_token": KEPT}
FORMS = {"401": (401, b"{}"), "403": (403, b"{}"), "400": (400, b"{}"), "200 and false": (200, b'{"valid": false}')}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@forms
@pytest.mark.parametrize("options", [{}, REFRESH], ids=["secret", "refresh"])
async def test_a_dead_access_token_is_refused_in_whatever_form(
    clock: HandClock, form: tuple[int, bytes], options: dict[str, Any]
) -> None:
    world = Oauth(clock, form, **options)
    await world.server.control(world.credential)
    minted = await world.token.mint("n", None)
    assert await world.token.verify(minted.token, minted.secret) == Accepted()
    world.living.clear()
    verdict = await world.token.verify(minted.token, minted.secret)
    assert isinstance(verdict, Rejected)
    assert not verdict.final
    alone = "no other value is known there to compare with" in verdict.reason
    assert alone is bool(options), "with its secret a client has another token at any time"
    if options:
        assert await world.token.is_dead(minted.token, minted.secret) is True
    await world.server.aclose()


@forms
async def test_a_gateway_that_refuses_everybody_condemns_no_access_token(
    clock: HandClock, form: tuple[int, bytes]
) -> None:
    world = Oauth(clock, form)
    await world.server.control(world.credential)
    minted = await world.token.mint("n", None)
    assert await world.token.verify(minted.token, minted.secret) == Accepted()
    world.gateway = True
    verdict = await world.token.verify(minted.token, minted.secret)
    assert isinstance(verdict, Unknown)
    assert "everybody is refused there now" in verdict.reason
    await world.server.aclose()


@forms
@pytest.mark.parametrize("gateways", [401, 403])
@pytest.mark.parametrize("options", [{}, REFRESH], ids=["secret", "refresh"])
@pytest.mark.parametrize("before", [True, False], ids=["accepted before", "never accepted"])
async def test_a_gateway_that_refuses_everybody_in_another_way_than_the_target_condemns_nothing(
    clock: HandClock, form: tuple[int, bytes], gateways: int, options: dict[str, Any], before: bool
) -> None:
    if gateways == form[0] or (gateways, before) == (401, False):
        return  # in the target's own words; or a 401, before the target's own are known
    world = Oauth(clock, form, **options)
    await world.server.control(world.credential)
    minted = await world.token.mint("n", None)
    assert not before or await world.token.verify(minted.token, minted.secret) == Accepted()
    world.gateway, world.gateways = True, (gateways, b"{}")
    verdict = await world.token.verify(minted.token, minted.secret)
    assert isinstance(verdict, Unknown)
    assert "everybody is refused there now" in verdict.reason
    assert await world.server.refusals.dead(world.server.probe_call(world.credential.options), minted.secret) is None
    await world.server.aclose()


async def test_a_403_that_others_do_not_get_is_a_right_that_is_missing(clock: HandClock) -> None:
    world = Oauth(clock, FORMS["401"])
    await world.server.control(world.credential)
    minted = await world.token.mint("n", None)
    assert await world.token.verify(minted.token, minted.secret) == Accepted()
    world.lacking = {minted.secret.reveal()}
    verdict = await world.token.verify(minted.token, minted.secret)
    assert isinstance(verdict, Rejected)
    assert verdict.final
    await world.server.aclose()


@forms
async def test_what_a_refresh_gave_just_now_is_not_burned_for_a_gateway(
    clock: HandClock, form: tuple[int, bytes]
) -> None:
    world = Oauth(clock, form, **REFRESH)
    await world.server.control(world.credential)
    old = await world.token.mint("n", None)
    assert await world.token.verify(old.token, old.secret) == Accepted()
    new = await world.token.mint("m", None)
    world.living.discard("t1")  # as Hydra, Spring and django-oauth-toolkit do
    world.gateway = True
    verdict = await world.token.verify(new.token, new.secret)
    assert isinstance(verdict, Unknown)
    assert "the token endpoint gave it" in verdict.reason
    clock.move(3600)
    assert isinstance(await world.token.verify(new.token, new.secret), Rejected), "it has had its time"
    await world.server.aclose()


async def test_one_that_never_opened_the_probe_is_refused_for_itself(clock: HandClock) -> None:
    world = Oauth(clock, FORMS["401"])
    await world.server.control(world.credential)
    world.gateway = True  # or a scope is missing
    minted = await world.token.mint("n", None)
    assert isinstance(await world.token.verify(minted.token, minted.secret), Rejected)
    await world.server.aclose()


@pytest.mark.parametrize("status", [400, 500])
async def test_where_no_other_token_can_be_had_that_is_said_or_nothing_is(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    world = Oauth(clock, FORMS["401"])
    minted = await world.token.mint("n", None)
    assert await world.token.verify(minted.token, minted.secret) == Accepted()
    world.living.clear()

    async def exchange(*_: object, **__: object) -> Granted:
        raise ClientDenied(400, "invalid_client") if status == 400 else Transient("500")

    monkeypatch.setattr(world.server, "exchange", exchange)
    verdict = await world.token.verify(minted.token, minted.secret)
    assert isinstance(verdict, Rejected if status == 400 else Unknown)
    assert "no other value is known" in verdict.reason or status == 500
    await world.server.aclose()


async def test_a_value_that_has_expired_is_no_measure(clock: HandClock) -> None:
    control = PositiveControl(clock.monotonic)

    async def show() -> bool:
        raise AssertionError

    control.accepted("one", GOOD, show, 60)
    clock.move(60)
    assert await control.refused("two", DEAD) is None
    assert await control.refused("one", DEAD) is None


class Halo:
    """A Halo CMS, or what stands in front of it, which knows these values."""

    def __init__(self) -> None:
        self.living: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"].removeprefix("Bearer ") in self.living:
            return httpx.Response(
                404, stream=httpx.ByteStream(b"{}"), headers={"content-type": "application/problem+json"}
            )
        return httpx.Response(401, stream=httpx.ByteStream(b""), headers={"www-authenticate": "Bearer"})


@pytest.mark.parametrize(("living", "said"), [({"pat_the.minter.s"}, Rejected), (set(), Unknown)])
async def test_a_pat_is_refused_for_itself_only_while_the_minter_is_not(
    clock: HandClock, living: set[str], said: type[Verdict]
) -> None:
    peer = Halo()
    peer.living = living
    minter = Bearer(Secret("pat_the.minter.s"))
    site = await halo.open_site("https://blog.example", minter, clock, httpx.MockTransport(peer))
    pat = HaloPat(site, HaloPatOptions())
    assert isinstance(await pat.verify(Token("pat-1", "n"), Secret("pat_a.b.c")), said)
    await site.aclose()
