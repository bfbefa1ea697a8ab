"""The words for what happened: every event has a name, a severity and a sentence."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from typing import get_args

import pytest

from rotator.rotation import events as ev
from rotator.rotation.messages import _WORDS, EventSeverity, describe
from rotator.rotation.record import HoldReason, LostValue, Phase, Trigger
from rotator.rotation.transitions import advance
from tests.unit.rotation.builders import HOUR, NOW, PLACE, STEM, candidate, record

# record before, event, what is said of it
BURNED = record(Phase.REJECTED).mint_name  # not the one of the next attempt, which the record bears afterwards
TABLE = {
    "requested": (
        record(Phase.SETTLED),
        ev.Requested(NOW, Trigger.AGED, "due since noon", "", False, STEM, PLACE, "blog", "1:new"),
        "rotation 2 begins: due since noon",
    ),
    "requested in place of a dead one": (
        record(Phase.SETTLED),
        ev.Requested(NOW, Trigger.AGED, "due since noon", "", False, STEM, PLACE, "blog", "1:new", value="refused"),
        "rotation 2 begins: due since noon; it replaces a value that fails its proof at the target",
    ),
    "lost": (
        record(Phase.SETTLED),
        ev.Lost(NOW, HoldReason.DELETED, PLACE),
        "kv/blog/bot was deleted: consumers do not find the published value",
    ),
    "returned": (
        record(Phase.SETTLED, lost=LostValue(HoldReason.DELETED, PLACE, NOW)),
        ev.Returned(NOW, PLACE),
        "kv/blog/bot holds the published value again",
    ),
    "escalated": (
        record(Phase.PUBLISHED),
        ev.Escalated(NOW, "ada"),
        "rotation 2 is an emergency now, asked by ada",
    ),
    "resumed": (record(Phase.STAGED), ev.Resumed(NOW), "resumed"),
    "staged": (record(Phase.REQUESTED), ev.Staged(NOW, candidate()), "t2.1 minted and staged"),
    "mint lost": (record(Phase.REQUESTED), ev.MintLost(NOW, "timeout"), f"{STEM}-r2-a1: timeout"),
    "not minted": (record(Phase.REQUESTED), ev.NotMinted(NOW, True), f"nothing was minted under {STEM}-r2-a1"),
    "mint refused": (record(Phase.REQUESTED), ev.MintRefused(NOW, "quota"), "no new value was made: quota"),
    "verified": (record(Phase.STAGED), ev.Verified(NOW, 1), "t2.1 accepted by the target"),
    "rejected": (record(Phase.STAGED), ev.CandidateRejected(NOW, "401"), "t2.1 rejected: 401"),
    "overtaken": (
        record(Phase.VERIFIED),
        ev.Overtaken(NOW, 4),
        "kv/blog/bot moved on to version 4; publishing over that",
    ),
    "published": (record(Phase.VERIFIED), ev.Published(NOW, 2), "t2.1 published at kv/blog/bot, version 2"),
    "awaited": (record(Phase.REQUESTED), ev.Awaited(NOW, "paste it"), "waits for a person: paste it"),
    "polled": (record(Phase.AWAITING), ev.Polled(NOW, NOW + HOUR, "401"), "still waits for a person: 401"),
    "reminded": (record(Phase.AWAITING), ev.Reminded(NOW, "paste it, please"), "paste it, please"),
    "installed": (
        record(Phase.STAGED),
        ev.Installed(NOW, candidate().token, NOW),
        "t2.1 put on the target",
    ),
    "fenced": (
        record(Phase.VERIFIED),
        ev.Fenced(NOW, 3),
        "kv/blog/bot fenced at version 3; the candidate is given up",
    ),
    "deferred": (
        record(Phase.PUBLISHED),
        ev.Deferred(NOW, NOW + HOUR, "in use"),
        "predecessor stays until 2026-03-01 13:00:00Z: in use",
    ),
    "condemned": (record(Phase.PUBLISHED), ev.Condemned(NOW, "quiet"), "predecessor t1.1 may go: quiet"),
    "disproved": (
        record(Phase.PUBLISHED),
        ev.Disproved(NOW, "401"),
        "the published value fails its proof now: 401",
    ),
    "retired": (record(Phase.CONDEMNED), ev.Retired(NOW, "t1.1 revoked"), "t1.1 revoked"),
    "burned": (record(Phase.REJECTED), ev.Burned(NOW, ("t2.1", "t2.2"), False), f"{BURNED} burned: t2.1, t2.2"),
    "burned, with nothing there": (record(Phase.REJECTED), ev.Burned(NOW, (), True), f"{BURNED} burned: none"),
    "burned, but for what ends by itself": (
        record(Phase.REJECTED),
        ev.Burned(NOW, (), False, left="t2.1 is left to its date and ends by itself at 12:00"),
        f"{BURNED} burned: none; t2.1 is left to its date and ends by itself at 12:00",
    ),
    "burned, and the old value is not back": (
        record(Phase.REJECTED),
        ev.Burned(NOW, ("t2.1",), False, lost="used before"),
        f"{BURNED} burned: t2.1; consumers are cut off until a new value works: used before",
    ),
    "swept": (record(Phase.CONDEMNED), ev.Swept(NOW, ()), "rotation 2 settled"),
    "a stray reaped": (
        record(Phase.SETTLED),
        ev.Reaped(NOW, "t0.9"),
        "t0.9 revoked: it bears our mark, and nothing accounts for it",
    ),
    "a stray reaped by somebody": (
        record(Phase.SETTLED),
        ev.Reaped(NOW, "t0.9", "ada"),
        "t0.9 revoked: it bears our mark, and nothing accounts for it; asked by ada",
    ),
    "held": (record(Phase.STAGED), ev.PutOnHold(NOW, HoldReason.DELETED, "look"), "held: look"),
    "released": (record(Phase.HELD), ev.Released(NOW, "ada"), "released by ada"),
    "faulted": (record(Phase.STAGED), ev.Faulted(NOW, "verify", "503", 9.5), "verify: 503"),
    "nothing known yet": (
        record(Phase.SETTLED, current=None, place=None),
        ev.Faulted(NOW, "request", "503"),
        "request: 503",
    ),
}


@pytest.mark.parametrize(("before", "event", "said"), TABLE.values(), ids=TABLE)
def test_what_is_said(before, event, said) -> None:
    assert describe(before, event, advance(before, event)).said == said


@pytest.mark.parametrize(("before", "event", "said"), TABLE.values(), ids=TABLE)
def test_machines_get_every_field_of_the_event_and_where_it_happened(before, event, said) -> None:
    told = describe(before, event, advance(before, event)).fields
    assert {"rotation", "attempt", "phase", *(x.name for x in fields(event))} - {"at"} == set(told)
    assert all(isinstance(value, str | int | float | bool | None) for value in told.values())


def test_every_event_has_a_name_of_its_own_made_of_noun_and_past_participle() -> None:
    names = [name for name, _, _ in _WORDS.values()]
    assert set(_WORDS) == set(get_args(ev.Event))
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", name) for name in names)


def test_what_calls_for_a_person_is_an_error() -> None:
    errors = {event for event, (_, severity, _) in _WORDS.items() if severity is EventSeverity.ERROR}
    assert errors == {ev.MintRefused, ev.CandidateRejected, ev.Disproved, ev.Lost, ev.PutOnHold, ev.UndoFailed}


def test_consumers_that_stay_cut_off_are_an_error() -> None:
    before = record(Phase.REJECTED)
    said = [ev.Burned(NOW, (), False, lost=lost) for lost in ("", "used before")]
    assert [describe(before, x, advance(before, x)).severity for x in said] == [
        EventSeverity.WARNING,
        EventSeverity.ERROR,
    ]


def test_after_a_hard_cut_over_the_time_of_disagreement_is_told() -> None:
    before, event = record(Phase.VERIFIED, cut_over_at=NOW), ev.Published(NOW + timedelta(milliseconds=420), 2)
    told = describe(before, event, advance(before, event))
    assert told.said == "t2.1 published at kv/blog/bot, version 2; Vault and target disagreed for 0.42 s"
    assert told.fields["disagreed_seconds"] == 0.42
