"""A step that fails until a person has acted goes on by itself, and the person is told as of a value to be made."""

from __future__ import annotations

from rotator.rotation import events as ev
from rotator.rotation.credential_state import pass_exit, state
from rotator.rotation.faults import NeedsAccess
from rotator.rotation.procedures.calls import RevokeToken
from rotator.rotation.record import Phase
from rotator.rotation.steps import Revoke
from rotator.rotation.transitions import advance
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, credential
from tests.unit.rotation.script import LATE, OURS, PUBLISHED_NEW, Row, faulted, play, record

CONDEMNED = record(Phase.CONDEMNED)
DO = "the registration refuses its token: get another one"


def test_a_step_says_so() -> None:
    script = [PUBLISHED_NEW, OURS, (RevokeToken, NeedsAccess("the registration refuses its token", remedy="mend it"))]
    said = "the registration refuses its token: mend it"
    play(Row(Revoke(), CONDEMNED, script, faulted("revoke", said, of_target=False, person=True)))


def test_it_is_the_persons_until_the_step_gets_through() -> None:
    first = advance(CONDEMNED, ev.Faulted(LATE, "revoke", DO, person=True))
    again = advance(first, ev.Faulted(LATE + HOUR, "revoke", DO, person=True))
    seen = state(credential(), again, NOW + MINUTE)
    assert (seen.word, seen.exit, seen.since, seen.awaiting_at) == ("needs you", 3, LATE, LATE)
    assert seen.said == f"since 2026-03-01 12:01:01Z ending the old value failed: {DO}"
    assert seen.do == DO
    assert pass_exit([seen], rests=False) == 3
    other = advance(again, ev.Faulted(LATE + HOUR, "revoke", "503"))
    assert other.hampered is None
    assert state(credential(), other, NOW + MINUTE).word == "failing"
    done = advance(again, ev.Retired(LATE + HOUR, "dead"))
    assert done.hampered is None
    assert state(credential(), done, NOW + MINUTE).exit == 0
