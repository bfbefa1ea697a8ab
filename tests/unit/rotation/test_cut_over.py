"""Values that are made here and told to the target, by us or by a person: what is decided, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.decide import next_step
from rotator.rotation.record import Failure, Phase, Record, Trigger
from rotator.rotation.rotation_request import RequestAnswer, answer
from rotator.rotation.steps import Escalate, Install, Poll, Request, Verify, Wait
from tests.kit.records import replace
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    ask,
    candidate,
    changes,
    credential,
    published,
    record,
)

AT = NOW + MINUTE
PENDING = replace(candidate(), pending=True)
AWAITING, STAGED, INSTALLED, REQUESTED = Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.REQUESTED
WITH_KEY = {"candidate": PENDING, "slot_version": 2, "slot_full": True}

# record, time since NOW, step
DECIDED = {
    "staged and the target not told yet: install": (record(STAGED, candidate=PENDING), SECOND, Install()),
    "installed and caches may be old: wait": (
        record(INSTALLED, ready_at=NOW + HOUR),
        MINUTE,
        Wait(NOW + HOUR, "the target may not know of the new value everywhere yet"),
    ),
    "installed and known everywhere: verify": (record(INSTALLED), SECOND, Verify()),
    "installed, in a journal that does not say when it is known: verify": (
        record(INSTALLED, ready_at=None),
        SECOND,
        Verify(),
    ),
    "the target was told a value a moment ago and did not answer: nothing new begins": (
        record(Phase.SETTLED, current=None, unanswered_at=NOW),
        SECOND,
        Wait(NOW + 10 * SECOND, "a value that the target was told may still be on its way"),
    ),
    "by now it has landed, or never will": (
        record(Phase.SETTLED, current=None, unanswered_at=NOW),
        10 * SECOND,
        Request(Trigger.MISSING, "nothing published yet"),
    ),
    "it was told in this very second, which Vault tells by its beginning: nothing new begins": (
        record(Phase.SETTLED, current=None, unanswered_at=NOW + 2 * SECOND),
        SECOND,
        Wait(NOW + 12 * SECOND, "a value that the target was told may still be on its way"),
    ),
    "it was told in the future, by a clock that was wrong: nobody waits for that": (
        record(Phase.SETTLED, current=None, unanswered_at=NOW + DAY),
        SECOND,
        Request(Trigger.MISSING, "nothing published yet"),
    ),
    "a person has to bring a value: wait for the next reminder, and say what to do": (
        record(AWAITING),
        MINUTE,
        Wait(NOW + DAY, "waits for a person: paste the key"),
    ),
    "a person has to install our value: see whether they have": (record(AWAITING, **WITH_KEY), MINUTE, Poll(False)),
    "they had not, a moment ago: wait, and say what to do": (
        record(AWAITING, **WITH_KEY, retry_at=NOW + MINUTE),
        SECOND,
        Wait(NOW + MINUTE, "waits for a person: paste the key"),
    ),
    "a day later: remind them": (record(AWAITING), DAY, Poll(True)),
}


@pytest.mark.parametrize(("known", "later", "step"), DECIDED.values(), ids=DECIDED)
def test_next_step(known: Record, later: Any, step: Any) -> None:
    assert next_step(credential(), known, NOW + later) == step


# record, event, the fields that are different afterwards
ADVANCED: dict[str, tuple[Record, ev.Event, dict[str, Any]]] = {
    "a person has to bring the value: the mint was not sent, and is not counted": (
        record(REQUESTED, uncertain=True, retry_at=NOW),
        ev.Awaited(AT, "press Generate"),
        {
            "phase": AWAITING,
            "awaiting": "press Generate",
            "awaiting_since": AT,
            "reminded_at": AT,
            "sends": 0,
            "mints": (),
            "retry_at": None,
        },
    ),
    "a person has to install what is staged: it stays the candidate": (
        record(STAGED, candidate=PENDING),
        ev.Awaited(AT, "paste the key"),
        {"phase": AWAITING, "awaiting": "paste the key", "awaiting_since": AT, "reminded_at": AT},
    ),
    "the same is still to do: it is awaited since the first time": (
        record(AWAITING, candidate=PENDING),
        ev.Awaited(AT, "paste the key"),
        {"reminded_at": AT},
    ),
    "not done yet": (
        record(AWAITING, **WITH_KEY),
        ev.Polled(AT, AT + MINUTE, "401"),
        {"retry_at": AT + MINUTE, "retry_from": AT},
    ),
    "told once more": (record(AWAITING), ev.Reminded(AT, "please"), {"reminded_at": AT}),
    "the value was brought": (
        record(AWAITING),
        ev.Staged(AT, candidate()),
        {"phase": STAGED, "candidate": candidate(), "slot_version": 2, "slot_full": True},
    ),
    "the value was brought on the way: no mint is counted": (
        record(REQUESTED),
        ev.Staged(AT, candidate(), supplied=True),
        {
            "phase": STAGED,
            "candidate": candidate(),
            "slot_version": 2,
            "slot_full": True,
            "sends": 0,
            "mints": (),
        },
    ),
    "settings let us do it after all: one more mint is authorised": (
        record(AWAITING, sends=0, mints=()),
        ev.NotMinted(AT, resend=True),
        {"phase": REQUESTED, "sends": 1, "sent_at": AT, "mints": (AT,), "strays": True},
    ),
    "the person has installed it: it is proven": (
        record(AWAITING, **WITH_KEY),
        ev.Verified(AT, 1),
        {
            "phase": Phase.VERIFIED,
            "verified_at": AT,
            "expected_version": 1,
            "candidate": candidate(),
        },
    ),
    "installed beside the old value: nobody is cut off": (
        record(STAGED, candidate=PENDING),
        ev.Installed(AT, replace(candidate().token, serial="2"), AT + SECOND),
        {
            "phase": INSTALLED,
            "candidate": replace(candidate(), token=replace(candidate().token, serial="2")),
            "installed_at": AT,
            "ready_at": AT + SECOND,
        },
    ),
    "installed over the old value: consumers are cut off from before the call": (
        record(STAGED, candidate=PENDING),
        ev.Installed(AT, candidate().token, AT, cut_over_at=NOW),
        {
            "phase": INSTALLED,
            "candidate": candidate(),
            "installed_at": AT,
            "ready_at": AT,
            "cut_over_at": NOW,
        },
    ),
    "refused: the candidate will be burned": (
        record(INSTALLED),
        ev.CandidateRejected(AT, "401"),
        {"phase": Phase.REJECTED, "failure": Failure("verify", "401", AT)},
    ),
    "published: Vault and target agree again": (
        record(Phase.VERIFIED, cut_over_at=NOW),
        ev.Published(AT, 2),
        changes(record(Phase.VERIFIED), ev.Published(AT, 2)) | {"predecessor": published(1, refused_at=NOW)},
    ),
    "burned: the old value is back, the next attempt has not begun to cut over": (
        record(Phase.REJECTED, cut_over_at=NOW),
        ev.Burned(AT, (), give_up=False),
        changes(record(Phase.REJECTED), ev.Burned(AT, (), give_up=False)) | {"cut_over_at": None},
    ),
    "the target does not take the old value back: the next attempt ends the same cut-over, and says what it is for": (
        record(Phase.REJECTED, cut_over_at=NOW),
        ev.Burned(AT, (), give_up=False, lost="used before"),
        changes(record(Phase.REJECTED), ev.Burned(AT, (), give_up=False))
        | {"refused_at": AT, "failure": Failure("burn", "used before", AT)},
    ),
    "given up, and the old value is not back: what is published is refused": (
        record(Phase.REJECTED, cut_over_at=NOW),
        ev.Burned(AT, (), give_up=True, lost="used before"),
        changes(record(Phase.REJECTED), ev.Burned(AT, (), give_up=True))
        | {"refused_at": AT, "failure": Failure("burn", "used before", AT)},
    ),
    "rejected after trouble: how often it cannot be burned is counted from here": (
        record(INSTALLED, failures=3),
        ev.CandidateRejected(AT, "401"),
        {"phase": Phase.REJECTED, "failures": 0, "failure": Failure("verify", "401", AT)},
    ),
    "fenced off after trouble: the same": (
        record(Phase.VERIFIED, failures=3),
        ev.Fenced(AT, 3),
        {"phase": Phase.REJECTED, "failures": 0},
    ),
    "given up: the old value is back": (
        record(Phase.REJECTED, cut_over_at=NOW),
        ev.Burned(AT, (), give_up=True),
        changes(record(Phase.REJECTED), ev.Burned(AT, (), give_up=True)),
    ),
}


def test_a_telling_without_an_answer_is_noted_by_vaults_clock() -> None:
    told = ev.Faulted(AT, "install", "no answer", since=AT, unanswered=NOW)
    assert changes(record(STAGED), told)["unanswered_at"] == NOW
    assert "unanswered_at" not in changes(record(STAGED), replace(told, unanswered=None))


@pytest.mark.parametrize(("before", "event", "different"), ADVANCED.values(), ids=ADVANCED)
def test_advance(before: Record, event: ev.Event, different: dict[str, Any]) -> None:
    assert changes(before, event) == different


def test_whoever_asks_is_told_that_a_person_has_to_act() -> None:
    assert answer(record(AWAITING), ask(NOW + SECOND)) is RequestAnswer.AWAITING


def test_what_waits_for_a_person_can_become_an_emergency() -> None:
    wish = ask(NOW + SECOND, emergency=True)
    assert next_step(credential(), record(AWAITING), NOW + MINUTE, wish) == Escalate("ada")
