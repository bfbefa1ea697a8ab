"""The state of one credential: its word, sentence, times, remedy, and the exit code of a command that looks."""

from __future__ import annotations

from dataclasses import fields

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential import Retirement
from rotator.rotation.credential_state import Headline, Observed, Severity, State, pass_exit, state
from rotator.rotation.explanation import explain
from rotator.rotation.record import Failure, HoldReason, Pause, Phase, Record, Unended
from rotator.rotation.transitions import advance
from rotator.rotation.wording import when
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, credential, published, record, token

FAILURE = Failure("verify", "503", NOW)
DEAD = published(1, NOW - 91 * DAY, token=token(1, expires_at=NOW - HOUR))
LEFT = (Unended(published(0, token=token(0, id="bot-1")), "click on Revoke", NOW, NOW),)
LIVING = published(1, NOW - DAY, token=token(1, expires_at=NOW + 89 * DAY))
HOLD = OnHold(HoldReason.FOREIGN_WRITE, "look at it", Phase.SETTLED, NOW)


def judged(phase: Phase, observed: Observed | None = None, **changes) -> State:
    return state(credential(), record(phase, **changes), NOW, observed)


def test_a_credential_without_a_record_is_due_and_nothing_was_published() -> None:
    seen = state(credential(), None, NOW)
    assert (seen.word, seen.phase, seen.rotation, seen.live, seen.known) == (Headline.FIRST, "settled", 0, 0, True)
    assert (seen.published_at, seen.next_at, seen.said) == (None, NOW, "nothing was published yet")
    assert seen.next == "begin a rotation (missing): nothing published yet"


def test_a_state_shows_what_is_published_and_when_to_come_again() -> None:
    current = published(1, token=token(1, expires_at=NOW + 90 * DAY))
    seen = judged(Phase.SETTLED, Observed(holder="host-a", accepted_at=NOW - MINUTE), current=current)
    assert (seen.name, seen.target, seen.path, seen.holder, seen.said) == (
        "blog/bot",
        "blog",
        "kv/blog/bot",
        "host-a",
        "",
    )
    assert (seen.published_at, seen.expires_at, seen.next_at) == (NOW, NOW + 90 * DAY, NOW + 30 * DAY)
    assert (seen.accepted_at, seen.exit, seen.mark) == (NOW - MINUTE, 0, Severity.FINE)


# word, exit code, living values, record
SHOWN = {
    "settled": (Headline.SETTLED, 0, 1, record(Phase.SETTLED, current=LIVING)),
    "expired": (Headline.EXPIRED, 5, 0, record(Phase.SETTLED, current=DEAD, requested_at=DEAD.at)),
    "refused": (Headline.REFUSED, 5, 0, record(Phase.SETTLED, current=LIVING, refused_at=NOW)),
    "held": (Headline.HELD, 3, 1, record(Phase.HELD, current=LIVING, candidate=None, held=HOLD)),
    "held while it expired": (Headline.HELD, 5, 0, record(Phase.HELD, current=DEAD, candidate=None, held=HOLD)),
    "waits for a person": (Headline.NEEDS_YOU, 3, 1, record(Phase.AWAITING, current=LIVING)),
    "overdue": (Headline.OVERDUE, 1, 1, record(Phase.SETTLED, current=published(1, NOW - 40 * DAY))),
    "its predecessor is late": (
        Headline.LATE,
        1,
        2,
        record(Phase.CONDEMNED, current=published(2, NOW - 2 * DAY)),
    ),
    "in grace": (Headline.IN_GRACE, 0, 2, record(Phase.PUBLISHED)),
    "without a predecessor": (Headline.ROTATING, 0, 1, record(Phase.PUBLISHED, predecessor=None)),
    "the target was told the next value": (
        Headline.ROTATING,
        0,
        1,
        record(Phase.INSTALLED, current=LIVING, cut_over_at=NOW),
    ),
    "failing": (Headline.FAILING, 0, 1, record(Phase.SETTLED, current=LIVING, failure=FAILURE)),
    "an old value is a person's to end": (Headline.WAITING, 3, 2, record(Phase.SETTLED, current=LIVING, unended=LEFT)),
    "it expired while an old value is a person's to end": (
        Headline.EXPIRED,
        5,
        1,
        record(Phase.SETTLED, current=DEAD, unended=LEFT),
    ),
    "an undo that failed": (
        Headline.SETTLED,
        0,
        1,
        record(Phase.SETTLED, current=LIVING, failure=Failure("undo", "401", NOW)),
    ),
}


