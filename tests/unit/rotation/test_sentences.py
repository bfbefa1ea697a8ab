"""What is said of a credential is true in every state that the rules can reach; people read the table of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import pytest

from rotator.rotation.credential import VaultPath
from rotator.rotation.credential_state import Headline, Observed, Severity, state
from rotator.rotation.explanation import explain, next_words, stands
from rotator.rotation.record import Failure, HoldReason, Phase, Record, Trigger
from rotator.rotation.steps import Hold, Mint, Request, Wait
from rotator.rotation.troubles import living
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, credential, published, record, token
from tests.unit.rotation.reached import TABLE, Reached, reachable, table

_TIMES = re.compile(r"(\w+ \w+ at|wait until) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z")


def test_the_search_finds_every_phase_hold_and_word() -> None:
    found = reachable()
    assert {each.record.phase for each in found} == set(Phase)
    holds = {each.record.held.reason for each in found if each.record.held}
    assert holds == {*HoldReason} - {
        HoldReason.TARGET_CHANGED,
        HoldReason.PERSON,
        HoldReason.TWO_VAULTS,
    }  # what an installing kind meets
    words = {state(each.walk.credential, each.record, each.walk.now).word for each in found}
    assert words == {*Headline} - {
        Headline.BROKEN,
        Headline.UNSEEN,
        Headline.DOUBTED,
        Headline.UNPROVEN,
        Headline.STALE,
        Headline.LEFT_ALONE,
        Headline.WAITING,
        Headline.FROZEN,
        Headline.NOT_OPEN,
        Headline.STOPPED,
    }  # what no record says, what a kind meets whose values a person ends, what a calendar or a stop keeps waiting


def test_the_table_of_sentences_is_the_one_that_was_read() -> None:
    said = "a sentence is new or other: read sentences.txt after `python -m tests.unit.rotation.reached`"
    assert table(reachable()) == TABLE.read_text(), said


def _nothing_is_left_open(each: Reached, said: list[str]) -> bool:
    return not any(re.search(r"\bNone\b|unknown|[{}]| {2}|\.\.|;\.", text) for text in said)


def _every_sentence_ends_and_comes_once(each: Reached, said: list[str]) -> bool:
    ends = (".", "paste the key", "press the button")
    return len(set(said)) == len(said) and all(text.endswith(ends) and text[0].isupper() for text in said[:1])


def _no_living_value_is_claimed_where_none_is(each: Reached, said: list[str]) -> bool:
    record, now, current = each.record, each.walk.now, each.record.current
    seen, text = state(each.walk.credential, record, now), " ".join(said)
    if current is None:
        return " was published at" not in text and "has replaced" not in text and " is published" not in text
    if current.token.id in living(record, now):
        return seen.word not in (Headline.REFUSED, Headline.EXPIRED) and seen.live > 0
    put_back = "is being put back on the target" in text
    return "refuses" in text or "fails its proof" in text or " it expired at" in text or put_back


def _a_state_is_fine_only_while_a_value_lives(each: Reached, said: list[str]) -> bool:
    record, now = each.record, each.walk.now
    works = record.current is not None and (record.current.token.id in living(record, now) or record.cut_over_at)
    return bool(works) or state(each.walk.credential, record, now).mark is not Severity.FINE


def _a_value_that_is_of_no_use_ends_a_look_with_5(each: Reached, said: list[str]) -> bool:
    record, now = each.record, each.walk.now
    current, seen = record.current, state(each.walk.credential, each.record, each.walk.now)
    over = current and (record.refused_at or (current.token.expires_at and current.token.expires_at <= now))
    return (seen.exit == 5) is bool(over)


def _who_waits_for_a_person_says_so(each: Reached, said: list[str]) -> bool:
    seen = state(each.walk.credential, each.record, each.walk.now)
    waits = each.record.phase in (Phase.HELD, Phase.AWAITING)
    return waits is (seen.word in (Headline.HELD, Headline.NEEDS_YOU)) and (
        not waits or bool(seen.do and seen.exit in (3, 5))
    )


def _what_is_ahead_is_ahead_and_what_is_over_is_over(each: Reached, said: list[str]) -> bool:
    now = each.walk.now.replace(microsecond=0)
    for text in said:
        for words, at in _TIMES.findall(text):
            then = datetime.fromisoformat(at).replace(tzinfo=UTC)
            if words in ("it expires at", "wait until") and then < now:
                return False
            if words in ("it expired at", "was published at") and then > now:
                return False
    return True


def _what_is_ended_exists(each: Reached, said: list[str]) -> bool:
    old = each.record.predecessor
    return old is not None or not any("published before, is being ended" in text for text in said)


@lru_cache(maxsize=1)
def told() -> list[tuple[Reached, list[str]]]:
    return [(each, list(explain(each.walk.credential, each.record, each.walk.now))) for each in reachable()]


TRUTHS: tuple[Callable[[Reached, list[str]], bool], ...] = (
    _nothing_is_left_open,
    _every_sentence_ends_and_comes_once,
    _no_living_value_is_claimed_where_none_is,
    _a_state_is_fine_only_while_a_value_lives,
    _a_value_that_is_of_no_use_ends_a_look_with_5,
    _who_waits_for_a_person_says_so,
    _what_is_ahead_is_ahead_and_what_is_over_is_over,
    _what_is_ended_exists,
)


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.__name__.strip("_"))
def test_in_every_state(truth: Callable[[Reached, list[str]], bool]) -> None:
    for each, said in told():
        assert truth(each, said), said


# --- what no record says --------------------------------------------------------------------------------------------


def test_nothing_was_ever_done() -> None:
    assert list(explain(credential(), None, NOW)) == [
        "Settled: nothing was published yet; nothing was tried yet.",
        "Next: begin a rotation (missing): nothing published yet.",
    ]


LIVING = record(Phase.SETTLED, current=published(1, NOW, token=token(1, expires_at=NOW + 90 * DAY)))
# what the process that looks has seen, and what it says of that
SEEN = {
    "who works on it": (Observed(lease="worked on by host-a"), "Worked on by host-a."),
    "that it is left alone": (Observed(left_alone="timed out"), "It is left alone for now: timed out."),
    "that it cannot be worked on": (
        Observed(broken="a bug: KeyError"),
        "Nothing can be done about it now: a bug: KeyError.",
    ),
    "that Vault cannot be read": (
        Observed(stale="sealed"),
        "Vault cannot be read, so this is what was so before: sealed.",
    ),
    "a proof": (Observed(accepted_at=NOW), "The target was last seen to accept it at 2026-03-01 12:00:00Z."),
    "that nobody has shown it since": (
        Observed(unproven_at=NOW),
        "This process has not shown it to its target since 2026-03-01 12:00:00Z: whether it works is not proven yet.",
    ),
    "a doubt": (
        Observed(doubted_at=NOW),
        "Its proof failed at 2026-03-01 12:00:00Z; it is asked once more before that counts.",
    ),
    "nothing": (Observed(), "Next: wait, due at 2026-03-31 12:00:00Z."),
}


@pytest.mark.parametrize(("observed", "sentence"), SEEN.values(), ids=SEEN)
def test_explain_says_what_was_seen(observed: Observed, sentence: str) -> None:
    assert sentence in list(explain(credential(), LIVING, NOW, observed))


@pytest.mark.parametrize(
    ("observed", "sentence"),
    [
        (Observed(unread="nobody has looked at it yet"), "Its record was not read yet: nobody has looked at it yet."),
        (Observed(broken="it was deleted"), "Nothing can be done about it now: it was deleted."),
    ],
)
def test_of_a_record_that_was_not_read_nothing_is_said(observed: Observed, sentence: str) -> None:
    assert list(explain(credential(), None, NOW, observed)) == [sentence]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Wait(None, "never due by its schedule"), "never due by its schedule"),
        (Wait(NOW, "in grace"), "wait until 2026-03-01 12:00:00Z: in grace"),
        (Request(Trigger.AGED, "due"), "begin a rotation (aged): due"),
        (Hold(HoldReason.DELETED, "gone"), "hold (deleted_by_operator): gone"),
        (Mint("name"), "make a new value"),
    ],
)
def test_a_step_in_words(step, said) -> None:
    assert next_words(step) == said


@pytest.mark.parametrize("why", list(Trigger))
def test_every_reason_of_a_rotation_is_a_clause(why: Trigger) -> None:
    said = list(explain(credential(), record(Phase.STAGED, why=why), NOW))
    assert any(re.search(r"was requested at .*Z because \w+ \w+", text) for text in said)


@pytest.mark.parametrize("phase", list(Phase))
def test_a_record_without_any_value_is_told_all_the_same(phase: Phase) -> None:
    bare = record(phase, current=None, predecessor=None)
    assert stands(bare, NOW + HOUR).startswith(phase.value.capitalize())


def test_a_failure_is_told_by_what_was_tried() -> None:
    assert Failure("mint", "503", NOW).said == "making a new value failed: 503"
    assert Failure("juggle", "503", NOW).said == "juggle failed: 503"


def test_what_is_asked_by_nobody_is_asked_by_somebody() -> None:
    hurried = record(Phase.STAGED, why=Trigger.AGED, emergency=True)
    assert any(
        "due by its schedule; somebody made it an emergency." in text for text in explain(credential(), hurried, NOW)
    )
    unknown = Record("l1", why=Trigger.ASKED, requested_at=NOW - MINUTE)
    assert any("because somebody asked for it." in text for text in explain(credential(), unknown, NOW))


OLD, _BEFORE = VaultPath("kv", "old/bot"), "kv/old/bot, where consumers read before"
MOVED = {
    "settings name another path": (
        record(Phase.SETTLED, current=published(1, place=OLD)),
        "Settings name kv/blog/bot now; until the value is there, kv/old/bot stays good.",
    ),
    "the value before is in its grace": (
        record(Phase.PUBLISHED, predecessor=published(1, NOW - DAY, place=OLD)),
        f"{_BEFORE}, still holds t1.1, which stays good until 2026-03-01 13:00:00Z at least.",
    ),
    "the value before ends by its date": (
        record(Phase.SETTLED, predecessor=published(1, NOW - DAY, place=OLD), ends_at=NOW + MINUTE),
        "kv/old/bot, where consumers read before, still holds t1.1, which stays good until 2026-03-01 12:01:00Z.",
    ),
    "the value before is dead": (
        record(Phase.SETTLED, retired=published(0, NOW - DAY, place=OLD)),
        "kv/old/bot, where consumers read before, may still hold t0.1, which is dead: delete it.",
    ),
}


@pytest.mark.parametrize(("known", "said"), MOVED.values(), ids=MOVED)
def test_a_path_that_was_left_is_named_and_for_how_long_it_stays_good(known: Record, said: str) -> None:
    assert said in list(explain(credential(), known, NOW))
    assert not any("old/bot" in text for text in explain(credential(), record(known.phase), NOW))
