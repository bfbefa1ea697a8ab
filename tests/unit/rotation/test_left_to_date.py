"""What a target did not revoke is left to its date: it stays known until it is dead, and an emergency tries again."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential import Retirement
from rotator.rotation.credential_state import state
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.left_to_date import KEPT, kept
from rotator.rotation.messages import describe
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.ownership import is_stray, without
from rotator.rotation.procedures.operators import _quiet_at
from rotator.rotation.record import Candidate, LeftValue, Phase, Record, Trigger, Undo
from rotator.rotation.rotation_request import RequestAnswer, answer, as_rotation_request, live_at, live_values
from rotator.rotation.schedule import Every
from rotator.rotation.steps import Condemn, LookWhetherEnded, Reopen, Request, Revoke, Wait
from rotator.rotation.transitions import advance
from rotator.rotation.undo import before as goes_back_to
from rotator.rotation.undo import ended, objection
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, candidate, credential, published, record, token
from tests.unit.rotation.script import ALIVE, DEAD, LATE, OLD_READ, Row, mark, observation, play, rows
from tests.unit.rotation.script import OLD as OLD_VALUE

END = NOW + DAY
REFUSED = "its revocation is refused: 403"
OLD, NEXT, LATEST = (published(number, token=token(number, expires_at=END)) for number in (1, 2, 3))
GIVES_WAY = credential(schedule=Every(2 * DAY, jitter=0), retire=Retirement(MINUTE, gives_way=True))


def left(*values: Any, until: Any = END, **changes: Any) -> tuple[LeftValue, ...]:
    return tuple(LeftValue(each, until, REFUSED, NOW, NOW, **changes) for each in values)


def rests(**changes: Any) -> Record:
    return replace(record(Phase.SETTLED, rotation=2, current=NEXT, left=left(OLD)), **changes)


VERIFIED = {"phase": Phase.VERIFIED, "verified_at": NOW, "expected_version": 2}
LEAKED = rests(left=left(OLD, leaked=True))


def leak(known: Record, at: Any = NOW) -> OperatorRequest:
    return OperatorRequest("r1", RequestVerb.ROTATE, at, "ada", emergency=True, patient=True, live=live_at(known))


def published_again(before: Record) -> Record:
    """The emergency's new value is live."""
    verified = replace(before, **VERIFIED, rotation=3, candidate=candidate(3), emergency=True)
    return advance(verified, ev.Published(NOW, 3, NOW))


def test_what_is_not_revoked_is_left_and_the_next_publication_keeps_it() -> None:
    condemned = record(Phase.CONDEMNED, current=NEXT, predecessor=OLD, emergency=True)
    after = advance(condemned, ev.LeftToExpire(NOW, END, REFUSED))
    assert (after.predecessor, after.ends_at, after.emergency) == (None, None, False)
    assert after.left == left(OLD, leaked=True)
    assert live_values(after) == ("t2.1", "t1.1")
    assert published_again(after).left == left(OLD, leaked=True)
    assert published_again(after).predecessor == NEXT
    back = replace(after, **VERIFIED, candidate=Candidate(OLD.token, OLD.fingerprint, 0))
    assert advance(back, ev.Published(NOW, 3)).left == ()


def test_an_emergency_revokes_it_once_more_and_is_over_no_sooner() -> None:
    asked = leak(LEAKED)
    taken = advance(LEAKED, ev.RequestTaken(NOW, asked))
    assert taken.left == left(OLD, leaked=True, again=True)
    step = next_step(GIVES_WAY, taken, NOW)
    assert isinstance(step, Request), "the value in Vault comes first"
    live = published_again(taken)
    assert next_step(GIVES_WAY, live, NOW) == Condemn()
    retired = advance(replace(live, phase=Phase.CONDEMNED, condemned_at=NOW), ev.Retired(NOW, "t2.1 is dead"))
    settled = advance(retired, ev.Swept(NOW, ()))
    assert answer(settled, as_rotation_request(asked)) is RequestAnswer.PUBLISHED
    assert settled.asked == asked
    assert next_step(GIVES_WAY, settled, NOW) == Reopen("t1.1")
    assert next_step(GIVES_WAY, replace(settled, refused_at=NOW), NOW) != Reopen("t1.1"), "what is live works first"
    again = advance(settled, ev.Reopened(NOW, "t1.1"))
    assert (again.phase, again.predecessor, again.left, again.emergency) == (Phase.PUBLISHED, OLD, (), True)
    assert next_step(GIVES_WAY, again, NOW) == Condemn()
    in_vain = advance(again, ev.LeftToExpire(NOW, END, REFUSED))
    assert in_vain.left == left(OLD, leaked=True)
    assert in_vain.asked is None
    dead = advance(replace(again, phase=Phase.CONDEMNED, condemned_at=NOW), ev.Retired(NOW, "t1.1 is dead"))
    assert (dead.left, dead.predecessor) == ((), None)
    assert describe(settled, ev.Reopened(NOW, "t1.1"), again).said.startswith("t1.1, which was left to its date,")


