"""What a person brings: the proof is the probe's, the clicks are theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, NeedsPerson, Refused, Rejected, SupportsSupply, Unknown
from rotator.providers import KINDS
from rotator.providers.http.client import HttpClient
from rotator.providers.manual.config import ManualOptions, ManualTargetConfig
from rotator.providers.manual.provider import ManualServer, ManualToken
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk
from tests.unit.providers.halo import ROLE, VERSIONS, World, running

pytestmark = pytest.mark.anyio

PATS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
CLICKS = "Users, bot, New token"
GIVEN: dict[str, Any] = {"instructions": CLICKS, "probe": PATS}


def credential(**options: Any) -> Credential:
    return Credential(
        "tool", "manual", "tool", VaultPath("secret", "tool"), options=ManualOptions(**{**GIVEN, **options})
    )


@pytest.fixture
async def halo() -> AsyncIterator[World]:
    async with running(VERSIONS[0], HandClock()) as world:
        yield world


@pytest.fixture
async def site(halo: World) -> AsyncIterator[ManualServer]:
    keys = ManualTargetConfig(url=halo.halo.url)
    opened = KINDS["manual"].open_target("tool", keys, None, desk.Keys(), halo.clock)  # type: ignore[arg-type]  # nobody mints
    assert isinstance(opened, ManualServer)
    yield opened
    await opened.aclose()


def bound(site: ManualServer, **options: Any) -> ManualToken:
    made = KINDS["manual"].bind(site, credential(**options))
    assert isinstance(made, ManualToken)
    return made


def by_hand(halo: World, role: str = "super-role") -> Secret:
    return halo.halo.model.mint("minter", name=f"hand-{len(halo.halo.calls.since(0))}", roles=[role])


async def test_a_mint_asks_a_person_in_the_words_of_the_settings(site: ManualServer) -> None:
    with pytest.raises(NeedsPerson, match=f"{CLICKS}; then hand it over: rotate supply tool"):
        await bound(site).mint("n", None)


async def test_what_is_brought_is_proven_by_the_probe(halo: World, site: ManualServer) -> None:
    tool = bound(site)
    assert isinstance(tool, SupportsSupply)
    end = halo.clock.now() + timedelta(days=90)
    minted = await tool.receive("n-r1-a1", by_hand(halo), end)
    assert (minted.token.id, minted.token.expires_at) == ("n-r1-a1", end)
    assert isinstance(await tool.verify(minted.token, minted.secret), Accepted)


@pytest.mark.parametrize(
    ("options", "value", "said", "final"),
    [
        ({}, "canary-no-such-token", "refuses the token", False),
        ({"prefix": "Token "}, "", "refuses the token", False),
        ({}, "canary with\nlines", "", True),
        ({"identity": {"kind": "something else"}}, "", "another identity: kind", True),
    ],
)
async def test_what_does_not_fit_is_rejected(
    halo: World, site: ManualServer, options: dict[str, Any], value: str, said: str, final: bool
) -> None:
    tool = bound(site, **options)
    verdict = await tool.verify(Token("n"), Secret(value) if value else by_hand(halo))
    assert isinstance(verdict, Rejected)
    assert (said in verdict.reason, verdict.final) == (True, final)


async def test_a_token_without_the_right_is_accepted_and_yet_no_good(halo: World, site: ManualServer) -> None:
    tool = bound(site, probe="/apis/console.api.security.halo.run/v1alpha1/users")
    verdict = await tool.verify(Token("n"), by_hand(halo, ROLE))
    assert verdict == Rejected("the probe answers 403: accepted, but scope or role lacks the right for it", final=True)


async def test_a_probe_that_is_not_there_says_nothing(halo: World, site: ManualServer) -> None:
    verdict = await bound(site, probe="/apis/no.such.group/v1/things").verify(Token("n"), by_hand(halo))
    assert isinstance(verdict, Unknown)


async def test_the_control_refuses_a_probe_that_accepts_anyone(site: ManualServer) -> None:
    await site.control(credential())
    with pytest.raises(Refused, match="accepts anyone"):
        await site.control(credential(probe="/actuator/health"))


@pytest.mark.parametrize(
    ("dead", "options"),
    [
        ((403, b'{"message": "Forbidden"}'), {}),  # JupyterHub 6.1.1
        ((400, b'{"errors": ["invalid secret id"]}'), {}),  # an AppRole of Vault
        ((200, b'{"valid": false}'), {"identity": {"valid": True}}),  # SonarQube
    ],
)
async def test_a_dead_token_is_refused_in_the_words_for_one_that_nobody_has(
    clock: HandClock, dead: tuple[int, bytes], options: dict[str, Any]
) -> None:
    async def peer(request: httpx.Request) -> httpx.Response:
        good = request.headers.get("authorization") in ("Bearer good", "Bearer poor")
        status, body = (200, b'{"valid": true}') if good else dead
        if request.headers.get("authorization") == "Bearer poor":
            status, body = 402, b"{}"
        return httpx.Response(status, stream=httpx.ByteStream(body), headers={"content-type": "application/json"})

    keys = ManualTargetConfig(url="https://hub.example")
    site = ManualServer(HttpClient("hub", keys, clock, no_password, httpx.MockTransport(peer)), no_password)
    await site.control(credential(**options))
    tool = bound(site, **options)
    assert await tool.verify(Token("n"), Secret("good")) == Accepted()
    assert await tool.is_dead(Token("n"), Secret("gone")) is True
    assert await tool.is_dead(Token("n"), Secret("good")) is False
    assert await tool.is_dead(Token("n"), Secret("poor")) is None
    await site.aclose()


async def test_a_gateway_in_trouble_kills_no_token(clock: HandClock) -> None:
    gateway = True

    async def peer(request: httpx.Request) -> httpx.Response:
        good = request.headers.get("authorization") == "Bearer good"
        status = 400 if gateway else 200 if good else 403
        return httpx.Response(status, stream=httpx.ByteStream(b"{}"), headers={"content-type": "application/json"})

    keys = ManualTargetConfig(url="https://hub.example")
    site = ManualServer(HttpClient("hub", keys, clock, no_password, httpx.MockTransport(peer)), no_password)
    tool = bound(site)
    assert await tool.is_dead(Token("n"), Secret("good")) is None, "nothing is known yet, and it is not asked now"
    await site.control(credential())  # it learns the gateway's word
    gateway = False
    assert await tool.verify(Token("n"), Secret("good")) == Accepted()
    assert await tool.is_dead(Token("n"), Secret("gone")) is True
    gateway = True
    assert await tool.is_dead(Token("n"), Secret("good")) is None
    await site.aclose()


async def test_its_end_is_a_persons_and_proven_by_the_probe(halo: World, site: ManualServer) -> None:
    tool, value = bound(site), by_hand(halo)
    with pytest.raises(NeedsPerson, match="where you made it"):
        await tool.revoke(Token("n"))
    assert await tool.is_dead(Token("n"), value) is False
    assert await tool.is_dead(Token("n"), Secret("canary-dead-token-55")) is True
    assert await tool.is_dead(Token("n"), None) is None
    assert (await tool.inspect(Token("n"))).expires_at is None
    assert await tool.find("n") == ()
    assert not tool.capabilities.can_revoke
    for refused in (tool.restore(Token("n")), tool.install(await tool.receive("n", value, None))):
        with pytest.raises(Refused):
            await refused


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"instructions": " "}, "instructions must not be empty"),
        ({"probe": "api"}, "probe is a path"),
        ({"header": "X Y"}, "header is the name"),
        ({"prefix": "ä"}, "prefix is plain"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ManualOptions(**{**GIVEN, **keys})


def test_check_warns_of_what_nobody_will_know() -> None:
    lax = credential()
    lax = Credential(lax.name, lax.kind, lax.target, lax.place, lifetime=None, options=lax.options)
    assert len(KINDS["manual"].warnings(lax, ManualTargetConfig(url="https://tool.example"))) == 2