@pytest.mark.parametrize(("word", "code", "live", "known"), SHOWN.values(), ids=SHOWN)
def test_the_word_the_exit_code_and_the_living_values_go_together(word, code, live, known) -> None:
    seen = state(credential(), known, NOW)
    assert (seen.word, seen.exit, seen.live) == (word, code, live)
    assert bool(seen.said) is (seen.mark is not Severity.FINE)


# what is seen, and its sentence
SAID = {
    "all that a person must act on": (
        judged(Phase.HELD, current=DEAD, candidate=None, held=HOLD),
        "look at it (foreign_write); the published value expired at 2026-03-01 11:00:00Z",
    ),
    "the cause of what is late": (
        judged(Phase.SETTLED, current=DEAD, requested_at=DEAD.at, failure=FAILURE),
        "the published value expired at 2026-03-01 11:00:00Z; proving the new value failed: 503",
    ),
    "a cause that is told already": (
        judged(Phase.SETTLED, Observed(left_alone="503"), current=LIVING, failure=FAILURE, failures=2),
        "proving the new value failed: 503 (2 in a row)",
    ),
    "nothing of failures to whom a person has to act": (
        judged(Phase.AWAITING, Observed(left_alone="timed out"), failure=FAILURE),
        "since 2026-03-01 12:00:00Z: paste the key",
    ),
    "what a person has to end by hand": (
        judged(Phase.SETTLED, current=LIVING, unended=LEFT),
        "since 2026-03-01 12:00:00Z the old value bot-1 waits for a person to end it: click on Revoke",
    ),
    "that the target is left alone": (
        judged(Phase.SETTLED, Observed(left_alone="timed out"), current=LIVING),
        "timed out",
    ),
    "that Vault cannot be read": (
        judged(Phase.SETTLED, Observed(stale="sealed"), current=LIVING),
        "Vault cannot be read, this is what was so before: sealed",
    ),
    "that it was not shown to its target": (
        judged(Phase.SETTLED, Observed(unproven_at=NOW), current=LIVING),
        "this process has not shown the published value to its target since 2026-03-01 12:00:00Z: not proven yet",
    ),
    "a first doubt": (
        judged(Phase.SETTLED, Observed(doubted_at=NOW), current=LIVING),
        "the target refused the published value at 2026-03-01 12:00:00Z; it is asked once more before that counts",
    ),
}


@pytest.mark.parametrize(("seen", "said"), SAID.values(), ids=SAID)
def test_the_sentence_says(seen: State, said: str) -> None:
    assert seen.said == said


@pytest.mark.parametrize("reason", list(HoldReason))
def test_every_hold_names_the_command_that_ends_it(reason: HoldReason) -> None:
    seen = judged(Phase.HELD, held=OnHold(reason, "look", Phase.SETTLED, NOW - MINUTE))
    ends = "rotate claim" if reason is HoldReason.TWO_VAULTS else "rotate release blog/bot"
    assert ends in seen.do
    assert (seen.hold, seen.held_at, seen.since, seen.next_at) == (reason, NOW - MINUTE, NOW - MINUTE, None)


def test_a_hold_proposes_an_adoption_only_where_it_is_accepted() -> None:
    assert judged(Phase.HELD, held=HOLD, candidate=None).do.startswith("rotate adopt blog/bot to keep what is there")
    for begun in (replace(HOLD, phase=Phase.VERIFIED), replace(HOLD, reason=HoldReason.DELETED)):
        assert "adopt" not in judged(Phase.HELD, held=begun).do
    assert "adopt" not in judged(Phase.HELD, held=HOLD, candidate=None, predecessor=published(1)).do
    unnamed = replace(credential(), identified=False)
    assert "adopt" not in state(unnamed, record(Phase.HELD, held=HOLD, candidate=None), NOW).do, "a kind without names"