def test_an_ordinary_request_revokes_nothing_again() -> None:
    taken = advance(rests(), ev.RequestTaken(NOW, replace(leak(rests()), emergency=False)))
    assert taken.left == left(OLD)


def test_what_nobody_could_revoke_then_is_tried_too_as_settings_may_have_changed() -> None:
    fading = record(Phase.SETTLED, rotation=2, current=NEXT, predecessor=OLD, ends_at=END)
    taken = advance(fading, ev.RequestTaken(NOW, leak(fading)))
    assert (taken.predecessor, taken.ends_at) == (None, None)
    assert taken.left == (LeftValue(OLD, END, "", NOW, NOW, leaked=True, again=True),)
    assert live_values(taken) == ("t2.1",), "nobody promises its end"
    two = replace(taken, current=LATEST, predecessor=NEXT, ends_at=END, asked=None)
    again = advance(two, ev.Reopened(NOW, "t1.1"))
    assert again.predecessor == OLD
    assert again.left == (LeftValue(NEXT, END, "", NOW, NOW),)
    undone = record(Phase.UNDOING, predecessor=OLD, ends_at=END, undo=Undo("ada", NOW, Phase.SETTLED))
    assert advance(undone, ev.RequestTaken(NOW, leak(undone))).predecessor == OLD


def test_another_emergency_does_not_wait_for_a_revocation_that_fails() -> None:
    failing = record(
        Phase.CONDEMNED, current=NEXT, predecessor=OLD, emergency=True, failures=3, retry_at=NOW + DAY, retry_from=NOW
    )
    assert isinstance(next_step(GIVES_WAY, failing, NOW), Wait)
    taken = advance(failing, ev.RequestTaken(NOW, leak(failing)))
    assert next_step(GIVES_WAY, taken, NOW) == Condemn(overdue=True)
    assert next_step(GIVES_WAY, replace(taken, failures=1), NOW) == Revoke()
    after = advance(taken, ev.LeftToExpire(NOW, END, "503"))
    assert [(each.value, each.again) for each in after.left] == [(OLD, True)]
    assert isinstance(next_step(GIVES_WAY, advance(after, ev.Swept(NOW, ())), NOW), Request)
    fresh = replace(taken, current=LATEST)
    assert next_step(GIVES_WAY, fresh, NOW) == Revoke(), "its own new value is live: this is its own try"
    unproven = replace(taken, phase=Phase.PUBLISHED)
    assert next_step(GIVES_WAY, unproven, NOW) == Condemn()


def test_what_leaked_is_looked_at_every_90_s_and_another_at_its_date() -> None:
    wait = next_step(GIVES_WAY, LEAKED, NOW)
    assert isinstance(wait, Wait)
    assert wait.until == NOW + 90 * SECOND
    assert next_step(GIVES_WAY, LEAKED, NOW + 90 * SECOND) == LookWhetherEnded("t1.1")
    assert isinstance(next_step(GIVES_WAY, rests(), NOW + HOUR), Wait)
    soon = rests(left=left(OLD, until=NOW + HOUR))
    assert next_step(GIVES_WAY, soon, NOW + HOUR) == LookWhetherEnded("t1.1")
    looked = advance(soon, ev.NotEnded(NOW + HOUR, "t1.1"))
    assert isinstance(next_step(GIVES_WAY, looked, NOW + HOUR + 89 * SECOND), Wait)
    ended = advance(looked, ev.Ended(NOW + HOUR, "t1.1", "t1.1 is dead"))
    assert (ended.left, ended.evidence) == ((), "t1.1 is dead")


SEEN = rests(left=left(replace(OLD, fingerprint=mark(OLD_VALUE))))
SHOWN = (type(OLD_READ[0]), OLD_READ[1])
LOOKS = {
    "before its date": Row(
        LookWhetherEnded("t1.1"),
        SEEN,
        [SHOWN, DEAD],
        ev.Ended(LATE, "t1.1", "t1.1 is dead, its value is refused; it was left to its date, and has ended before"),
    ),
    "its date is over": Row(
        LookWhetherEnded("t1.1"),
        replace(SEEN, left=left(SEEN.left[0].value, until=NOW)),
        [SHOWN, DEAD],
        ev.Ended(LATE, "t1.1", "t1.1 is dead, its value is refused; its date is over"),
    ),
    "it lives": Row(LookWhetherEnded("t1.1"), SEEN, [SHOWN, ALIVE], ev.NotEnded(LATE, "t1.1")),
    "once more": Row(Reopen("t1.1"), SEEN, [], ev.Reopened(LATE, "t1.1")),
}


