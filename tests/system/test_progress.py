"""A campaign of hours can be followed: how far it is, and each violation once, when it occurs."""

from __future__ import annotations

import pytest

from tests.system import progress
from tests.system.daemon import until
from tests.system.outcome import Crash
from tests.system.progress import Progress
from tests.system.proxy import Call, Side

CALL = Call("vault", "GET", "/v1/secret/data/rotator/journal/a")


def test_each_violation_is_told_once_and_how_far_it_is_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LOOK", 0.001)
    monkeypatch.setattr(progress, "MINUTE", 0.01)
    told: list[str] = []
    kills = Progress("halo-pat", 40, told.append)
    kills.add(Crash("halo-pat", CALL, Side.AFTER, 11.0))
    kills.add(Crash("halo-pat", CALL, Side.AFTER, 11.0, ("two tokens live",)))
    with kills:
        until("it is told", lambda: sum("of 40" in line for line in told) > 1)
        kills.violations.append("a consumer was refused")  # by the prober
    assert [line for line in told if line.startswith("violation")] == [
        "violation: two tokens live",
        "violation: a consumer was refused",
    ]
    assert all(line.startswith("halo-pat: 2 of 40 kills, ") for line in told if "of 40" in line)
