"""A refusal is a target's word on a value only while something else is accepted there."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Rejected, Unknown, Verdict
from rotator.providers.halo_cms.config import HaloPatOptions
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import HttpClient
from rotator.providers.manual.config import ManualOptions, ManualTargetConfig
from rotator.providers.manual.provider import ManualServer, ManualToken
from rotator.providers.positive_control import PositiveControl
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import halo

pytestmark = pytest.mark.anyio

GOOD, OTHER, DEAD = Secret("good"), Secret("canary-of-another"), Secret("dead")


class Site:
    """A target behind a gateway that answers 401 to everybody when it is told to."""

    def __init__(self, clock: HandClock) -> None:
        self.living, self.gateway = {"good", "canary-of-another"}, False
        self.form = {"content-type": "application/json", "www-authenticate": "Bearer"}
        keys = ManualTargetConfig(url="https://hub.example")
        self.server = ManualServer(HttpClient("hub", keys, clock, no_password, httpx.MockTransport(self._answer)))
        self.calls = 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        status = 200 if value in self.living and not self.gateway else 401
        own = {"content-type": "application/json", "www-authenticate": "Bearer"}
        return httpx.Response(status, stream=httpx.ByteStream(b"{}"), headers=self.form if self.gateway else own)

    def tool(self, name: str) -> ManualToken:
        return ManualToken(self.server, ManualOptions(instructions="click", probe="/me"), name)


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
    assert not await control.refused("one", GOOD)
    clock.move(1800)
    assert not await control.refused("two", OTHER)
    clock.move(1801)
    assert await control.refused("one", GOOD)
    assert await control.refused("three", DEAD)


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
