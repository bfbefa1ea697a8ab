"""A dead proof is told what a stranger is told; and what a server in trouble tells everybody proves nothing dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import httpx
import pytest

from rotator.ports import Accepted, Fault, Minted, Refused, Rejected, Transient, Unknown, Verdict
from rotator.providers.http.client import HttpClient
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.signing import LocalSigner
from rotator.providers.manual.config import ManualOptions, ManualTargetConfig
from rotator.providers.manual.provider import ManualServer, ManualToken
from rotator.providers.oauth import server_checks
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted
from rotator.providers.refusals import Strangers, Throttle
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk

pytestmark = pytest.mark.anyio

SET: dict[str, Any] = {"signing_key": None, "client_secret": None, "algorithm": "ES256", "jwks": "secret/jwks"}
HOUR = 3600


async def asked(answers: list[str]) -> str:
    return answers.pop(0)


async def test_what_is_heard_beside_a_sound_proof_replaces_what_the_control_heard_and_not_the_other_way_round() -> None:
    clock = HandClock()
    strangers: Strangers[str] = Strangers(clock.monotonic)
    assert strangers.answer("a") is None
    strangers.controlled("a", "trouble")
    assert strangers.answer("a") == "trouble"
    answers = ["own word", "new word"]
    await strangers.accepted("a", lambda: asked(answers))
    strangers.controlled("a", "trouble again")
    await strangers.accepted("a", lambda: asked(answers))
    assert (strangers.answer("a"), strangers.answer("b")) == ("own word", None)
    clock.move(HOUR)
    await strangers.accepted("a", lambda: asked(answers))
    assert strangers.answer("a") == "new word", "the server was replaced perhaps"


def test_pauses_grow_and_begin_anew_for_another_matter() -> None:
    clock = HandClock()
    pauses, shown = Throttle(clock.monotonic), []
    for second in range(2 * HOUR):
        if pauses.due("client", "old key"):
            shown.append(second)
        clock.move(1)
    assert shown[:5] == [0, 10, 30, 70, 150]
    assert len(shown) <= 11
    assert pauses.due("client", "another key")
    assert not pauses.due("client", "another key")


@pytest.fixture
async def hydra() -> AsyncIterator[desk.Desk]:
    async with desk.running("hydra", HandClock()) as world:
        world.client.public_key = world.client.kid = ""
        world.client.jwks = lambda: str(world.keys.document_store("secret/jwks").values.get("jwks", ""))
        yield world


async def installed(world: desk.Desk) -> tuple[Any, Minted]:
    bound = world.bound("assertion-key", **SET)
    minted: Minted = await bound.mint("rotator-lab1-crm-c0ffee-r1-a1", None)
    await bound.install(minted)
    return bound, minted


async def test_a_key_that_left_is_proven_dead_by_what_strangers_are_told(hydra: desk.Desk) -> None:
    bound, old = await installed(hydra)
    _, new = await installed(hydra)
    for each in (old, new):
        assert await bound.verify(each.token, each.secret) == Accepted()
    await bound.revoke(old.token)
    hydra.clock.move(HOUR)
    assert await bound.is_dead(old.token, old.secret) is True
    assert await bound.verify(new.token, new.secret) == Accepted()


@pytest.mark.parametrize("status", [400, 403])
async def test_a_gateway_that_refuses_everybody_proves_no_key_dead(hydra: desk.Desk, status: int) -> None:
    bound, old = await installed(hydra)
    assert await bound.verify(old.token, old.secret) == Accepted()
    await bound.revoke(old.token)
    hydra.itsm.faults.add("status", status=status, path="/auth/token", times=100)
    assert await bound.is_dead(old.token, old.secret) is None


async def test_a_server_that_says_to_everybody_what_it_said_in_trouble_proves_no_key_dead(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control met it in trouble; then it was well, then in trouble again."""
    async with desk.running("keycloak", clock) as world:
        world.client.public_key = world.client.kid = ""
        world.client.jwks = lambda: str(world.keys.document_store("secret/jwks").values.get("jwks", ""))
        bound, old = await installed(world)
        with in_trouble(world.server, monkeypatch):
            await world.server.control(world.credential("assertion-key", **SET))
        assert await bound.verify(old.token, old.secret) == Accepted()
        await bound.revoke(old.token)
        with in_trouble(world.server, monkeypatch):
            await world.server.control(world.credential("assertion-key", **SET))
            assert await bound.is_dead(old.token, old.secret) is None


