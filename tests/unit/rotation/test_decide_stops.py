"""When not to go on: holds, pauses, emergencies, and a target that settings no longer name."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential import OnForeign
from rotator.rotation.decide import next_step
from rotator.rotation.lost_value import OURS, UNDELETE, stops
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import Failure, HoldReason, LostValue, Phase
from rotator.rotation.rotation_request import as_rotation_request, hurried
from rotator.rotation.steps import Escalate, Hold, Revoke, Sweep, Verify, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, PLACE, SECOND, ask, credential, record

FAILURE = Failure("mint", "no answer", NOW)
SETTLED, REQUESTED, STAGED, VERIFIED = Phase.SETTLED, Phase.REQUESTED, Phase.STAGED, Phase.VERIFIED
PUBLISHED, CONDEMNED, REJECTED, HELD = Phase.PUBLISHED, Phase.CONDEMNED, Phase.REJECTED, Phase.HELD
EMERGENCY = ask(NOW + SECOND, emergency=True)

# record, time since NOW, ask, step
TABLE = {
    "held: a person must act": (record(HELD), 90 * DAY, EMERGENCY, Wait(None, "held: look at it")),
    "given up for now: its values are destroyed before the pause, not after": (
        record(SETTLED, slot_full=True, strays=True, failure=FAILURE, retry_at=NOW + HOUR),
        SECOND,
        None,
        Sweep(strays=True),
    ),
    "given up, and clearing away did not get through: that is tried again after the pause": (
        record(SETTLED, slot_full=True, failure=Failure("sweep", "503", NOW), retry_at=NOW + HOUR),
        SECOND,
        None,
        Wait(NOW + HOUR, "tidying up failed: 503"),
    ),
    "what consumers read is another's: a person decides": (
        record(SETTLED, lost=LostValue(HoldReason.FOREIGN_WRITE, PLACE, NOW), retry_at=NOW + MINUTE),
        SECOND,
        None,
        Hold(
            HoldReason.FOREIGN_WRITE,
            "kv/blog/bot holds a value that we did not write; "
            f"`rotate adopt blog/bot` keeps it; else {OURS}; then `rotate release blog/bot`",
        ),
    ),
    "what consumers read is gone in the grace of a predecessor: a person decides": (
        record(PUBLISHED, lost=LostValue(HoldReason.DELETED, PLACE, NOW)),
        SECOND,
        None,
        Hold(HoldReason.DELETED, f"kv/blog/bot was deleted; {UNDELETE}"),
    ),
    "it is gone while the predecessor is being ended: that step looks by itself": (
        record(CONDEMNED, lost=LostValue(HoldReason.DELETED, PLACE, NOW)),
        SECOND,
        None,
        Revoke(),
    ),
    "failed a moment ago: wait out the pause and say why": (
        record(STAGED, failure=FAILURE, retry_at=NOW + MINUTE),
        SECOND,
        None,
        Wait(NOW + MINUTE, "making a new value failed: no answer"),
    ),
    "the predecessor is still in use: wait and say so": (
        record(PUBLISHED, retry_at=NOW + 2 * HOUR, evidence="last used 2026-03-01 12:50:00Z"),
        HOUR,
        None,
        Wait(NOW + 2 * HOUR, "last used 2026-03-01 12:50:00Z"),
    ),
    "a pause that nobody explained": (
        record(STAGED, retry_at=NOW + MINUTE),
        SECOND,
        None,
        Wait(NOW + MINUTE, "backing off"),
    ),
    "the pause is over: go on": (record(STAGED, failure=FAILURE, retry_at=NOW + MINUTE), MINUTE, None, Verify()),
    "an ask of the very moment of the failure does not end the pause": (
        record(STAGED, failure=FAILURE, retry_at=NOW + MINUTE),
        SECOND,
        ask(NOW),
        Wait(NOW + MINUTE, "making a new value failed: no answer"),
    ),
    "an ask from before the failure does not end the pause": (
        record(STAGED, failure=FAILURE, retry_at=NOW + MINUTE),
        SECOND,
        ask(NOW - SECOND),
        Wait(NOW + MINUTE, "making a new value failed: no answer"),
    ),
    "settings name another target by now: what is in flight is finished where it lives": (
        record(STAGED, target="old"),
        SECOND,
        None,
        Verify(),
    ),
    "settled on another target: nothing is in flight": (
        record(SETTLED, target="old"),
        SECOND,
        None,
        Wait(NOW + 30 * DAY, "due at 2026-03-31 12:00:00Z"),
    ),
}


@pytest.mark.parametrize(("known", "later", "wish", "step"), TABLE.values(), ids=TABLE)
def test_next_step_stops(known, later, wish, step) -> None:
    assert next_step(credential(), known, NOW + later, wish) == step


@pytest.mark.parametrize("phase", [REQUESTED, STAGED, VERIFIED, PUBLISHED, REJECTED])
def test_an_emergency_takes_over_a_rotation_in_flight_even_in_its_pause(phase: Phase) -> None:
    pausing = record(phase, retry_at=NOW + HOUR, failure=FAILURE)
    assert next_step(credential(), pausing, NOW + SECOND, EMERGENCY) == Escalate("ada")
    assert next_step(credential(), pausing, NOW + SECOND, ask(NOW + SECOND)) != Escalate("ada")


@pytest.mark.parametrize("phase", list(Phase))
def test_what_is_an_emergency_already_is_not_escalated_again(phase: Phase) -> None:
    step = next_step(credential(), record(phase, emergency=True), NOW + SECOND, EMERGENCY)
    assert not isinstance(step, Escalate)


def test_who_asks_in_the_middle_of_a_pause_ends_it_only_while_that_is_wanted() -> None:
    pausing = record(PUBLISHED, retry_at=NOW + HOUR)
    assert hurried(pausing, None) == hurried(pausing, ask(NOW + SECOND)) == pausing
    assert hurried(pausing, ask(NOW + SECOND, patient=True)).retry_at is None
    assert hurried(replace(pausing, emergency=True), EMERGENCY).retry_at is None
    assert hurried(replace(pausing, retry_at=None), EMERGENCY).retry_at is None


@pytest.mark.parametrize("at", [NOW, NOW + 100 * DAY], ids=["now", "by a clock that is ahead"])
def test_what_fails_after_it_was_asked_for_has_its_whole_pause(at) -> None:
    request = OperatorRequest("r1", RequestVerb.ROTATE, at, "ada", live=("t1.1",))
    failing = record(STAGED, failure=FAILURE, retry_at=NOW + HOUR)
    taken = advance(failing, ev.RequestTaken(NOW, request))
    assert taken.retry_at is None
    again = advance(taken, ev.Faulted(NOW + SECOND, "verify", "503"))
    pause = Wait(again.retry_at, "proving the new value failed: 503")
    assert next_step(credential(), again, NOW + SECOND) == pause
    assert next_step(credential(), again, NOW + SECOND, as_rotation_request(request)) == pause
    assert again.asked
    assert again.asked.at == NOW, "it was asked for before what came after"


def test_who_waits_for_a_grace_that_is_put_off_does_not_have_it_judged_again_and_again() -> None:
    used = record(PUBLISHED, retry_at=NOW + MINUTE, evidence="last used just now")
    waits = ask(NOW + SECOND, patient=True)
    assert next_step(credential(), used, NOW, waits) == Wait(NOW + MINUTE, "last used just now")


def test_where_settings_let_us_a_loss_is_no_stop() -> None:
    over = credential(on_foreign=OnForeign.OVERWRITE)
    for phase in (SETTLED, PUBLISHED):
        for reason in (HoldReason.FOREIGN_WRITE, HoldReason.DELETED):
            assert stops(over, record(phase, lost=LostValue(reason, PLACE, NOW))) is None
