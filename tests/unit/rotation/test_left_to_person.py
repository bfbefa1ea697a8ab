"""What only a person can end is left to them: it stays known and is looked at, and nothing waits for it."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.credential_state import state
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.ownership import TokenOwners, TokenState, is_stray, living
from rotator.rotation.record import Candidate, HoldReason, Phase, Record, Trigger, Unended
from rotator.rotation.rotation_request import RequestAnswer, answer, live_values
from rotator.rotation.steps import Escalate, LookWhetherEnded, Request, Revoke, Sweep, Wait
from rotator.rotation.transitions import advance
from rotator.rotation.undo import objection
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, ask, credential, published, record, token

TO_DO = "click on Revoke"
OLDEST, OLD = published(0, NOW - 60 * DAY, token=token(0)), published(1, NOW - 30 * DAY)
PUBLISHED = published(2)


def left(*values, looked=NOW) -> tuple[Unended, ...]:
    return tuple(Unended(each, TO_DO, NOW, looked) for each in values)


def rests(**changes) -> Record:
    return replace(record(Phase.SETTLED, rotation=2, current=PUBLISHED, unended=left(OLD)), **changes)


def test_a_predecessor_that_only_a_person_can_end_does_not_keep_its_rotation_open() -> None:
    condemned = record(Phase.CONDEMNED)
    assert next_step(credential(), condemned, NOW) == Revoke()
    after = advance(condemned, ev.LeftToPerson(NOW, TO_DO))
    assert (after.predecessor, after.unended) == (None, left(condemned.predecessor))
    assert isinstance(next_step(credential(), after, NOW), Sweep)
    settled = advance(after, ev.Swept(NOW, ()))
    assert (settled.phase, settled.live) == (Phase.SETTLED, 2)
    assert objection(credential(), settled, NOW).endswith("it can be handed over anew: rotate supply")


def test_nobody_is_asked_to_end_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="no predecessor"):
        advance(rests(), ev.LeftToPerson(NOW, TO_DO))


def test_a_dead_value_is_replaced_meanwhile() -> None:
    step = next_step(credential(), rests(refused_at=NOW), NOW)
    assert isinstance(step, Request)
    assert step.why is Trigger.REFUSED


def test_it_is_looked_at_whenever_there_is_nothing_else_to_do() -> None:
    two = rests(unended=(*left(OLD), *left(OLDEST, looked=NOW - SECOND)))
    assert next_step(credential(), two, NOW) == Wait(NOW + 89 * SECOND, "due at 2026-03-31 12:00:00Z")
    assert next_step(credential(), two, NOW + 89 * SECOND) == LookWhetherEnded("t0.1")
    assert next_step(credential(), two, NOW - HOUR, rested=2 * MINUTE) == LookWhetherEnded("t0.1")  # a clock was ahead
    looked = advance(two, ev.NotEnded(NOW + 89 * SECOND, "t0.1"))
    assert next_step(credential(), looked, NOW + 90 * SECOND) == LookWhetherEnded("t1.1")
    waits = record(Phase.AWAITING, unended=left(OLD))
    assert next_step(credential(), waits, NOW + 2 * MINUTE) == LookWhetherEnded("t1.1")
    held = OnHold(HoldReason.FOREIGN_WRITE, "not ours", Phase.SETTLED, NOW)
    assert next_step(credential(), rests(phase=Phase.HELD, held=held), NOW + DAY) == Wait(None, "held: not ours")


def test_its_end_is_proven_and_nothing_else_changes() -> None:
    after = advance(rests(unended=left(OLDEST, OLD)), ev.Ended(NOW, "t1.1", "t1.1 is dead"))
    assert (after.unended, after.phase, after.evidence) == (left(OLDEST), Phase.SETTLED, "t1.1 is dead")
    waits = record(Phase.AWAITING, unended=left(OLD), evidence="as it was")
    assert advance(waits, ev.Ended(NOW, "t1.1", "dead")).evidence == "as it was"


def test_what_is_handed_over_again_is_not_to_be_ended() -> None:
    verified = record(Phase.VERIFIED, rotation=3, candidate=Candidate(token(3), OLD.fingerprint, 1), unended=left(OLD))
    assert advance(verified, ev.Published(NOW, 3)).unended == ()
    found = replace(OLD, token=token(9), reused=True)
    assert advance(rests(), ev.Adopted(NOW, "ada", found, "stem", NOW)).unended == ()


def test_an_emergency_is_over_when_it_is_dead_and_dooms_nothing_that_was_published_since() -> None:
    leak = OperatorRequest("r1", RequestVerb.ROTATE, NOW, "ada", emergency=True, live=(OLD.token.id,))
    known = rests(asked=leak)
    wish = ask(emergency=True, live=leak.live)
    assert answer(known, wish) is RequestAnswer.PUBLISHED
    assert answer(known, replace(wish, live=("another",))) is RequestAnswer.DONE
    later = record(Phase.REQUESTED, current=PUBLISHED, asked=leak, unended=left(OLD))
    assert not isinstance(next_step(credential(), later, NOW), Escalate)
    assert isinstance(next_step(credential(), replace(later, current=OLD), NOW), Escalate)
    assert advance(known, ev.Ended(NOW, "t1.1", "dead")).asked is None


def test_an_emergency_that_does_not_know_what_lived_is_about_what_is_older_than_itself() -> None:
    """Seed 55294: each rotation of a schedule became part of one that was over, and counted in no budget."""
    wish = ask(emergency=True)
    newer = record(Phase.REQUESTED, current=published(2, NOW + MINUTE))
    assert not isinstance(next_step(credential(), newer, NOW, wish), Escalate)
    older = replace(newer, current=published(1, NOW - MINUTE))
    assert isinstance(next_step(credential(), older, NOW, wish), Escalate)
    graced = record(Phase.PUBLISHED, current=published(2, NOW + MINUTE), predecessor=published(1, NOW - MINUTE))
    assert isinstance(next_step(credential(), graced, NOW, wish), Escalate)


def test_it_counts_as_alive_everywhere() -> None:
    known = rests()
    seen = state(credential(), known, NOW + HOUR)
    assert (seen.word, seen.exit, seen.live, seen.predecessors) == ("waiting", 3, 2, 1)
    assert (seen.since, seen.awaiting_at, seen.do) == (NOW, NOW, TO_DO)
    assert live_values(known) == ("t2.1", "t1.1")
    assert [each.token.id for each in living(known, NOW)] == ["t2.1", "t1.1"]
    assert not is_stray(known, token(1))
    owner = TokenOwners({"blog/bot": known}, {}, (), "rotator-home").of(token(1), NOW)
    assert (owner.state, owner.credential) == (TokenState.IN_GRACE, "blog/bot")
    told = " ".join(explain(credential(), known, NOW + HOUR))
    assert "Not proven dead yet, for want of a person: t1.1." in told
    assert f"t1.1 waits for a person to end it since 2026-03-01 12:00:00Z: {TO_DO}." in told
    assert "`rotate release blog/bot --ended` takes your word for it" in told
    assert "Next: wait, due at 2026-03-31 12:00:00Z." in told
