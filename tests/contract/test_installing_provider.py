"""The Provider port for kinds that install: a value is made here, put on the target later, written over at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from rotator.ports import Accepted, Inspection, Minted, Outcome, Provider, Refused, Rejected, Transient, Unknown
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.kinds import Kind
from tests.kit.slots import SlotProvider, Slots
from tests.model.simulation.driven import Client, DrivenProvider
from tests.unit.providers import back_office

pytestmark = pytest.mark.anyio

STEM = "rotator-lab1-crm-c0ffee"
ONE, TWO = "halo-client-secret", "halo-client-secret, two applications"
PAIR, TRANSIT = "halo-assertion-key", ", in Transit"
PAIRS = (PAIR, f"{PAIR}, two applications")
REAL = ("halo-api-key", ONE, TWO, *PAIRS, *(f"{each}{TRANSIT}" for each in PAIRS))
FAKES = ("one slot", "two slots")
SIMULATED = {"one slot, simulated": Kind.ONE_SLOT, "two slots, simulated": Kind.TWO_SLOTS}


@dataclass
class Bench:
    """A provider under test, with the truth about its target. `office` None: a fake."""

    provider: Provider
    clock: HandClock
    accepts: Callable[[Secret], bool]
    office: back_office.Office | None = None
    transit: bool = False

    @property
    def overlap(self) -> bool:
        return self.provider.capabilities.overlap

    async def published(self, rotation: int, *keep: Token) -> Minted:
        """What a rotation has come to, once its value is installed."""
        minted = await self.provider.mint(f"{STEM}-r{rotation}-a1", None, keep)
        self.clock.move(1)
        return Minted(await self.provider.install(minted), minted.secret, minted.fields)


@pytest.fixture(params=[*FAKES, *SIMULATED, *REAL])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock = HandClock()
    if request.param in FAKES:
        target = Slots(clock.now, number=1 + (request.param == "two slots"))
        yield Bench(SlotProvider(target), clock, target.accepts)
        return
    if request.param in SIMULATED:
        client = Client()
        provider = DrivenProvider(client, SIMULATED[request.param])
        yield Bench(provider, client, provider.accepts)
        return
    transit = request.param.endswith(TRANSIT)
    kind, _, two = request.param.removesuffix(TRANSIT).partition(", ")
    key = {"transit_key": "transit/crm"} if transit else {}
    async with back_office.running(clock, kind) as office:
        yield Bench(office.bound(kind, two=bool(two), **key), clock, office.accepts, office, transit)


async def test_minting_makes_a_value_and_the_target_hears_nothing_of_it(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    assert bench.provider.capabilities.needs_install
    assert minted.token.name == f"{STEM}-r1-a1"
    assert not bench.accepts(minted.secret)
    assert isinstance(await bench.provider.verify(minted.token, minted.secret), Rejected)
    assert bench.office is None or bench.office.posts() == 0


async def test_no_two_mints_have_a_value_or_an_id_in_common(bench: Bench) -> None:
    one = await bench.provider.mint(f"{STEM}-r1-a1", None)
    two = await bench.provider.mint(f"{STEM}-r1-a2", None)
    assert one.token.id != two.token.id
    assert bench.office is None or one.secret.matches(two.secret) == bench.transit  # nobody was told of it: it is new


async def test_what_is_installed_is_accepted_and_dated(bench: Bench) -> None:
    first = await bench.published(1)
    assert bench.accepts(first.secret)
    assert first.token.issued_at == bench.clock.now()
    assert await bench.provider.verify(first.token, first.secret) == Accepted()
    assert (await bench.provider.inspect(first.token)).exists


async def test_installing_twice_is_installing_once(bench: Bench) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    token = await bench.provider.install(minted)
    again = await bench.provider.install(minted)
    assert (again.id, again.serial) == (token.id, token.serial)
    assert bench.accepts(minted.secret)


async def test_with_one_slot_the_old_value_ends_and_with_two_it_lives_on(bench: Bench) -> None:
    first = await bench.published(1)
    second = await bench.published(2, first.token)
    assert bench.accepts(second.secret)
    assert bench.accepts(first.secret) == bench.overlap
    assert await bench.provider.is_dead(first.token, first.secret) is not bench.overlap


async def test_a_retired_value_is_dead_and_its_successor_is_not(bench: Bench) -> None:
    first = await bench.published(1)
    second = await bench.published(2, first.token)
    assert await bench.provider.revoke(first.token) is (Outcome.DONE if bench.overlap else Outcome.ALREADY)
    assert not bench.accepts(first.secret)
    assert bench.accepts(second.secret)
    assert await bench.provider.is_dead(first.token, first.secret) is True
    assert await bench.provider.verify(second.token, second.secret) == Accepted()
    with pytest.raises(Refused):
        await bench.provider.restore(first.token)


async def test_three_rotations_in_a_row_find_a_slot_each_time_and_end_with_one_living_value(bench: Bench) -> None:
    current = await bench.published(1)
    for rotation in (2, 3, 4):
        before, current = current, await bench.published(rotation, current.token)
        await bench.provider.revoke(before.token)
        assert await bench.provider.is_dead(before.token, before.secret) is True
    assert bench.accepts(current.secret)


async def test_a_value_that_was_written_over_is_put_back_by_installing_it_again(bench: Bench) -> None:
    first = await bench.published(1)
    if bench.overlap:
        pytest.skip("with overlap, nothing was written over")
    await bench.published(2, first.token)
    await bench.provider.install(Minted(first.token, first.secret))
    assert bench.accepts(first.secret)
    assert await bench.provider.verify(first.token, first.secret) == Accepted()


async def test_nothing_is_listed(bench: Bench) -> None:
    await bench.published(1)
    assert await bench.provider.find(STEM) == ()
    assert not bench.provider.capabilities.can_list


async def test_junk_is_rejected_and_not_repeated(bench: Bench) -> None:
    first = await bench.published(1)
    verdict = await bench.provider.verify(first.token, Secret("canary-junk-77b"))
    assert isinstance(verdict, Rejected)
    assert "canary" not in verdict.reason


@pytest.fixture
def office(bench: Bench) -> back_office.Office:
    if bench.office is None:
        pytest.skip("the fake has no wire that could fail")
    return bench.office


@pytest.mark.parametrize("after", [False, True])
async def test_an_installation_without_an_answer_is_repeated_and_comes_to_one(
    bench: Bench, office: back_office.Office, after: bool
) -> None:
    minted = await bench.provider.mint(f"{STEM}-r1-a1", None)
    bench.clock.move(1)
    office.itsm.faults.add("drop", when="after" if after else "before", method="POST", path="/api/Application")
    with pytest.raises(Transient):
        await bench.provider.install(minted)
    bench.clock.move(1)
    token = await bench.provider.install(minted)
    assert await bench.provider.verify(token, minted.secret) == Accepted()
    assert bench.accepts(minted.secret)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_or_broken_server_decides_nothing(bench: Bench, office: back_office.Office, status: int) -> None:
    first = await bench.published(1)
    office.itsm.faults.add("status", status=status, retry_after=7)
    verdict = await bench.provider.verify(first.token, first.secret)
    assert isinstance(verdict, Unknown)
    assert verdict.retry_after == 7


async def test_rights_are_never_changed(bench: Bench, office: back_office.Office) -> None:
    def rights() -> list[Any]:
        return [(each.scopes, each.roles, each.demands_assertion) for each in office.itsm.model.applications.values()]

    before = rights()
    first = await bench.published(1)
    await bench.published(2, first.token)
    await bench.provider.revoke(first.token)
    assert rights() == before


async def test_a_late_revocation_does_not_end_what_has_taken_the_slot_since(
    bench: Bench, office: back_office.Office
) -> None:
    first = await bench.published(1)
    second = await bench.published(2, first.token)
    await bench.provider.revoke(first.token)
    third = await bench.published(3, second.token)
    await bench.provider.revoke(second.token)
    with suppress(Refused):  # where the value cannot be told from its successors
        assert await bench.provider.revoke(first.token) is Outcome.ALREADY
    assert bench.accepts(third.secret)
    assert await bench.provider.inspect(second.token) == Inspection(False) or not bench.overlap


async def test_the_negative_control_passes_on_an_honest_server(bench: Bench, office: back_office.Office) -> None:
    provider: Any = bench.provider
    await provider.control()
