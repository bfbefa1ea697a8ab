"""An undo: the value before becomes the candidate of a rotation of its own, and is nobody's to burn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation import undo
from rotator.rotation.credential import VaultPath
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.ownership import known as known_ids
from rotator.rotation.record import Candidate, Failure, HoldReason, Phase, Record, Trigger, Undo
from rotator.rotation.rotation_request import RequestAnswer, answer
from rotator.rotation.steps import Condemn, Escalate, Fence, Publish, Restore, Revoke, Verify, Wait
from rotator.rotation.transitions import advance
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PLACE,
    SECOND,
    ask,
    credential,
    published,
    record,
    token,
)

AT = NOW + MINUTE
OLD = published(1, NOW - 30 * DAY)
BACK = Candidate(OLD.token, OLD.fingerprint, 0)
GRACE = record(Phase.PUBLISHED, grace_ends=NOW + HOUR)
OVER = record(Phase.SETTLED, rotation=2, current=published(2), retired=OLD, settled_at=NOW)


def begun(known: Record, ready_at: Any = AT, **said: Any) -> Record:
    return advance(known, ev.UndoBegun(AT, "ada", said.get("emergency", False), PLACE, ready_at, said.get("above", 0)))


def staged(known: Record) -> Record:
    return advance(begun(known), ev.Restored(AT, BACK))


def verified(known: Record) -> Record:
    return advance(staged(known), ev.Verified(AT, 2, HOUR))


@pytest.mark.parametrize(("known", "back"), [(GRACE, Phase.PUBLISHED), (OVER, Phase.CONDEMNED)])
def test_it_comes_back_under_a_new_number_and_what_it_replaces_is_the_predecessor(known: Record, back: Phase) -> None:
    first = begun(known)
    assert (first.phase, first.rotation, first.why, first.asked_by) == (Phase.UNDOING, 3, Trigger.UNDO, "ada")
    assert first.undo == Undo("ada", AT, back)
    assert first.predecessor == OLD  # accounted for, dead or alive
    assert next_step(credential(), first, AT) == Restore()
    second = advance(first, ev.Restored(AT, BACK))
    assert next_step(credential(), second, AT) == Verify()
    third = advance(second, ev.Verified(AT, 2, HOUR))
    assert next_step(credential(), third, AT) == Publish(2, reprove=False)
    last = advance(third, ev.Published(AT, 3, AT + HOUR))
    assert last.current == replace(published(1), rotation=3, version=3, at=AT, reused=True)
    assert last.predecessor == known.current
    assert (last.undo, last.retired, last.phase) == (None, None, Phase.PUBLISHED)
    assert next_step(credential(), last, AT + HOUR) == Condemn()


def test_numbers_on_the_consumer_path_never_go_back() -> None:
    assert begun(GRACE, above=7).rotation == 8


def test_a_revocation_on_its_way_is_waited_for() -> None:
    first = begun(OVER, AT + 10 * SECOND)
    assert next_step(credential(), first, AT + SECOND) == Wait(
        AT + 10 * SECOND, "a revocation of the value before may still be on its way"
    )
    assert next_step(credential(), first, AT + 10 * SECOND) == Restore()


@pytest.mark.parametrize(("known", "back"), [(GRACE, Phase.PUBLISHED), (OVER, Phase.CONDEMNED)])
@pytest.mark.parametrize("far", ["undoing", "staged", "verified"])
def test_one_that_fails_leaves_everything_as_it_was_and_burns_nothing(known: Record, back: Phase, far: str) -> None:
    if far == "undoing":
        after = advance(begun(known), ev.UndoFailed(AT, "401"))
    elif far == "staged":
        after = advance(staged(known), ev.CandidateRejected(AT, "401"))
    else:
        abandoned = advance(verified(known), ev.CandidateRejected(AT, "401"))
        assert next_step(credential(), abandoned, AT) == Fence(2)
        after = advance(abandoned, ev.Fenced(AT, 3))
    assert (after.phase, after.undo, after.candidate) == (back, None, None)
    assert (after.current, after.predecessor) == (known.current, OLD)
    assert after.grace_ends == known.grace_ends
    assert after.failure == Failure("undo", "401", AT)
    assert after.rotation == 3  # its number is spent
    step = next_step(credential(), after, AT)
    assert step == (Revoke() if back is Phase.CONDEMNED else Wait(NOW + HOUR, "predecessor in grace"))


def test_what_was_brought_back_in_vain_is_ended_again_and_may_be_brought_back_again() -> None:
    after = advance(advance(begun(OVER), ev.UndoFailed(AT, "401")), ev.Retired(AT, "revoked"))
    assert (after.predecessor, after.retired) == (None, OLD)


def test_one_told_to_go_back_to_without_a_word_goes_to_settled() -> None:
    assert undo.failed(record(Phase.SETTLED), AT, "401").phase is Phase.SETTLED


def test_a_retired_one_is_remembered_until_the_next_publication_unless_it_leaked() -> None:
    condemned = record(Phase.CONDEMNED)
    assert advance(condemned, ev.Retired(AT, "refused")).retired == condemned.predecessor
    assert advance(replace(condemned, emergency=True), ev.Retired(AT, "refused")).retired is None
    forgotten = advance(record(Phase.VERIFIED, retired=OLD), ev.Published(AT, 2))
    assert forgotten.retired is None


def test_the_token_is_one_token_and_no_stray_all_the_way() -> None:
    for known in (begun(OVER), staged(OVER), verified(GRACE)):
        assert known.live == 2
        assert OLD.token.id in known_ids(known)


def test_an_old_value_is_no_answer_to_who_asked_for_a_new_one() -> None:
    last = advance(verified(OVER), ev.Published(AT, 3, AT + HOUR))
    assert answer(last, ask(NOW)) is RequestAnswer.IN_GRACE
    settled = replace(last, phase=Phase.SETTLED, predecessor=None)
    assert answer(settled, ask(NOW)) is RequestAnswer.OPEN


def test_an_emergency_meanwhile_takes_the_grace_from_what_is_replaced() -> None:
    assert next_step(credential(), staged(GRACE), AT, ask(AT, emergency=True)) == Escalate("ada")
    assert begun(GRACE, emergency=True).emergency


def held(reason: HoldReason, phase: Phase) -> dict[str, Any]:
    return {"phase": Phase.HELD, "held": OnHold(reason, "look at it", phase, NOW)}


# record, why it cannot be taken back
REFUSED: dict[str, tuple[Record, str]] = {
    "under way": (record(Phase.VERIFIED), "rotation 2 is under way (verified)"),
    "waiting for a person": (record(Phase.AWAITING), "rotation 2 is under way (awaiting)"),
    "held for what is on the path": (record(Phase.HELD), "it is held (foreign_write): look at it"),
    "held in the middle": (
        replace(record(Phase.STAGED), **held(HoldReason.MINT_BUDGET, Phase.STAGED)),
        "is under way",
    ),
    "nothing before": (record(Phase.SETTLED), "there is no rotation to take back"),
    "nothing at all": (record(Phase.SETTLED, current=None), "there is no rotation to take back"),
    "an emergency": (replace(GRACE, emergency=True), "counts as leaked"),
    "published elsewhere": (replace(OVER, retired=replace(OLD, place=VaultPath("kv", "old"))), "published at kv/old"),
    "moved in between": (
        replace(OVER, current=replace(published(2), place=VaultPath("kv", "old"))),
        "settings name others",
    ),
    "of another target": (replace(OVER, retired=replace(OLD, target="desk")), "of target desk"),
    "of other roles": (replace(OVER, retired=replace(OLD, policy="1:other")), "settings want other roles"),
    "expired": (
        replace(OVER, retired=replace(OLD, token=token(1, expires_at=NOW))),
        "the value before expired at 2026-03-01 12:00:00Z",
    ),
}


@pytest.mark.parametrize(("known", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_words(known: Record, said: str) -> None:
    assert said in undo.objection(credential(), known, AT)


@pytest.mark.parametrize(
    ("known", "back", "dead"),
    [
        (GRACE, Phase.PUBLISHED, False),
        (OVER, Phase.CONDEMNED, True),
        (record(Phase.CONDEMNED), Phase.CONDEMNED, True),
        (replace(GRACE, **held(HoldReason.STILL_USED, Phase.PUBLISHED)), Phase.PUBLISHED, False),
        (replace(OVER, **held(HoldReason.MINT_BUDGET, Phase.SETTLED)), Phase.CONDEMNED, True),
        (
            record(Phase.SETTLED, rotation=2, current=published(2), predecessor=OLD, refused_at=NOW),
            Phase.SETTLED,
            False,
        ),
        (replace(OVER, retired=replace(OLD, token=token(1, expires_at=NOW + DAY))), Phase.CONDEMNED, True),
    ],
)
def test_it_may_be_taken_back_from(known: Record, back: Phase, dead: bool) -> None:
    assert undo.objection(credential(), known, AT) == ""
    assert undo.ended(known) is dead
    after = begun(known)
    assert after.undo == Undo("ada", AT, back)
    assert after.held is None


def test_beginning_without_a_value_before_is_a_bug_and_is_said() -> None:
    with pytest.raises(ValueError, match="nothing to go back to"):
        begun(record(Phase.SETTLED))


def test_explain_says_whose_word_it_is() -> None:
    said = list(explain(credential(), begun(GRACE), AT + timedelta(seconds=1)))
    assert "Undoing: t1.1, published before, is being brought back, to be published again." in said
    assert "ada takes the rotation before back since 2026-03-01 12:01:00Z." in said
