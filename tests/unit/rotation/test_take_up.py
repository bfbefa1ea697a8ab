"""What an operator's request changes in a record, what it is declined for, and when it is over."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential import Pause
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.messages import describe
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp, Unclaimed
from rotator.rotation.pause import ended_by, pause_on, words
from rotator.rotation.record import Failure, HoldReason, Phase, Record, Trigger, Undo
from rotator.rotation.rotation_request import (
    REMEMBERED,
    RequestAnswer,
    answer,
    as_rotation_request,
    find,
    grace_ends,
    live_at,
    live_values,
    objection,
    unless_declined,
)
from rotator.rotation.steps import Escalate, Poll, Request, Wait
from rotator.rotation.transitions import advance
from rotator.rotation.undo import objection as undo_objection
from rotator.rotation.wording import lifted
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, PLACE, SECOND, credential, published, record

LEAK = OperatorRequest("a", RequestVerb.ROTATE, NOW, "ada", emergency=True, live=("t1.1",))
PLAIN = replace(LEAK, id="b", emergency=False)
OURS = credential()


def taken(before: Record, *requests: OperatorRequest) -> Record:
    for request in requests:
        before = advance(before, ev.RequestTaken(max(NOW, request.at), request))
    return before


def held(reason: HoldReason, phase: Phase = Phase.SETTLED) -> Record:
    return record(Phase.HELD, held=OnHold(reason, "look", phase, NOW), candidate=None)


@pytest.mark.parametrize("lag", [-HOUR, HOUR])
def test_what_was_asked_for_when_nothing_was_live_is_answered_by_the_first_value_whatever_the_clocks_say(lag) -> None:
    asked = taken(record(Phase.STAGED, current=None, predecessor=None), replace(PLAIN, live=live_at(None)))
    assert asked.asked
    ask = as_rotation_request(asked.asked)
    first = replace(asked, phase=Phase.SETTLED, current=published(2, NOW + lag), candidate=None)
    assert answer(first, ask) is RequestAnswer.DONE
    assert answer(replace(first, current=None), ask) is RequestAnswer.OPEN


def test_the_last_requests_are_remembered_with_what_they_were_declined_for() -> None:
    known = record(Phase.SETTLED)
    for number in range(REMEMBERED + 3):
        known = advance(known, ev.RequestDeclined(NOW, replace(PLAIN, id=str(number)), "paused"))
    assert len(known.taken) == REMEMBERED
    assert find(known, "3") == TakenUp("3", NOW, "paused")
    assert find(known, "2") is None
    for event in (
        ev.Paused(NOW, "ada", "", None, "x"),
        ev.Unpaused(NOW, "ada", "x"),
        ev.Released(NOW, "ada", "x"),
        ev.UndoBegun(NOW, "ada", False, PLACE, NOW, request="x"),
    ):
        assert find(advance(record(Phase.PUBLISHED), event), "x")
        assert len(advance(record(Phase.PUBLISHED), replace(event, request="")).taken) == 0


def test_nothing_comes_of_what_was_declined_whoever_waits_for_it() -> None:
    ask = as_rotation_request(PLAIN)
    known = advance(record(Phase.SETTLED), ev.RequestDeclined(NOW, PLAIN, "in grace"))
    assert unless_declined(known, ask) is None
    assert unless_declined(known, None) is None
    assert unless_declined(known, replace(ask, id="another")) is not None
    assert unless_declined(taken(record(Phase.SETTLED), PLAIN), ask) == ask


def test_an_emergency_is_not_set_aside_by_what_comes_later_and_keeps_the_values_of_both() -> None:
    known = taken(record(Phase.SETTLED), LEAK, replace(PLAIN, at=NOW + HOUR))
    assert known.asked == LEAK
    later = replace(LEAK, id="c", at=NOW + HOUR, live=("t1.1", "t2.1"))
    assert taken(known, later).asked == later
    assert taken(record(Phase.SETTLED), PLAIN, LEAK).asked == LEAK
    assert taken(record(Phase.SETTLED), replace(PLAIN, verb=RequestVerb.RESUME)).asked is None


@pytest.mark.parametrize("reason", HoldReason)
def test_only_holds_for_mints_and_for_use_give_way_to_an_emergency(reason: HoldReason) -> None:
    passes = reason in (HoldReason.MINT_BUDGET, HoldReason.STILL_USED)
    assert (taken(held(reason), LEAK).phase is Phase.SETTLED) is passes
    assert taken(held(reason), PLAIN).phase is Phase.HELD
    ends = "`rotate claim`" if reason is HoldReason.TWO_VAULTS else "`rotate release blog/bot`"
    assert ends in lifted(reason, "blog/bot")
    spent = lifted(reason, "blog/bot", emergency=True)
    assert ("the emergency goes on" in spent) is (reason is HoldReason.MINT_BUDGET)
    assert ends in spent


def test_what_nobody_has_in_its_settings_is_given_up_after_an_hour_with_all_that_lives_on() -> None:
    gone = Unclaimed("blog/bot", replace(LEAK, live=("t1.1", "")))
    assert gone.until == LEAK.at + HOUR
    assert gone.said.startswith(f"{LEAK}: the credential left the settings; alive when it was typed")
    assert "nobody ends them: t1.1: `rotate strays --reap --unclaimed`" in gone.said
    assert "alive" not in Unclaimed("blog/bot", replace(LEAK, live=("",))).said


def test_what_is_asked_for_in_the_record_is_decided_on_like_what_somebody_waits_for() -> None:
    assert next_step(OURS, taken(record(Phase.SETTLED), PLAIN), NOW) == Request(
        Trigger.ASKED, "asked for by ada", "ada"
    )
    assert next_step(OURS, taken(record(Phase.PUBLISHED), LEAK), NOW) == Escalate("ada")
    waits = replace(taken(record(Phase.AWAITING), replace(PLAIN, at=NOW + MINUTE)), reminded_at=NOW)
    assert isinstance(next_step(OURS, waits, NOW + 2 * MINUTE), Wait)  # nobody says that the person's part is done
    assert next_step(OURS, waits, NOW + 2 * MINUTE, as_rotation_request(waits.asked)) == Poll(remind=False)


def test_a_plain_request_is_over_when_it_is_published_or_given_up_and_a_fault_is_neither() -> None:
    known = taken(record(Phase.STAGED), PLAIN)
    assert advance(record(Phase.VERIFIED, asked=PLAIN), ev.Published(NOW, 2)).asked is None
    assert advance(known, ev.Faulted(NOW, "verify", "503")).asked == PLAIN
    assert advance(taken(record(Phase.SETTLED), PLAIN), ev.Faulted(NOW, "request", "503")).asked == PLAIN
    assert advance(record(Phase.REQUESTED, asked=PLAIN), ev.MintRefused(NOW, "quota")).asked is None
    assert advance(record(Phase.PUBLISHED, asked=PLAIN), ev.UndoBegun(NOW, "ada", False, PLACE, NOW)).asked is None


def test_an_emergency_is_over_when_the_predecessor_is_dead_and_is_begun_anew_when_it_was_given_up() -> None:
    given_up = advance(record(Phase.REQUESTED, asked=LEAK), ev.MintRefused(NOW, "quota"))
    assert given_up.asked == LEAK
    assert isinstance(next_step(OURS, given_up, NOW), Wait)
    assert isinstance(next_step(OURS, given_up, NOW + DAY), Request)
    late = record(Phase.CONDEMNED, asked=LEAK, current=published(2, NOW + SECOND))
    retired = advance(late, ev.Retired(NOW + SECOND, "dead"))
    assert retired.asked == LEAK
    assert advance(retired, ev.Swept(NOW + SECOND, ())).asked is None
    refused = record(Phase.PUBLISHED, asked=LEAK, current=published(2, NOW + SECOND))
    assert advance(refused, ev.Disproved(NOW + SECOND, "401")).asked == LEAK  # the predecessor lives on
    expiring = advance(refused, ev.LeftToExpire(NOW + SECOND, NOW + DAY))
    assert expiring.asked is None


def test_a_plain_request_is_declined_where_nothing_begins_and_an_emergency_never() -> None:
    grace, paused, later = record(Phase.PUBLISHED), Pause("bob", NOW, "frozen"), replace(PLAIN, live=("t1.1", "t2.1"))
    assert "in grace until 2026-03-01 13:00:00Z at the earliest" in objection(OURS, grace, later, NOW)
    for known, wanted in (
        (held(HoldReason.FOREIGN_WRITE), OURS),
        (record(Phase.SETTLED, paused=paused), OURS),
        (grace, replace(OURS, paused=paused)),
    ):
        assert objection(wanted, known, later, NOW)
        assert not objection(wanted, known, replace(later, emergency=True), NOW)
    assert not objection(OURS, grace, replace(later, patient=True), NOW)
    assert not objection(OURS, grace, PLAIN, NOW)  # what it asks for is published already
    assert not objection(replace(OURS, paused=paused), record(Phase.STAGED), PLAIN, NOW)
    assert not objection(OURS, record(Phase.SETTLED), PLAIN, NOW)


def test_a_patient_ask_has_no_answer_in_a_grace_and_one_that_the_installation_pauses_has() -> None:
    later = as_rotation_request(replace(PLAIN, live=("t1.1", "t2.1")))
    assert answer(record(Phase.PUBLISHED), later) is RequestAnswer.IN_GRACE
    assert answer(record(Phase.PUBLISHED), replace(later, patient=True)) is RequestAnswer.OPEN
    assert answer(record(Phase.SETTLED), later, Pause("bob", NOW)) is RequestAnswer.PAUSED
    failed = Failure("request", "503", NOW + SECOND)
    tried = record(Phase.SETTLED, failure=failed, retry_at=NOW + MINUTE)
    assert answer(tried, later) is RequestAnswer.FAILED
    assert answer(replace(tried, failures=1), later) is RequestAnswer.OPEN


def test_what_lives_is_what_is_published_or_in_grace_but_for_what_nobody_can_end() -> None:
    assert live_values(None) == ()
    assert live_at(record(Phase.PUBLISHED)) == ("t2.1", "t1.1")
    assert live_values(record(Phase.PUBLISHED)) == ("t2.1", "t1.1")
    assert live_values(record(Phase.PUBLISHED, ends_at=NOW)) == ("t2.1",)


def test_the_end_of_a_grace_is_known_where_there_is_one() -> None:
    assert grace_ends(OURS, record(Phase.SETTLED)) is None
    assert grace_ends(OURS, record(Phase.PUBLISHED, current=None)) is None
    promised = record(Phase.PUBLISHED, grace_ends=NOW + DAY)
    assert grace_ends(OURS, promised) == NOW + DAY
    assert objection(OURS, record(Phase.PUBLISHED, current=None), PLAIN, NOW).startswith("the predecessor is in grace;")


def test_of_two_pauses_the_one_that_ends_later_counts() -> None:
    short, long = Pause("ada", NOW, until=NOW + MINUTE), Pause("bob", NOW, until=NOW + HOUR)
    for ours, theirs in ((short, long), (long, short)):
        assert pause_on(replace(OURS, paused=ours), record(Phase.SETTLED, paused=theirs), NOW) == long
    endless = Pause("eve", NOW)
    assert ended_by(endless, "blog/bot") == "rotate resume blog/bot"
    everything = replace(endless, scope="--all")
    assert ended_by(everything, "blog/bot") == "rotate resume --all"
    assert words(everything) == "paused with --all by eve since 2026-03-01 12:00:00Z until somebody resumes it"
    assert pause_on(replace(OURS, paused=long), record(Phase.SETTLED, paused=endless), NOW) == endless
    assert pause_on(replace(OURS, paused=short), record(Phase.SETTLED), NOW + HOUR) is None


def test_an_undo_is_refused_while_a_leak_is_being_dealt_with() -> None:
    assert "emergency" in undo_objection(OURS, record(Phase.PUBLISHED, asked=LEAK), NOW)
    assert not undo_objection(OURS, record(Phase.PUBLISHED, asked=PLAIN), NOW)


def test_requests_are_told_in_words() -> None:
    known = record(Phase.SETTLED)
    said = describe(known, ev.RequestTaken(NOW, LEAK), known).said
    assert said == "taken up: emergency, asked for by ada at 2026-03-01 12:00:00Z"
    said = describe(known, ev.RequestDeclined(NOW, PLAIN, "paused"), known).said
    assert said == "nothing comes of this: rotate, asked for by ada at 2026-03-01 12:00:00Z: paused"


def test_mints_of_an_undo_that_went_well_are_those_of_nobody() -> None:
    before = record(Phase.VERIFIED, why=Trigger.AGED, mints=(NOW - DAY, NOW))
    assert advance(before, ev.Published(NOW, 2)).mints == (NOW - DAY, NOW)
    asked = replace(before, why=Trigger.ASKED, emergency_mints=(NOW - DAY, NOW))
    after = advance(asked, ev.Published(NOW, 2))
    assert (after.mints, after.emergency_mints) == ((NOW - DAY,), (NOW - DAY, NOW))
    after = advance(replace(asked, emergency=True), ev.Published(NOW, 2))
    assert (after.mints, after.emergency_mints) == ((NOW - DAY,), (NOW - DAY,))
    never = replace(asked, requested_at=None)
    assert advance(never, ev.Published(NOW, 2)).mints == (NOW - DAY, NOW)


def test_mints_that_a_clock_that_was_ahead_told_are_not_taken_for_those_of_what_was_asked_for() -> None:
    asked = record(Phase.VERIFIED, why=Trigger.ASKED, mints=(NOW - DAY, NOW + HOUR, NOW))
    assert advance(asked, ev.Published(NOW + MINUTE, 2)).mints == (NOW - DAY, NOW + HOUR)


def test_a_rollback_makes_nothing_and_forgets_no_mints() -> None:
    undoing = replace(
        record(Phase.VERIFIED, why=Trigger.UNDO, emergency=True, mints=(NOW - DAY, NOW)),
        undo=Undo("ada", NOW, Phase.PUBLISHED),
    )
    assert advance(undoing, ev.Published(NOW, 3)).mints == (NOW - DAY, NOW)


def test_explain_says_what_is_asked_for_until_it_is_over() -> None:
    said = list(explain(OURS, record(Phase.PUBLISHED, asked=PLAIN), NOW))
    assert "ada asked for a rotation, at 2026-03-01 12:00:00Z; that is not over yet." in said
    said = list(explain(OURS, record(Phase.PUBLISHED, asked=LEAK), NOW))
    assert any(text.startswith("ada asked for an emergency: the values that lived then are to die") for text in said)