def test_a_pause_by_hand_is_told_with_the_command_that_ends_it() -> None:
    seen = judged(Phase.PUBLISHED, current=published(2, NOW - 2 * DAY), paused=Pause("ada", NOW - DAY))
    assert (seen.word, seen.do, seen.revoke_by) == (Headline.PAUSED_BY_HAND, "rotate resume blog/bot", None)


def test_nothing_comes_next_while_it_is_paused_and_a_doubt_is_settled_first() -> None:
    paused = {"current": LIVING, "paused": Pause("ada", NOW - DAY)}
    seen = judged(Phase.SETTLED, **paused)
    assert (seen.next, seen.next_at) == ("nothing before it is resumed", None)
    refused = judged(Phase.SETTLED, refused_at=NOW, **paused)
    assert refused.do == "rotate resume blog/bot, or rotate now blog/bot --emergency"
    assert "paused by ada" in refused.said
    in_grace = judged(Phase.PUBLISHED, refused_at=NOW)
    assert in_grace.do == "rotate now blog/bot --emergency, which ends the grace, or rotate undo blog/bot"
    until = judged(Phase.SETTLED, current=LIVING, paused=Pause("ada", NOW, "", NOW + 300 * DAY))
    assert (until.next_at, until.next.startswith("nothing before 2026-12-26")) == (NOW + 300 * DAY, True)
    short = judged(Phase.SETTLED, current=LIVING, paused=Pause("ada", NOW, "", NOW + HOUR))
    assert short.next == f"wait, due at {when(short.next_at)}"
    doubted = judged(Phase.SETTLED, Observed(doubted_at=NOW), current=LIVING)
    assert doubted.next == "ask the target once more whether it accepts the published value"
    assert doubted.next_at == NOW + credential().limits.settle


def test_what_was_not_read_is_unknown_and_a_fault_hides_nothing_that_is_known() -> None:
    unread = state(credential(), None, NOW, Observed(unread="the target does not answer"))
    assert (unread.word, unread.phase, unread.known, unread.exit) == (Headline.UNSEEN, "unknown", False, 0)
    assert (unread.next, unread.next_at) == ("the target does not answer", None)
    broken = state(credential(), None, NOW, Observed(broken="it was deleted"))
    assert (broken.word, broken.phase, broken.known, broken.exit) == (Headline.BROKEN, "unknown", False, 1)
    known = judged(Phase.SETTLED, Observed(broken="a bug: KeyError"), current=LIVING)
    assert (known.word, known.phase, known.known, known.expires_at) == (
        Headline.BROKEN,
        "settled",
        True,
        NOW + 89 * DAY,
    )


def test_every_field_is_plain_so_that_it_can_be_sent() -> None:
    allowed = {"str", "int", "bool", "datetime | None", "Headline", "Severity", "Mapping[str, str]"}
    assert {field.type for field in fields(State)} <= allowed
    assert state(credential(labels={"team": "web"}), Record("l1"), NOW).labels == {"team": "web"}


@pytest.mark.parametrize(
    ("retire", "changes", "until"),
    [
        (Retirement(HOUR), {}, NOW + HOUR),
        (Retirement(HOUR, 15 * MINUTE, DAY), {}, NOW + DAY),
        (Retirement(HOUR), {"grace_ends": NOW + 2 * HOUR}, NOW + 2 * HOUR),
        (Retirement(HOUR, 15 * MINUTE, DAY), {"emergency": True}, NOW),
        (Retirement(HOUR), {"ends_at": NOW + 3 * HOUR}, NOW + 3 * HOUR),
    ],
    ids=["after", "the deadline", "what was promised", "an emergency", "its own date"],
)
def test_a_predecessor_is_to_be_dead_by(retire: Retirement, changes: dict, until: object) -> None:
    seen = state(credential(retire=retire), record(Phase.PUBLISHED, **changes), NOW)
    assert (seen.revoke_by, seen.predecessors) == (until, 1)


