"""Adoption: what the consumer path holds becomes ours, and nothing is rotated for it."""

from __future__ import annotations

import pytest

from rotator.rotation import adoption
from rotator.rotation import events as ev
from rotator.rotation.decide import next_step
from rotator.rotation.record import HoldReason, Phase, Record, Token
from rotator.rotation.rotation_request import RequestAnswer, answer
from rotator.rotation.steps import Condemn, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, STEM, ask, credential, published, record

AT = NOW + MINUTE
FOUND = replace(published(0, AT), token=Token("by-hand"), fingerprint="print of it", version=4, reused=True)
FOREIGN = OnHold(HoldReason.FOREIGN_WRITE, "look at it", Phase.SETTLED, NOW)


def adopted(known: Record, rotation: int = 0) -> Record:
    return advance(known, ev.Adopted(AT, "ada", replace(FOUND, rotation=rotation), STEM, AT + HOUR))


def test_the_first_value_is_ours_and_due_by_its_schedule_only() -> None:
    after = adopted(Record("l1"), rotation=7)
    assert (after.phase, after.current, after.predecessor) == (Phase.SETTLED, replace(FOUND, rotation=7), None)
    assert (after.rotation, after.stem, after.live) == (7, STEM, 1)
    assert next_step(credential(), after, AT) == Wait(AT + 30 * DAY, f"due at {AT + 30 * DAY:%F %TZ}")


def test_it_settles_a_hold_and_what_we_had_published_gets_its_grace() -> None:
    after = adopted(record(Phase.HELD, candidate=None, held=FOREIGN), rotation=2)
    assert (after.phase, after.held, after.predecessor) == (Phase.PUBLISHED, None, published(1))
    assert next_step(credential(), after, AT) == Wait(AT + HOUR, "predecessor in grace")
    assert next_step(credential(), after, AT + HOUR) == Condemn()


@pytest.mark.parametrize(("rotation", "attempt"), [(2, 3), (5, 0)])
def test_attempts_of_the_same_number_do_not_go_back(rotation: int, attempt: int) -> None:
    """The staged slot may still hold the last one's candidate: to an older attempt it would look like a later one."""
    after = adopted(record(Phase.SETTLED, candidate=None, rotation=2, attempt=3), rotation=rotation)
    assert (after.rotation, after.attempt) == (rotation, attempt)


def test_an_adopted_value_is_no_answer_to_who_asked_for_a_new_one() -> None:
    assert answer(adopted(Record("l1")), ask(NOW)) is RequestAnswer.OPEN


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (Record("l1"), ""),
        (record(Phase.SETTLED), ""),
        (record(Phase.HELD, candidate=None, held=FOREIGN), ""),
        (record(Phase.HELD, candidate=None, held=replace(FOREIGN, reason=HoldReason.MINT_BUDGET)), ""),
        (record(Phase.STAGED), "a rotation is under way (staged)"),
        (record(Phase.HELD), "a rotation is under way (verified)"),
        (record(Phase.HELD, held=replace(FOREIGN, reason=HoldReason.DELETED)), "a rotation is under way (held)"),
        (record(Phase.SETTLED, predecessor=published(0)), "the predecessor t0.1 still lives"),
    ],
)
def test_only_what_rests_may_adopt(known: Record, said: str) -> None:
    assert adoption.objection(known).startswith(said)
    assert bool(adoption.objection(known)) is bool(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", ""),
        ("laptop of ada", ""),
        (f"{STEM}-r3-a1", ""),
        ("rotator-home-blog-bot-lost-r3-a1", ""),  # minted before the journal was lost
        ("rotator-home-search-l1-r3-a1", "by-hand was minted for another credential"),
        ("rotator-elsewhere-blog-bot-l1-r3-a1", "by-hand was minted for another credential"),
    ],
)
def test_what_a_rotator_minted_for_somebody_else_is_not_ours(name: str, said: str) -> None:
    claim = adoption.claimed(Token("by-hand", name), STEM, "")
    assert claim.startswith(said)
    assert bool(claim) is bool(said)


def test_what_a_credential_had_that_left_the_settings_may_be_taken_over() -> None:
    assert adoption.claimed(Token("by-hand", "rotator-home-search-l1-r3-a1"), STEM, "search") == ""
