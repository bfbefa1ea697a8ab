"""The contract of the Provider port: what the engine may rely on, held by the fakes and by every real kind.

Real kinds run against the sandbox on loopback, once for each release that behaves differently.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import pytest

from rotator.ports import (
    Accepted,
    Duplicate,
    Inspection,
    Outcome,
    Provider,
    Refused,
    Rejected,
    SupportsIdentify,
    Transient,
    Unknown,
)
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.kinds import Kind
from tests.kit.provider import FakeProvider, Target, When
from tests.model.simulation.driven import Client, DrivenProvider
from tests.unit.providers import halo

pytestmark = pytest.mark.anyio

STEM = "rotator-lab1-blog-c0ffee"
JUNK = "pat_canary.of-no.value"
BASE = ("named fake", "nameless fake")
SIMULATED = ("named, simulated", "nameless, simulated")


class Trouble(Protocol):
    """Arms one failure: the next call of this verb is lost, before or after its effect."""

    def __call__(self, verb: str, *, after: bool) -> None: ...


@dataclass
class Bench:
    """A provider under test, with the truth about its target."""

    provider: Provider
    named: bool
    clock: HandClock
    accepts: Callable[[Secret], bool]
    living: Callable[[], set[str]]
    lose: Trouble
    remove: Callable[[Token], None]


def fake_bench(clock: HandClock, *, named: bool) -> Bench:
    target = Target(clock.now, named=named)

    def lose(verb: str, *, after: bool) -> None:
        target.fail(verb, when=When.AFTER if after else When.BEFORE)

    return Bench(
        FakeProvider(target),
        named,
        clock,
        target.accepts,
        lambda: {token.id for token in target.living()},
        lose,
        target.remove,
    )


def simulated_bench(*, named: bool) -> Bench:
    client = Client(named=named)
    provider = DrivenProvider(client, Kind.TOKENS)
    tokens = provider.target.tokens

    def remove(token: Token) -> None:
        tokens[token.id].deleted, tokens[token.id].ended = True, "person"

    living = lambda: {each.id for each in tokens.values() if provider.target.alive(each)}  # noqa: E731 (it is passed on)
    return Bench(provider, named, client, provider.accepts, living, client.lose, remove)


METHODS = {"mint": "POST", "find": "GET", "verify": "GET", "inspect": "GET", "revoke": "PUT", "restore": "PUT"}


def halo_bench(world: halo.World) -> Bench:
    model = world.halo.model

    def lose(verb: str, *, after: bool) -> None:
        world.halo.faults.add("drop", when="after" if after else "before", method=METHODS[verb])

    return Bench(
        world.pat(),
        model.traits.keeps_metadata,
        world.clock,
        model.accepts,
        lambda: set(model.live_tokens()) - {"minter-pat"},
        lose,
        lambda token: model.records.delete(model.records.get(token.id)),
    )


@pytest.fixture(params=[*BASE, *SIMULATED, *halo.VERSIONS])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock = HandClock()
    if request.param in BASE:
        yield fake_bench(clock, named=request.param == "named fake")
    elif request.param in SIMULATED:
        yield simulated_bench(named=request.param == "named, simulated")
    else:
        async with halo.running(request.param, clock) as world:
            yield halo_bench(world)


def ids(tokens: tuple[Token, ...]) -> set[str]:
    return {token.id for token in tokens}


async def test_a_minted_token_is_accepted_and_carries_the_name_it_was_minted_under(bench: Bench) -> None:
    expires_at = bench.clock.now() + timedelta(days=30)
    minted = await bench.provider.mint(f"{STEM}-r1-a1", expires_at)
    assert bench.accepts(minted.secret)
    assert bench.living() == {minted.token.id}
    assert minted.token.name == f"{STEM}-r1-a1"
    assert (minted.token.id == minted.token.name) == bench.named
    assert minted.token.serial
    assert minted.token.expires_at == expires_at
    assert minted.token.issued_at == bench.clock.now()


async def test_a_name_cannot_be_minted_twice_where_names_are_kept_and_is_found_twice_elsewhere(bench: Bench) -> None:
    first = await bench.provider.mint(f"{STEM}-r1-a1", None)
    if bench.named:
        with pytest.raises(Duplicate):
            await bench.provider.mint(f"{STEM}-r1-a1", None)
        assert bench.living() == {first.token.id}
        return
    second = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert first.token.id != second.token.id
    assert ids(await bench.provider.find(f"{STEM}-r1-a1")) == {first.token.id, second.token.id} == bench.living()


async def test_named_mint_is_declared_once_a_mint_has_shown_it(bench: Bench) -> None:
    await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert bench.provider.capabilities.takes_token_name == bench.named


async def test_a_revoked_name_stays_taken_where_names_are_kept(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    await bench.provider.revoke(minted.token)
    if bench.named:
        with pytest.raises(Duplicate):
            await bench.provider.mint(f"{STEM}-r1-a1", None)
        assert bench.living() == set()


async def test_what_is_found_equals_what_was_minted(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", bench.clock.now() + timedelta(days=1))
    assert await bench.provider.find(f"{STEM}-r1-a1") == (minted.token,)


async def test_a_name_finds_its_own_tokens_and_not_those_of_a_longer_number(bench: Bench) -> None:
    names = [f"{STEM}-r1-a1", f"{STEM}-r1-a12", f"{STEM}-r12-a1"]
    minted = {name: (await bench.provider.mint(name, None)).token for name in names}
    assert ids(await bench.provider.find(f"{STEM}-r1-a1")) == {minted[names[0]].id}
    assert ids(await bench.provider.find(f"{STEM}-r1")) == {minted[names[0]].id, minted[names[1]].id}
    assert ids(await bench.provider.find(STEM)) == bench.living()
    assert {token.name for token in await bench.provider.find(STEM)} == set(names)


async def test_strangers_and_revoked_tokens_are_not_found(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.find("rotator-lab1-shop-c0ffee") == ()
    assert await bench.provider.find("rotator-lab1-shop-c0ffee-r1-a1") == ()
    await bench.provider.revoke(minted.token)
    assert await bench.provider.find(STEM) == ()
    assert await bench.provider.find(f"{STEM}-r1-a1") == ()


async def test_a_deleted_token_is_neither_found_nor_there(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    bench.remove(minted.token)
    assert await bench.provider.find(f"{STEM}-r1-a1") == ()
    assert not (await bench.provider.inspect(minted.token)).exists


async def test_proof_accepts_the_very_secret_of_the_token(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.verify(minted.token, minted.secret) == Accepted()


async def test_proof_rejects_another_tokens_secret_for_good(bench: Bench) -> None:
    one = await bench.provider.mint(f"{STEM}-r1-a1", None)
    two = await bench.provider.mint(f"{STEM}-r1-a2", None)
    verdict = await bench.provider.verify(one.token, two.secret)
    assert isinstance(verdict, Rejected)
    assert verdict.final
    assert "token" in verdict.reason or "record" in verdict.reason


async def test_proof_rejects_junk_but_not_for_good(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    verdict = await bench.provider.verify(minted.token, Secret(JUNK))
    assert isinstance(verdict, Rejected)
    assert not verdict.final
    assert JUNK not in verdict.reason


async def test_proof_rejects_a_revoked_token_and_accepts_it_when_restored(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    await bench.provider.revoke(minted.token)
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Rejected)
    assert await bench.provider.restore(minted.token) is Outcome.DONE
    assert await bench.provider.verify(minted.token, minted.secret) == Accepted()
    assert bench.accepts(minted.secret)


async def test_revoking_is_done_once_and_already_ever_after(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.revoke(minted.token) is Outcome.DONE
    assert not bench.accepts(minted.secret)
    assert await bench.provider.revoke(minted.token) is Outcome.ALREADY
    bench.remove(minted.token)
    assert await bench.provider.revoke(minted.token) is Outcome.ALREADY


async def test_revoking_one_token_leaves_the_others_alone(bench: Bench) -> None:
    one = await bench.provider.mint(f"{STEM}-r1-a1", None)
    two = await bench.provider.mint(f"{STEM}-r2-a1", None)
    await bench.provider.revoke(one.token)
    assert bench.living() == {two.token.id}


async def test_revoking_what_never_was_is_already(bench: Bench) -> None:
    assert await bench.provider.revoke(Token("rotator-lab1-blog-c0ffee-r9-a9")) is Outcome.ALREADY


async def test_restoring_what_lives_is_already_and_what_is_gone_is_refused(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.restore(minted.token) is Outcome.ALREADY
    bench.remove(minted.token)
    with pytest.raises(Refused):
        await bench.provider.restore(minted.token)


async def test_inspection_tells_expiry_and_revocation(bench: Bench) -> None:
    expires_at = bench.clock.now() + timedelta(days=30)
    minted = await bench.provider.mint(f"{STEM}-r1-a1", expires_at)
    assert await bench.provider.inspect(minted.token) == Inspection(True, expires_at=expires_at)
    await bench.provider.revoke(minted.token)
    seen = await bench.provider.inspect(minted.token)
    assert (seen.exists, seen.revoked, seen.revoked_at) == (True, True, bench.clock.now())


async def test_inspection_tells_the_last_use_and_is_no_use_itself(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert (await bench.provider.inspect(minted.token)).last_used is None
    used_at = bench.clock.now()
    await bench.provider.verify(minted.token, minted.secret)
    bench.clock.move(3600)
    assert (await bench.provider.inspect(minted.token)).last_used == used_at


async def test_what_never_was_does_not_exist(bench: Bench) -> None:
    assert await bench.provider.inspect(Token("rotator-lab1-blog-c0ffee-r9-a9")) == Inspection(exists=False)


async def test_death_is_told_with_and_without_the_secret(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.is_dead(minted.token, minted.secret) is False
    assert await bench.provider.is_dead(minted.token, None) is False
    await bench.provider.revoke(minted.token)
    assert await bench.provider.is_dead(minted.token, minted.secret) is True
    assert await bench.provider.is_dead(minted.token, None) is True
    bench.remove(minted.token)
    bench.clock.move(60)
    assert await bench.provider.is_dead(minted.token, minted.secret) is True
    assert await bench.provider.is_dead(minted.token, None) is True


async def test_an_expired_token_is_dead_a_while_later(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", bench.clock.now() + timedelta(minutes=1))
    bench.clock.move(180)
    assert await bench.provider.is_dead(minted.token, minted.secret) is True
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Rejected)


async def test_a_mint_whose_answer_is_lost_is_found_by_its_name_and_can_be_burned(bench: Bench) -> None:
    bench.lose("mint", after=True)
    with pytest.raises(Transient):
        await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert len(bench.living()) == 1
    found = await bench.provider.find(f"{STEM}-r1-a1")
    assert ids(found) == bench.living()
    assert [await bench.provider.revoke(token) for token in found] == [Outcome.DONE]
    assert bench.living() == set()


async def test_a_mint_that_never_arrived_leaves_nothing_to_find(bench: Bench) -> None:
    bench.lose("mint", after=False)
    with pytest.raises(Transient):
        await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.find(f"{STEM}-r1-a1") == ()
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert bench.living() == {minted.token.id}


@pytest.mark.parametrize("after", [False, True])
async def test_a_revocation_whose_answer_is_lost_can_be_repeated(bench: Bench, after: bool) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    bench.lose("revoke", after=after)
    with pytest.raises(Transient):
        await bench.provider.revoke(minted.token)
    assert bench.accepts(minted.secret) is not after
    assert await bench.provider.revoke(minted.token) is (Outcome.ALREADY if after else Outcome.DONE)
    assert not bench.accepts(minted.secret)


async def test_a_proof_without_an_answer_is_unknown(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    bench.lose("verify", after=True)
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Unknown)
    assert await bench.provider.verify(minted.token, minted.secret) == Accepted()


@pytest.mark.parametrize("verb", ["find", "inspect"])
async def test_a_question_without_an_answer_is_a_transient_fault(bench: Bench, verb: str) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    bench.lose(verb, after=True)
    with pytest.raises(Transient):
        await (bench.provider.find(STEM) if verb == "find" else bench.provider.inspect(minted.token))


async def test_a_value_says_whose_it_is_and_one_that_is_unknown_is_refused(bench: Bench) -> None:
    assert isinstance(bench.provider, SupportsIdentify)
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert await bench.provider.identify(minted.secret) == minted.token
    with pytest.raises(Refused):
        await bench.provider.identify(Secret(JUNK))
    await bench.provider.revoke(minted.token)
    with pytest.raises(Refused):
        await bench.provider.identify(minted.secret)
    other = await bench.provider.mint(f"{STEM}-r2-a1", None)
    bench.remove(other.token)
    with pytest.raises(Refused):
        await bench.provider.identify(other.secret)
