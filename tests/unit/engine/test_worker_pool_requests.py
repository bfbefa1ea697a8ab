"""Pending requests: each caller gets an answer, joined or told apart by patience and time, and none waits in vain."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from rotator.engine.reconciler import ReconcileResult
from rotator.ports import Transient
from rotator.rotation.change_calendar import Calendar
from rotator.rotation.operator_request import TakenUp
from rotator.rotation.record import Failure, Phase
from rotator.rotation.rotation_request import RequestAnswer, foremost
from rotator.rotation.steps import Wait
from tests.unit.engine.pools import at_work, bots, hang, settled
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, SECOND, ask, published, record
from tests.unit.rotation.calendars import freeze

pytestmark = pytest.mark.anyio

OPEN = record(Phase.STAGED, current=published(1, NOW - HOUR))
IN_GRACE = record(Phase.PUBLISHED, current=published(2, NOW + SECOND))
DONE = record(Phase.SETTLED, current=published(2, NOW + SECOND))


def showing(*records):
    """Visits that find these records, one after the other; then the last one for ever."""
    found = list(records)

    async def visiting(wanted, ask):
        return found.pop(0) if len(found) > 1 else found[0]

    return visiting


async def test_everybody_who_asks_before_the_publication_is_answered_by_it() -> None:
    async with at_work(bots("bot"), showing(OPEN, DONE)) as stage:
        first = stage.worker_pool.ask("bot", ask(), patient=False)
        await stage.rest()
        second = stage.worker_pool.ask("bot", ask(NOW + SECOND / 2, by="bob"), patient=False)
        await stage.rest()
        assert (first.answer, second.answer) == (RequestAnswer.DONE, RequestAnswer.DONE)
        assert first.done.is_set()
        assert second.done.is_set()
        assert not stage.worker_pool.asks


async def test_the_patience_of_one_does_not_keep_the_other_waiting() -> None:
    async with at_work(bots("bot"), showing(IN_GRACE)) as stage:
        quick = stage.worker_pool.ask("bot", ask(), patient=False)
        patient = stage.worker_pool.ask("bot", ask(by="bob"), patient=True)
        await stage.rest()
        assert quick.done.is_set()
        assert quick.answer is RequestAnswer.PUBLISHED
        assert not patient.done.is_set()
        stage.reconciler.visiting = showing(DONE)
        stage.worker_pool.look_at("bot")
        await stage.rest()
        assert patient.answer is RequestAnswer.DONE


async def test_a_value_published_before_the_ask_does_not_answer_it() -> None:
    async with at_work(bots("bot"), showing(IN_GRACE)) as stage:
        patient = stage.worker_pool.ask("bot", ask(), patient=True)
        await stage.rest()
        late = stage.worker_pool.ask("bot", ask(NOW + MINUTE, by="bob"), patient=False)
        await stage.rest()
        assert late.answer is RequestAnswer.IN_GRACE
        assert late.done.is_set()
        assert not patient.done.is_set()


async def test_an_emergency_does_not_take_the_answer_from_who_asked_before() -> None:
    async with at_work(bots("bot"), showing(OPEN, OPEN, DONE)) as stage:
        plain = stage.worker_pool.ask("bot", ask(), patient=False)
        await stage.rest()
        urgent = stage.worker_pool.ask("bot", ask(emergency=True), patient=False)
        await stage.rest()
        assert stage.reconciler.visits[-1][1] == urgent.ask
        stage.worker_pool.look_at("bot")
        await stage.rest()
        assert plain.answer is urgent.answer is RequestAnswer.DONE


async def test_what_is_left_open_by_a_visit_for_another_is_looked_at_at_once() -> None:
    answered = record(Phase.SETTLED, current=published(2, NOW + SECOND))
    later = record(Phase.SETTLED, current=published(3, NOW + HOUR))
    async with at_work(bots("bot"), showing(answered, later)) as stage:
        urgent = stage.worker_pool.ask("bot", ask(emergency=True), patient=False)
        plain = stage.worker_pool.ask("bot", ask(NOW + MINUTE), patient=False)
        await stage.rest()
        assert [each for _, each in stage.reconciler.visits] == [urgent.ask, plain.ask]
        assert plain.answer is RequestAnswer.DONE


async def test_a_failure_answers_who_asked_before_it_and_a_hold_everybody() -> None:
    failed = record(
        Phase.SETTLED,
        current=published(1, NOW - HOUR),
        failure=Failure("mint", "no", NOW + SECOND),
        retry_at=NOW + HOUR,
    )
    async with at_work(bots("a", "b"), showing(failed)) as stage:
        asked = stage.worker_pool.ask("a", ask(), patient=True)
        await stage.rest()
        assert asked.answer is RequestAnswer.FAILED
        stage.reconciler.visiting = showing(record(Phase.HELD))
        held = stage.worker_pool.ask("b", ask(), patient=False)
        await stage.rest()
        assert held.answer is RequestAnswer.HELD
        assert held.done.is_set()


async def test_an_ask_is_heard_although_a_visit_was_under_way_when_it_came() -> None:
    over = anyio.Event()
    async with at_work(bots("bot"), hang(over)) as stage:
        stage.worker_pool.look_at("bot")
        await stage.rest()
        asked = stage.worker_pool.ask("bot", ask(NOW + HOUR), patient=False)
        over.set()
        await stage.rest()
        assert [each for _, each in stage.reconciler.visits] == [None, asked.ask]


async def test_who_is_asked_for_is_visited_before_those_that_were_due_first() -> None:
    names, over = [f"bot-{number}" for number in range(20)], anyio.Event()
    async with at_work(bots(*names), hang(over), workers=1) as stage:
        stage.worker_pool.look_at(*names)
        await stage.rest()
        stage.worker_pool.ask("bot-19", ask(), patient=False)
        over.set()
        await stage.rest()
        assert stage.reconciler.names[:3] == ["bot-0", "bot-19", "bot-1"]


async def test_while_another_actor_works_on_it_who_asked_is_looked_after_every_two_seconds() -> None:
    async def blocked(wanted, ask):
        return Wait(stage.clock.now() + MINUTE, "worked on by host-b")

    async with at_work(bots("bot"), blocked) as stage:
        asked = stage.worker_pool.ask("bot", ask(NOW + HOUR), patient=False)
        await stage.rest()
        await stage.after(2)
        assert stage.reconciler.names == ["bot", "bot"]
        assert asked.wait is None  # it may come at any time


async def test_who_asks_during_a_pause_learns_how_long_it_lasts() -> None:
    async def sealed(wanted, ask):
        raise Transient("sealed")

    async with at_work(bots("bot"), sealed) as stage:
        for _ in range(8):
            stage.worker_pool.look_at("bot")
            await stage.after(31)
        asked = stage.worker_pool.ask("bot", ask(), patient=False)
        await stage.rest()
        assert asked.wait
        assert asked.wait.reason == "sealed"


async def test_a_stop_answers_everybody_at_the_latest_when_the_visits_are_over() -> None:
    over = anyio.Event()
    async with at_work(bots("a", "b"), hang(over), workers=1) as stage:
        busy, waiting = (stage.worker_pool.ask(name, ask(NOW + HOUR), patient=False) for name in ("a", "b"))
        await stage.rest()
        stage.worker_pool.stop()
        assert (waiting.closed, busy.closed) == ("the daemon is stopping", "")
        over.set()
        await stage.rest()
        assert busy.done.is_set()
        assert busy.closed == "the daemon is stopping"
        assert stage.worker_pool.ask("a", ask(), patient=False).done.is_set()


async def test_who_asked_for_a_credential_that_left_the_settings_is_told() -> None:
    async with at_work(bots("bot"), hang(anyio.Event())) as stage:
        asked = stage.worker_pool.ask("bot", ask(), patient=False)
        stage.worker_pool.take({}, set())
        assert asked.closed == "it left the settings"
        assert stage.worker_pool.ask("bot", ask(), patient=False).closed == "it is not in the settings"


async def test_answers_leave_nothing_behind() -> None:
    async with at_work(bots("bot"), settled) as stage:
        for number in range(50):
            stage.worker_pool.ask("bot", ask(NOW - HOUR, by=str(number)), patient=False)
            await stage.rest()
        assert not stage.worker_pool.asks


def test_a_visit_works_for_an_emergency_first_and_then_for_the_latest() -> None:
    plain, late, urgent = ask(), ask(NOW + HOUR), ask(emergency=True)
    assert foremost(plain, late) == late
    assert foremost(late, urgent, plain) == urgent
    assert foremost() is None


async def test_a_request_that_the_calendar_declined_is_answered_with_why() -> None:
    declined = record(
        Phase.SETTLED, current=published(1, NOW - HOUR), taken=(TakenUp("r1", NOW, "outside its window"),)
    )
    async with at_work(bots("bot"), showing(declined)) as stage:
        asked = stage.worker_pool.ask("bot", ask(id="r1"), patient=False)
        await stage.rest()
        assert (asked.answer, asked.refused) == (RequestAnswer.NOT_OPEN, "outside its window")
        assert asked.done.is_set()


async def test_a_patient_request_that_waits_for_the_calendar_says_until_when() -> None:
    taken = record(Phase.SETTLED, current=published(1, NOW - HOUR), taken=(TakenUp("r1", NOW),))
    closed = ReconcileResult(taken, Wait(NOW + HOUR, "freeze xmas"))

    async def visiting(wanted, ask):
        return closed

    frozen = {"bot": replace(bots("bot")["bot"], calendar=Calendar(freezes=(freeze("xmas", -1, 1),)))}
    async with at_work(frozen, visiting) as stage:
        asked = stage.worker_pool.ask("bot", ask(id="r1"), patient=True)
        urgent = stage.worker_pool.ask("bot", ask(id="r1", emergency=True), patient=True)
        await stage.rest()
        assert asked.waits
        assert asked.wait == closed.wait
        assert not asked.done.is_set()
        assert not urgent.waits