@contextmanager
def in_trouble(site: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It refuses everybody, in a registered word."""

    async def exchange(*_: object, **__: object) -> Granted:
        raise ClientDenied(400, "invalid_request")

    with monkeypatch.context() as patched:
        patched.setattr(site, "exchange", exchange)
        yield


async def test_while_an_old_key_is_still_taken_one_stranger_is_shown_and_that_seldom(
    hydra: desk.Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LocalSigner] = []
    real = server_checks.new_stranger

    def counted(algorithm: Algorithm) -> LocalSigner:
        made.append(real(algorithm))
        return made[-1]

    monkeypatch.setattr(server_checks, "new_stranger", counted)
    hydra.itsm.model.change(jwks_cache=inf, jwks_asks_again=False)
    bound, old = await installed(hydra)
    assert await bound.verify(old.token, old.secret) == Accepted()
    await bound.revoke(old.token)
    before = hydra.exchanges()
    for _ in range(20):  # ten minutes of tries
        assert await bound.is_dead(old.token, old.secret) is False
        hydra.clock.move(30)
    strangers_shown = hydra.exchanges() - before - 20
    assert len(made) == 1
    assert strangers_shown <= 2 * 6, "each is followed by another look at the old key"


async def test_a_candidate_that_is_refused_as_all_strangers_are_now_is_not_thrown_away(hydra: desk.Desk) -> None:
    bound, new = await installed(hydra)
    hydra.client.jwks = lambda: '{"keys": []}'  # it has not read the set yet
    verdict = await bound.verify(new.token, new.secret)
    assert isinstance(verdict, Rejected)
    assert not verdict.final
    assert "invalid_request" in verdict.reason


async def test_a_control_that_meets_a_gateway_does_not_unlearn_what_was_heard_beside_an_accepted_value() -> None:
    gateway, clock = False, HandClock()

    async def peer(request: httpx.Request) -> httpx.Response:
        good = request.headers.get("authorization") == "Bearer good"
        status = 400 if gateway else 200 if good else 403
        return httpx.Response(status, stream=httpx.ByteStream(b"{}"), headers={"content-type": "application/json"})

    keys = ManualTargetConfig(url="https://hub.example")
    site = ManualServer(HttpClient("hub", keys, clock, no_password, httpx.MockTransport(peer)), no_password)
    options = ManualOptions(instructions="click", probe="/me")
    tool = ManualToken(site, options, "tool")
    assert await tool.verify(Token("n"), Secret("good")) == Accepted()
    gateway = True
    await site.control(Credential("other", "manual", "hub", VaultPath("secret", "other"), options=options))
    assert await tool.is_dead(Token("n"), Secret("good")) is None, "the gateway says so to everybody"
    gateway = False
    assert await tool.is_dead(Token("n"), Secret("gone")) is True
    await site.aclose()


@pytest.mark.parametrize(
    ("fault", "verdict"), [(Transient("lost"), Accepted()), (Refused("anyone"), Unknown("anyone"))]
)
async def test_a_lost_answer_to_a_stranger_costs_no_proof_and_an_accepted_stranger_does(
    hydra: desk.Desk, monkeypatch: pytest.MonkeyPatch, fault: Fault, verdict: Verdict
) -> None:
    async def met(client: object) -> None:
        raise fault

    bound, new = await installed(hydra)
    monkeypatch.setattr(hydra.server.invalid_proofs, "accepted", met)
    assert await bound.verify(new.token, new.secret) == verdict