def test_what_another_process_has_published_since_is_proven() -> None:
    known = record(Phase.SETTLED, current=published(2, NOW + MINUTE))
    found = state(credential(), known, NOW + HOUR, Observed(unproven_at=NOW))
    assert (found.word, found.unproven_at) == (Headline.SETTLED, None)
    told = explain(credential(), known, NOW + HOUR, Observed(unproven_at=NOW))
    assert not any("not proven" in text for text in told)


def test_a_predecessor_that_its_target_had_refused_counts_as_dead() -> None:
    """Refused where it was published, or by a target that was told its successor."""
    candidate = record(Phase.VERIFIED, current=LIVING, expected_version=1)
    for dead in ({"refused_at": NOW}, {"cut_over_at": NOW}):
        after = advance(replace(candidate, **dead), ev.Published(NOW, 2, NOW + HOUR))
        found = state(credential(), after, NOW)
        assert (found.live, found.predecessors) == (1, 0)
        assert any("the target refuses since" in text for text in explain(credential(), after, NOW))
    alive = state(credential(), advance(candidate, ev.Published(NOW, 2, NOW + HOUR)), NOW)
    assert (alive.live, alive.predecessors) == (2, 1)


def test_an_adoption_is_shown_as_one() -> None:
    taken = replace(published(1), at=NOW, reused=True)
    known = advance(Record("l2"), ev.Adopted(NOW, "ada", taken, "stem", NOW + HOUR))
    assert state(credential(), known, NOW).adopted
    told = " ".join(explain(credential(), known, NOW))
    assert "was published at" not in told
    assert "t1.1 is adopted" in told
    over = advance(record(Phase.SETTLED, current=published(2)), ev.Adopted(NOW, "ada", taken, "stem", NOW + HOUR))
    assert next(iter(explain(credential(), over, NOW))).startswith("Adopted: t1.1 has replaced t2.1")
    assert not state(credential(), record(Phase.SETTLED), NOW).adopted


def test_a_value_that_was_not_shown_since_is_not_proven() -> None:
    observed = Observed(unproven_at=NOW)
    found = state(credential(), record(Phase.SETTLED), NOW, observed)
    assert (found.word, found.mark, found.do) == (Headline.UNPROVEN, Severity.WATCH, "rotate verify blog/bot")
    assert any("not proven yet" in text for text in explain(credential(), record(Phase.SETTLED), NOW, observed))
    assert state(credential(), record(Phase.STAGED), NOW, observed).word is not Headline.UNPROVEN


def test_what_operators_asked_for_is_in_the_state_and_in_a_sentence() -> None:
    waits = Observed(asked="emergency, asked for by ada at 2026-03-01 12:00:00Z")
    assert judged(Phase.SETTLED, waits, current=LIVING).asked == waits.asked
    told = list(explain(credential(), record(Phase.SETTLED, current=LIVING), NOW, waits))
    assert f"Asked for and not taken up yet: {waits.asked}." in told


@pytest.mark.parametrize(
    ("seen", "rests", "code"),
    [
        (judged(Phase.SETTLED, current=LIVING), True, 0),
        (judged(Phase.SETTLED, current=LIVING), False, 75),
        (judged(Phase.SETTLED, Observed(broken="a bug"), current=LIVING), False, 1),
        (judged(Phase.SETTLED, current=LIVING, failure=FAILURE, given_up=1), True, 1),
        (judged(Phase.SETTLED, Observed(left_alone="the target is down"), current=LIVING), True, 1),
        (judged(Phase.SETTLED, Observed(left_alone="the target is down"), current=LIVING), False, 75),
        (judged(Phase.STAGED, current=LIVING, failure=FAILURE, failures=1), True, 0),
        (judged(Phase.HELD, current=LIVING, candidate=None, held=HOLD), False, 3),
        (judged(Phase.AWAITING, current=LIVING), True, 3),
    ],
)
def test_what_one_pass_ends_with_is_judged_by_the_same_states(seen: State, rests: bool, code: int) -> None:
    assert pass_exit([seen], rests=rests) == code
    fine = judged(Phase.SETTLED, current=LIVING)
    assert pass_exit([fine, seen], rests=rests) == code, "the gravest decides"