@pytest.mark.parametrize("row", rows(LOOKS))
def test_what_it_comes_to(row: Row) -> None:
    play(row)


def test_an_undo_goes_back_to_it_while_it_is_not_known_to_have_leaked() -> None:
    known = rests(current=replace(NEXT, at=NOW - MINUTE))
    assert goes_back_to(known) == OLD
    assert not ended(known)
    assert _quiet_at(observation(), known) == LATE + credential().limits.settle, "its revocation may be on its way"
    begun = advance(known, ev.UndoBegun(NOW, "ada", False, NEXT.place, NOW))
    assert (begun.predecessor, begun.left, begun.ends_at) == (OLD, (), END)
    failed = advance(begun, ev.UndoFailed(NOW, "401"))
    assert (failed.phase, failed.predecessor, failed.ends_at) == (Phase.SETTLED, OLD, END)
    assert goes_back_to(replace(known, left=left(OLD, leaked=True))) is None
    assert "it was an emergency" in objection(credential(), replace(known, left=left(OLD, leaked=True)), NOW)
    assert goes_back_to(replace(known, current=replace(NEXT, at=NOW + SECOND))) is None, "it is older than the last"


def test_it_is_told_everywhere() -> None:
    seen = state(GIVES_WAY, rests(), NOW + HOUR)
    assert (seen.word, seen.exit, seen.live, seen.predecessors) == ("settled", 0, 2, 1)
    told = " ".join(explain(GIVES_WAY, rests(), NOW + HOUR))
    assert "t1.1, published before, is expected to end at 2026-03-02 12:00:00Z." in told
    assert f"t1.1 was not revoked: {REFUSED}." in told
    seen = state(GIVES_WAY, LEAKED, NOW + HOUR)
    assert (seen.word, seen.exit, seen.revoke_by) == ("predecessor alive", 1, NOW)
    assert seen.said.startswith(f"t1.1 leaked, and could not be revoked: {REFUSED}; it is expected to end at")
    assert seen.do == "rotate revoke blog/bot, or end it at the target"
    told = " ".join(explain(GIVES_WAY, LEAKED, END + HOUR))
    assert "t1.1, published before, was expected to end at 2026-03-02 12:00:00Z: that is to be proven." in told
    assert f"t1.1 was not revoked: {REFUSED}, which leaked; `rotate revoke blog/bot` tries once more." in told
    nobody = rests(left=(LeftValue(OLD, END, "", NOW, NOW, leaked=True),))
    assert "not revoked" not in " ".join(explain(GIVES_WAY, nobody, NOW))
    assert state(GIVES_WAY, nobody, NOW).exit == 0


def test_it_is_known_to_be_ours_until_its_target_says_that_it_is_gone() -> None:
    assert not is_stray(rests(), OLD.token)
    assert without(rests(), {"t1.1"}, NOW).left == ()
    found = replace(OLD, token=token(9), reused=True)
    assert advance(rests(), ev.Adopted(NOW, "ada", found, "stem", NOW)).left == ()


def test_so_many_are_kept_at_most() -> None:
    many = rests(left=left(*(published(number) for number in range(KEPT)), until=END))
    found = kept(many, NEXT, NOW, NOW, REFUSED)
    assert len(found) == KEPT
    assert NEXT not in [each.value for each in found], "it ends first"


def test_answers_in_vain_are_counted_while_others_are_not() -> None:
    condemned = record(Phase.CONDEMNED)
    lost = advance(condemned, ev.Faulted(NOW, "revoke", "503"))
    assert (lost.failures, lost.state.in_vain) == (1, 0)  # type: ignore[union-attr]  # it is a CondemnedState
    refused = advance(lost, ev.Faulted(NOW, "revoke", "403", of_target=False, in_vain=True))
    assert (refused.failures, refused.state.in_vain) == (2, 1)  # type: ignore[union-attr]  # it is a CondemnedState


def test_a_rotation_that_is_due_does_not_wait_for_it() -> None:
    due = next_step(credential(schedule=Every(HOUR, jitter=0)), rests(), NOW + HOUR)
    assert isinstance(due, Request)
    assert due.why is Trigger.AGED
