"""What may keep a due rotation from beginning: a pause, and the calendar with its exceptions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.admission import begins_at, by_calendar, could_begin, in_spite_of, last_safe, not_now
from rotator.rotation.change_calendar import Calendar
from rotator.rotation.credential import Credential, Pause, Retirement
from rotator.rotation.credential_state import Headline, Severity, state
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.messages import describe
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import HoldReason, LostValue, Phase, Record, Trigger
from rotator.rotation.rotation_request import objection
from rotator.rotation.steps import Condemn, Request, Revoke, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, PLACE, ask, credential, published, record, token
from tests.unit.rotation.calendars import Hours, freeze

WINDOW = Calendar(Hours())
FROZEN = Calendar(freezes=(freeze("xmas", -1, 240),))
CLOSED_AT, OPENS = NOW + 2 * HOUR, NOW + 10 * HOUR


def shut(calendar: Calendar = WINDOW, **changes: Any) -> Credential:
    return credential(calendar=calendar, **changes)


def due(**changes: Any) -> Record:
    """Due by its schedule since NOW; its value has no date, unless the test gives it one."""
    return record(Phase.SETTLED, current=published(1, NOW - 30 * DAY, **changes))


def dying(left: timedelta) -> Record:
    """Due by its schedule, of a value that expires so long after NOW."""
    return due(token=token(1, expires_at=NOW + left))


@pytest.mark.parametrize(("calendar", "opens"), [(WINDOW, OPENS), (FROZEN, NOW + 240 * HOUR)])
def test_due_work_waits_for_the_next_opening(calendar: Calendar, opens: Any) -> None:
    step = next_step(shut(calendar), due(), CLOSED_AT)
    assert step == Wait(opens, calendar.closed(CLOSED_AT))
    assert isinstance(next_step(shut(calendar), due(), opens), Request)


def test_what_is_due_later_is_told_with_when_it_begins() -> None:
    later = record(Phase.SETTLED, current=published(1, NOW - 30 * DAY + 2 * HOUR))
    told = "due at 2026-03-01 14:00:00Z, and to begin at 2026-03-01 22:00:00Z: outside its window 1 of 10 hours"
    assert next_step(shut(), later, NOW) == Wait(OPENS, told)
    never = record(Phase.SETTLED, current=published(1, NOW - 30 * DAY + 30 * MINUTE))
    assert next_step(shut(), never, NOW) == Wait(NOW + 30 * MINUTE, "due at 2026-03-01 12:30:00Z")


def test_a_pause_is_told_before_the_calendar() -> None:
    paused = shut(paused=Pause("ada", NOW, until=NOW + DAY))
    no = not_now(paused, due(), CLOSED_AT, Trigger.AGED)
    assert no is not None
    assert no.reason.startswith("paused by ada")


def test_the_calendar_is_read_by_the_clock_of_vault_and_the_wait_told_by_ours() -> None:
    step = next_step(shut(), due(), CLOSED_AT, shared=CLOSED_AT + MINUTE)
    assert isinstance(step, Wait)
    assert step.until == OPENS - MINUTE
    assert isinstance(next_step(shut(), due(), OPENS - MINUTE, shared=OPENS), Request)
    assert isinstance(next_step(shut(), due(), OPENS + 30 * MINUTE, shared=OPENS + HOUR), Wait)


def test_an_emergency_asks_no_calendar_and_says_so() -> None:
    emergency = ask(CLOSED_AT, emergency=True)
    step = next_step(shut(), due(), CLOSED_AT, emergency)
    assert isinstance(step, Request)
    assert step.in_spite_of == "outside its window 1 of 10 hours; all the same, as it is an emergency"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"current": None}, "nothing was published yet"),
        ({"refused_at": NOW}, "the target refused the value until then"),
        ({"lost": LostValue(HoldReason.DELETED, PLACE, NOW)}, "consumers did not find the value until then"),
    ],
)
@pytest.mark.parametrize("calendar", [WINDOW, FROZEN])
def test_what_does_not_work_waits_for_no_calendar(calendar: Calendar, changes: Any, why: str) -> None:
    found = replace(due(), **changes)
    assert by_calendar(shut(calendar), found, CLOSED_AT) is None
    said = in_spite_of(shut(calendar), found, CLOSED_AT, emergency=False)
    assert said == f"{calendar.closed(CLOSED_AT)}; all the same, as {why}"
    assert could_begin(shut(calendar), found, NOW, CLOSED_AT) == NOW


def test_a_value_that_outlives_the_wait_waits() -> None:
    """Kept free before its end: an hour to try again, five minutes for the proof, an hour of grace."""
    found = dying(12 * HOUR + 5 * MINUTE)
    assert last_safe(shut(), found) == OPENS
    assert next_step(shut(), found, CLOSED_AT) == Wait(OPENS, "outside its window 1 of 10 hours")


@pytest.mark.parametrize(("calendar", "opens"), [(WINDOW, OPENS), (FROZEN, NOW + 240 * HOUR)])
def test_a_value_that_would_expire_meanwhile_is_replaced_at_the_last_safe_moment(calendar: Any, opens: Any) -> None:
    found, safe = dying(8 * HOUR), NOW + 5 * HOUR + 55 * MINUTE
    step = next_step(shut(calendar), found, CLOSED_AT)
    assert isinstance(step, Wait)
    assert step.until == safe
    assert f"expires before {opens:%F %T}Z" in step.reason
    begun = next_step(shut(calendar), found, safe)
    assert isinstance(begun, Request)
    assert "the value until then expires at 2026-03-01 20:00:00Z, too early to wait" in begun.in_spite_of


def test_the_room_before_the_end_holds_the_longest_grace() -> None:
    quiet = shut(retire=Retirement(HOUR, quiet=15 * MINUTE, deadline=3 * HOUR))
    assert last_safe(quiet, dying(8 * HOUR)) == NOW + 3 * HOUR + 55 * MINUTE
    assert last_safe(shut(), due()) is None
    assert published(1).life is None


def test_since_when_it_could_begin_is_no_earlier_than_the_opening() -> None:
    assert could_begin(shut(), due(), NOW + HOUR, CLOSED_AT) is None
    assert could_begin(shut(), due(), NOW + HOUR, OPENS + MINUTE) == OPENS
    assert could_begin(shut(), due(), OPENS + MINUTE, OPENS + 2 * MINUTE) == OPENS + MINUTE
    assert could_begin(credential(), due(), NOW, CLOSED_AT) == NOW
    safe = NOW + 5 * HOUR + 55 * MINUTE
    assert could_begin(shut(), dying(8 * HOUR), NOW, safe + MINUTE) == safe
    assert could_begin(shut(), dying(8 * HOUR), NOW, OPENS + MINUTE) == safe


def test_when_what_is_due_later_begins() -> None:
    assert begins_at(shut(), due(), CLOSED_AT) == OPENS
    assert begins_at(shut(), due(), NOW + MINUTE) == NOW + MINUTE
    assert begins_at(shut(FROZEN), dying(8 * HOUR), CLOSED_AT) == NOW + 5 * HOUR + 55 * MINUTE


def test_a_predecessor_ends_as_promised_in_a_freeze() -> None:
    """I2: what a freeze keeps back is the beginning of rotations."""
    in_grace = record(Phase.PUBLISHED, current=published(2, NOW))
    assert isinstance(next_step(shut(FROZEN), in_grace, NOW + HOUR), Condemn)
    assert isinstance(next_step(shut(FROZEN), record(Phase.CONDEMNED), NOW + HOUR), Revoke)


def test_a_predecessor_does_not_give_way_to_a_rotation_that_may_not_begin() -> None:
    gives_way = Retirement(DAY, gives_way=True)
    old = published(1, NOW - 31 * DAY, token=token(1, expires_at=NOW + 90 * DAY))
    overdue = record(Phase.PUBLISHED, current=published(2, NOW - 30 * DAY), predecessor=old)
    assert next_step(credential(retire=gives_way), overdue, CLOSED_AT) == Condemn(overdue=True)
    assert next_step(shut(retire=gives_way), overdue, CLOSED_AT) == Condemn(overdue=False)


# --- what people are told -------------------------------------------------------------------------------------------


def test_a_due_rotation_that_waits_is_not_overdue() -> None:
    found = state(shut(), due(), CLOSED_AT)
    assert (found.word, found.mark, found.exit) == (Headline.NOT_OPEN, Severity.FINE, 0)
    assert found.said == "due, and to begin at 2026-03-01 22:00:00Z: outside its window 1 of 10 hours"
    assert (found.waits_for, found.waits_until) == ("outside its window 1 of 10 hours", OPENS)
    assert found.due_since is None
    assert state(shut(FROZEN), due(), CLOSED_AT).word is Headline.FROZEN
    assert state(credential(), due(), CLOSED_AT).word is Headline.OVERDUE


def test_once_the_window_opens_it_is_due_since_then() -> None:
    assert state(shut(), due(), OPENS + MINUTE).due_since == OPENS
    assert state(shut(), due(), OPENS + MINUTE).word is Headline.SETTLED
    assert state(shut(), due(), OPENS + 6 * MINUTE).word is Headline.OVERDUE


def test_a_rotation_under_way_is_due_since_it_could_begin() -> None:
    current = published(1, NOW - 30 * DAY)
    begun = record(Phase.REQUESTED, current=current, requested_at=OPENS + MINUTE)
    assert state(shut(), begun, OPENS + 2 * HOUR).due_since == OPENS
    emergency = record(Phase.REQUESTED, current=current, requested_at=CLOSED_AT, emergency=True)
    assert state(shut(), emergency, CLOSED_AT + HOUR).due_since == CLOSED_AT


def test_what_will_not_outlive_the_wait_is_to_be_watched() -> None:
    found = state(shut(FROZEN), dying(8 * HOUR), CLOSED_AT)
    assert (found.word, found.mark) == (Headline.FROZEN, Severity.WATCH)


def test_what_is_not_due_waits_for_nothing() -> None:
    found = state(shut(FROZEN), record(Phase.SETTLED), CLOSED_AT)
    assert (found.word, found.waits_for, found.waits_until) == (Headline.SETTLED, "", None)


def test_the_explanation_names_window_and_freezes() -> None:
    calendar = Calendar(Hours(), (freeze("xmas", 100, 200), freeze("over", -20, -10)))
    said = list(explain(shut(calendar), due(), CLOSED_AT))
    assert "A rotation may begin in its window 1 of 10 hours, which opens at 2026-03-01 22:00:00Z." in said
    assert (
        "None may begin in the freeze xmas from 2026-03-05 16:00:00Z until 2026-03-09 20:00:00Z: year's end."
    ) in said
    assert not any("over" in each for each in said)
    assert "Next: wait until 2026-03-01 22:00:00Z: outside its window 1 of 10 hours." in said
    assert "A rotation may begin in its window 1 of 10 hours, which is open." in explain(shut(calendar), due(), NOW)


def test_a_rotation_that_began_all_the_same_is_remembered_and_told() -> None:
    outside = "freeze xmas until 2027-01-04 06:00:00Z: year's end; all the same, as nothing was published yet"
    begun = record(Phase.REQUESTED, in_spite_of=outside)
    assert f"Rotation 2 began in spite of the calendar: {outside}." in explain(shut(), begun, NOW)
    assert state(shut(), begun, NOW).outside_at == NOW
    assert state(shut(), replace(begun, emergency=True), NOW).outside_at is None
    assert state(shut(), record(Phase.REQUESTED), NOW).outside_at is None


# --- what people ask for --------------------------------------------------------------------------------------------


def typed(**changes: Any) -> OperatorRequest:
    return replace(OperatorRequest("r1", RequestVerb.ROTATE, CLOSED_AT, "ada", live=("t1.1",)), **changes)


def test_a_plain_request_outside_the_window_is_declined_with_the_next_opening() -> None:
    said = objection(shut(), due(), typed(), CLOSED_AT)
    assert said == (
        "outside its window 1 of 10 hours, so not before 2026-03-01 22:00:00Z; --wait waits for that and rotates then,"
        " --emergency does not wait"
    )
    assert not objection(shut(), due(), typed(), NOW)


def test_a_patient_request_is_taken_up_and_waits() -> None:
    assert not objection(shut(), due(), typed(patient=True), CLOSED_AT)
    fresh = record(Phase.SETTLED, asked=typed(patient=True))
    assert next_step(shut(), fresh, CLOSED_AT) == Wait(OPENS, "outside its window 1 of 10 hours")
    assert state(shut(), fresh, CLOSED_AT).word is Headline.NOT_OPEN
    begun = next_step(shut(), fresh, OPENS)
    assert isinstance(begun, Request)
    assert (begun.why, begun.in_spite_of) == (Trigger.ASKED, "")


def test_an_emergency_a_first_value_and_a_rotation_under_way_are_not_declined() -> None:
    assert not objection(shut(), due(), typed(emergency=True), CLOSED_AT)
    assert not objection(shut(), replace(due(), current=None), typed(live=("",)), CLOSED_AT)
    assert not objection(shut(), record(Phase.STAGED), typed(), CLOSED_AT)


def test_the_log_says_it_as_a_warning() -> None:
    plain = ev.Requested(NOW, Trigger.AGED, "due since noon", "", False, "stem", PLACE, "blog", "1:new")
    loud = replace(plain, in_spite_of="outside its window; all the same, as it is an emergency")
    told = describe(due(), loud, advance(due(), loud))
    assert told.severity.value == "warning"
    assert told.said.endswith("; outside its window; all the same, as it is an emergency")
    assert advance(due(), loud).in_spite_of == loud.in_spite_of
    assert describe(due(), plain, advance(due(), plain)).severity.value == "info"
