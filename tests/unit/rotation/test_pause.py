"""A pause stops what begins and what ends, and nothing in between; an emergency does not ask."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential_state import state
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.pause import pause_on, words
from rotator.rotation.record import HoldReason, Pause, Phase, Record, Trigger
from rotator.rotation.rotation_request import RequestAnswer, answer
from rotator.rotation.steps import Condemn, Escalate, Hold, Mint, Publish, Request, Revoke, Step, Sweep, Verify, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import replace
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PLACE,
    ask,
    changes,
    credential,
    published,
    record,
    token,
)

FOR_EVER = Pause("ada", NOW, "a freeze")
FOR_AN_HOUR = Pause("ada", NOW, until=NOW + HOUR)
SAID = "paused by ada since 2026-03-01 12:00:00Z until somebody resumes it: a freeze"
DUE = NOW + 31 * DAY


def paused(phase: Phase, pause: Pause = FOR_EVER, **changes) -> Record:
    return record(phase, paused=pause, **changes)


# record, when, what is done about it
STEPS: dict[str, tuple[Record, timedelta, Step]] = {
    "due: not begun": (paused(Phase.SETTLED), DUE - NOW, Wait(None, SAID)),
    "not due: it says when it will be": (
        paused(Phase.SETTLED),
        HOUR,
        Wait(NOW + 30 * DAY, "due at 2026-03-31 12:00:00Z"),
    ),
    "due, paused for a while: looked at again then": (
        paused(Phase.SETTLED, Pause("ada", DUE, until=DUE + HOUR)),
        DUE - NOW,
        Wait(DUE + HOUR, "paused by ada since 2026-04-01 12:00:00Z until 2026-04-01 13:00:00Z"),
    ),
    "due, and the pause is over": (
        paused(Phase.SETTLED, FOR_AN_HOUR),
        DUE - NOW,
        Request(Trigger.AGED, "due since 2026-03-31 12:00:00Z"),
    ),
    "tidied up all the same": (paused(Phase.SETTLED, slot_full=True), DUE - NOW, Sweep(False)),
    "one that ends by its date does": (
        paused(Phase.SETTLED, predecessor=published(1), ends_at=NOW),
        DUE - NOW,
        Revoke(),
    ),
    "its end is awaited": (
        paused(Phase.SETTLED, predecessor=published(1), ends_at=DUE + DAY),
        DUE - NOW,
        Wait(DUE + DAY, "the predecessor is expected to end then, by its own date"),
    ),
    "a mint that was authorised is sent": (paused(Phase.REQUESTED), HOUR, Mint(record(Phase.REQUESTED).mint_name)),
    "a candidate is proven": (paused(Phase.STAGED), HOUR, Verify()),
    "and published": (paused(Phase.VERIFIED), timedelta(0), Publish(1, reprove=False)),
    "a predecessor stays": (paused(Phase.PUBLISHED), DAY, Wait(None, SAID)),
    "until the pause is over": (
        paused(Phase.PUBLISHED, FOR_AN_HOUR),
        MINUTE,
        Wait(NOW + HOUR, "paused by ada since 2026-03-01 12:00:00Z until 2026-03-01 13:00:00Z"),
    ),
    "a first publication is tidied up": (paused(Phase.PUBLISHED, predecessor=None), HOUR, Sweep(False)),
    "a condemned one is not revoked": (paused(Phase.CONDEMNED), HOUR, Wait(None, SAID)),
    "one that is dead is tidied up after": (paused(Phase.CONDEMNED, predecessor=None), HOUR, Sweep(False)),
    "in an emergency a predecessor ends": (paused(Phase.PUBLISHED, emergency=True), MINUTE, Condemn()),
    "in an emergency it is revoked": (paused(Phase.CONDEMNED, emergency=True), MINUTE, Revoke()),
}


@pytest.mark.parametrize(("known", "later", "step"), STEPS.values(), ids=STEPS)
def test_while_paused(known: Record, later: timedelta, step: Step) -> None:
    assert next_step(credential(), known, NOW + later) == step


def test_a_spent_mint_budget_is_no_reason_to_hold_what_is_paused() -> None:
    spent = paused(Phase.SETTLED, mints=(DUE,) * 6)
    assert next_step(credential(), spent, DUE) == Wait(None, SAID)
    assert isinstance(next_step(credential(), replace(spent, paused=None), DUE), Hold)


def test_an_emergency_overrides_a_pause_which_then_goes_on() -> None:
    wish = ask(NOW + HOUR, emergency=True)
    begun = next_step(credential(), paused(Phase.SETTLED), NOW + HOUR, wish)
    assert begun == Request(Trigger.ASKED, "asked for by ada", "ada", emergency=True)
    assert next_step(credential(), paused(Phase.PUBLISHED), NOW + HOUR, wish) == Escalate("ada")
    assert next_step(credential(), paused(Phase.CONDEMNED), NOW + HOUR, wish) == Revoke()
    after = advance(
        paused(Phase.SETTLED), ev.Requested(NOW, Trigger.ASKED, "", "ada", True, "stem", PLACE, "blog", "1:x")
    )
    assert after.paused == FOR_EVER


@pytest.mark.parametrize(
    ("known", "emergency", "said"),
    [
        (paused(Phase.SETTLED), False, RequestAnswer.PAUSED),
        (paused(Phase.CONDEMNED), False, RequestAnswer.PAUSED),
        (paused(Phase.SETTLED), True, RequestAnswer.OPEN),
        (paused(Phase.SETTLED, FOR_AN_HOUR), False, RequestAnswer.OPEN),
        (paused(Phase.STAGED), False, RequestAnswer.OPEN),
        (paused(Phase.PUBLISHED), False, RequestAnswer.PAUSED),
        (paused(Phase.PUBLISHED), True, RequestAnswer.OPEN),
        (paused(Phase.SETTLED, current=published(1, DUE)), False, RequestAnswer.DONE),
    ],
)
def test_who_asks_for_a_new_value_meanwhile_is_told(known: Record, emergency: bool, said: RequestAnswer) -> None:
    assert answer(known, ask(NOW + 2 * HOUR, emergency=emergency)) is said


def test_a_word_replaces_the_one_before_and_another_ends_it() -> None:
    known = record(Phase.PUBLISHED)
    assert changes(known, ev.Paused(NOW, "ada", "a freeze", None)) == {"paused": FOR_EVER}
    assert changes(replace(known, paused=FOR_EVER), ev.Paused(NOW, "ada", "", NOW + HOUR)) == {"paused": FOR_AN_HOUR}
    assert changes(replace(known, paused=FOR_EVER), ev.Unpaused(NOW, "bob")) == {"paused": None}


def test_it_ends_by_itself_at_its_time() -> None:
    known = paused(Phase.SETTLED, FOR_AN_HOUR)
    assert pause_on(credential(), known, NOW + HOUR - MINUTE) == FOR_AN_HOUR
    assert pause_on(credential(), known, NOW + HOUR) is None
    assert pause_on(credential(), record(Phase.SETTLED), NOW) is None
    assert words(FOR_AN_HOUR).endswith("until 2026-03-01 13:00:00Z")


def test_status_and_explain_say_who_paused_it_and_why() -> None:
    expiring = published(1, token=token(1, expires_at=NOW + HOUR))
    known = paused(Phase.SETTLED, current=expiring)
    assert state(credential(), known, NOW + 2 * HOUR).operator_pause == SAID
    assert state(credential(), record(Phase.SETTLED), NOW).operator_pause == ""
    assert f"P{SAID[1:]}." in list(explain(credential(), known, NOW))


def test_a_pause_does_not_lift_a_hold() -> None:
    known = paused(Phase.HELD)
    assert known.held is not None
    assert known.held.reason is HoldReason.FOREIGN_WRITE
    assert next_step(credential(), known, NOW) == Wait(None, "held: look at it")
