"""Windows and freezes in random histories, and what breaks when they are not heeded, or heeded too long."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from rotator.rotation import admission, decide
from tests.model.simulation.campaign import run_seed
from tests.model.simulation.swarm import Swarm
from tests.model.simulation.test_mutants import caught

FAIR = Swarm(interval=60.0, grace=10.0, lifetime=600.0, active=900.0, credentials=2, calendars=True)
ROUGH = Swarm(
    actors=3, interval=60.0, grace=10.0, lifetime=600.0, active=900.0, calendars=True,
    kill=0.01, pause=0.01, slow=0.01, vault_lost=0.05, skew=3600.0,
    acts=("window", "ask", "emergency", "person_revokes", "schedule", "clock_jump", "foreign_write", "mend"),
)  # fmt: skip


@pytest.mark.parametrize("swarm", [FAIR, ROUGH], ids=["fair", "rough"])
def test_what_begins_begins_as_the_calendar_lets_it_and_no_value_expires_for_it(swarm: Swarm) -> None:
    assert [text for seed in range(25) if (text := run_seed(seed, swarm)[1])] == []


def test_the_histories_have_what_they_are_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Due work waits, is done in an opening, and is done all the same where the value would expire."""
    seen: Counter[str] = Counter()
    spite = admission.in_spite_of

    def counted(*about, **how):
        said = spite(*about, **how)
        seen["in an opening" if not said else "to expire" if "expires at" in said else "else"] += 1
        return said

    monkeypatch.setattr(decide, "in_spite_of", counted)
    assert [text for seed in range(10) if (text := run_seed(seed, FAIR)[1])] == []
    assert seen["in an opening"] > 100
    assert seen["to expire"] > 0


def test_not_heeding_the_calendar_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "by_calendar", lambda *_: None)
    assert caught("C", seeds=5, swarm=FAIR)


def test_waiting_for_the_calendar_while_the_value_expires_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "last_safe", lambda *_: None)
    assert caught("C", seeds=25, swarm=FAIR)


def test_reading_the_calendar_by_our_own_clock_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = admission.by_calendar
    monkeypatch.setattr(
        admission, "by_calendar", lambda credential, record, now, shared=None: right(credential, record, now)
    )
    assert caught("C", seeds=25, swarm=ROUGH)


def test_a_rotation_before_the_last_safe_moment_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = admission.last_safe
    early = timedelta(seconds=200)
    monkeypatch.setattr(admission, "last_safe", lambda *about: (safe := right(*about)) and safe - early)
    assert caught("C", seeds=25, swarm=FAIR)
