"""How an event changes a record: (record, event) -> what is different afterwards, and nothing else is."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from rotator.rotation import events as ev
from rotator.rotation import schedule
from rotator.rotation.record import Failure, HoldReason, Phase, Record
from rotator.rotation.transitions import _ADVANCE, advance
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, candidate, changes, published, record

AT = NOW + MINUTE
SETTLED, REQUESTED, STAGED, VERIFIED = Phase.SETTLED, Phase.REQUESTED, Phase.STAGED, Phase.VERIFIED
PUBLISHED, CONDEMNED, REJECTED, HELD = Phase.PUBLISHED, Phase.CONDEMNED, Phase.REJECTED, Phase.HELD
NINETY = 90 * SECOND
PAUSED = {"retry_at": NOW, "failures": 2, "failure": Failure("verify", "no answer", NOW)}

PENDING = replace(candidate(), pending=True)
held = OnHold(HoldReason.FOREIGN_WRITE, "look at it", VERIFIED, AT)


def failed(step: str, reason: str) -> Failure:
    return Failure(step, reason, AT)


# record, event, the fields that are different afterwards
PUBLISHING: dict[str, tuple[Record, ev.Event, dict[str, Any]]] = {
    "verified: proof and expected version are written down": (
        record(STAGED, retry_at=NOW),
        ev.Verified(AT, 1),
        {"phase": VERIFIED, "verified_at": AT, "expected_version": 1, "retry_at": None},
    ),
    "rejected before it was verified: to be burned": (
        record(STAGED, retry_at=NOW),
        ev.CandidateRejected(AT, "401"),
        {"phase": REJECTED, "failure": failed("verify", "401"), "retry_at": None},
    ),
    "rejected after it was verified: abandoned, to be fenced first": (
        record(VERIFIED, retry_at=NOW),
        ev.CandidateRejected(AT, "401"),
        {"abandoned": "401", "failure": failed("publish", "401"), "retry_at": None},
    ),
    "overtaken: the expected version moves on": (
        record(VERIFIED, retry_at=NOW),
        ev.Overtaken(AT, 4),
        {"expected_version": 4, "retry_at": None},
    ),
    "published: the candidate is current, the former current is the predecessor": (
        record(VERIFIED, **PAUSED, refused_at=NOW, abandoned="401"),
        ev.Published(AT, 2, AT + HOUR),
        {
            "grace_ends": AT + HOUR,
            "phase": PUBLISHED,
            "current": published(2, AT),
            "predecessor": published(1, refused_at=NOW),
            "refused_at": None,
            "failures": 0,
            "retry_at": None,
            "failure": None,
        },
    ),
    "published for the first time: there is no predecessor": (
        record(VERIFIED, current=None),
        ev.Published(AT, 2, AT + HOUR),
        {"grace_ends": AT + HOUR, "phase": PUBLISHED, "current": published(2, AT)},
    ),
    "published while a predecessor is still alive: that one stays the predecessor": (
        record(VERIFIED, current=published(1, NOW), predecessor=published(0, NOW - DAY)),
        ev.Published(AT, 2, AT + HOUR),
        {"grace_ends": AT + HOUR, "phase": PUBLISHED, "current": published(2, AT)},
    ),
    "fenced: nothing can publish the candidate any more, it may be burned": (
        record(VERIFIED, abandoned="401", retry_at=NOW),
        ev.Fenced(AT, 2),
        {"phase": REJECTED, "retry_at": None},
    ),
}

RETIRING = {
    "deferred: look again later, knowing why": (
        record(PUBLISHED, failure=failed("condemn", "503")),
        ev.Deferred(AT, AT + HOUR, "last used just now"),
        {"retry_at": AT + HOUR, "retry_from": AT, "evidence": "last used just now", "failure": None},
    ),
    "condemned: with the evidence": (
        record(PUBLISHED, failures=2, retry_at=NOW),
        ev.Condemned(AT, "quiet"),
        {"phase": CONDEMNED, "condemned_at": AT, "evidence": "quiet", "failures": 0, "retry_at": None},
    ),
    "disproved: settled and due again, the predecessor stays": (
        record(PUBLISHED, emergency=True, retry_at=NOW),
        ev.Disproved(AT, "401"),
        {
            "phase": SETTLED,
            "refused_at": AT,
            "failure": failed("condemn", "401"),
            "strays": True,
            "emergency": False,
            "retry_at": None,
        },
    ),
    "retired: no predecessor, the proof is kept": (
        record(CONDEMNED, failures=1, retry_at=NOW),
        ev.Retired(AT, "refused"),
        {
            "predecessor": None,
            "retired": record(CONDEMNED).predecessor,
            "evidence": "refused",
            "failures": 0,
            "retry_at": None,
        },
    ),
    "swept at the end: settled, all clear": (
        record(CONDEMNED, predecessor=None, strays=True, emergency=True, **PAUSED),
        ev.Swept(AT, ("t1.2",)),
        {
            "phase": SETTLED,
            "slot_full": False,
            "strays": False,
            "sends": 0,
            "emergency": False,
            "settled_at": AT,
            "failures": 0,
            "failure": None,
            "retry_at": None,
        },
    ),
    "swept after giving up: failure and pause stay": (
        record(SETTLED, slot_full=True, strays=True, sends=3, **PAUSED),
        ev.Swept(AT, ()),
        {"slot_full": False, "strays": False, "sends": 0, "settled_at": AT},
    ),
}

ANYWHERE = {
    "escalated: an emergency, no pause": (
        record(PUBLISHED, retry_at=NOW),
        ev.Escalated(AT, "bob"),
        {"emergency": True, "asked_by": "bob", "retry_at": None},
    ),
    "resumed while minting: whether the request left is unknown": (
        record(REQUESTED),
        ev.Resumed(AT),
        {"uncertain": True},
    ),
    "resumed while minting, after a holder that has ended: the request may have left just now": (
        record(REQUESTED),
        ev.Resumed(AT, AT),
        {"uncertain": True, "sent_at": AT},
    ),
    "resumed elsewhere: nothing is in doubt": (record(STAGED), ev.Resumed(AT, AT), {}),
    "resumed where the target may have been told the next value, without a trace": (
        record(STAGED, candidate=PENDING),
        ev.Resumed(AT, AT),
        {"unanswered_at": AT},
    ),
    "resumed where it may have been told the old value again, without a trace": (
        record(REJECTED, cut_over_at=NOW),
        ev.Resumed(AT, AT),
        {"unanswered_at": AT},
    ),
    "resumed where the visit before came to its end: all is known": (
        record(STAGED, candidate=PENDING, unanswered_at=NOW),
        ev.Resumed(AT),
        {},
    ),
    "put on hold: everything known is kept, and where it was": (
        record(VERIFIED, retry_at=NOW),
        ev.PutOnHold(AT, HoldReason.FOREIGN_WRITE, "look at it"),
        {"phase": HELD, "held": held, "retry_at": None},
    ),
    "a stray was revoked: it was never the record's": (record(PUBLISHED), ev.Reaped(AT, "t0.9", "ada"), {}),
    "released: back to where it was": (
        record(HELD, failures=3, retry_at=NOW),
        ev.Released(AT, "ada"),
        {"phase": VERIFIED, "held": None, "failures": 0, "retry_at": None},
    ),
    "released from the mint budget: the budget begins anew": (
        record(HELD, held=replace(held, reason=HoldReason.MINT_BUDGET), mints=(NOW,), given_up=2),
        ev.Released(AT, "ada"),
        {"phase": VERIFIED, "held": None, "mints": (), "given_up": 0},
    ),
    "released although the predecessor is in use: the person has decided, it may go": (
        record(HELD, held=replace(held, reason=HoldReason.STILL_USED)),
        ev.Released(AT, "ada"),
        {"phase": VERIFIED, "held": None, "emergency": True},
    ),
    "released without a hold: it is where it was": (record(STAGED), ev.Released(AT, "ada"), {}),
    "a fault is counted, and there is a pause": (
        record(STAGED, failures=2),
        ev.Faulted(AT, "verify", "503", 90.0),
        {"failures": 3, "failure": failed("verify", "503"), "retry_at": AT + NINETY, "retry_from": AT},
    ),
    "a fault while what was given up is cleared away does not shorten its pause": (
        record(SETTLED, slot_full=True, retry_at=AT + DAY),
        ev.Faulted(AT, "sweep", "503"),
        {"failures": 1, "failure": failed("sweep", "503"), "retry_from": AT},
    ),
    "a fault while minting leaves the mint in doubt": (
        record(REQUESTED),
        ev.Faulted(AT, "mint", "timeout"),
        {
            "failures": 1,
            "failure": failed("mint", "timeout"),
            "retry_at": AT + schedule.step_pause(1, "l1", None),
            "retry_from": AT,
            "uncertain": True,
            "sent_at": AT,
        },
    ),
}

TABLE = PUBLISHING | RETIRING | ANYWHERE


@pytest.mark.parametrize(("before", "event", "different"), TABLE.values(), ids=TABLE)
def test_advance(before: Record, event: ev.Event, different: dict[str, Any]) -> None:
    assert changes(before, event) == different


def test_every_event_has_its_way_to_change_a_record() -> None:
    assert set(_ADVANCE) == set(get_args(ev.Event))


def test_publishing_nothing_or_nowhere_is_a_bug_and_is_said() -> None:
    with pytest.raises(ValueError, match="settled without a candidate"):
        advance(record(SETTLED), ev.Published(AT, 2))
    with pytest.raises(ValueError, match="at no place"):
        advance(record(VERIFIED, place=None), ev.Published(AT, 2))


def test_a_fault_elsewhere_does_not_clear_a_mint_in_doubt() -> None:
    assert advance(record(REQUESTED, uncertain=True), ev.Faulted(AT, "look", "503")).uncertain
