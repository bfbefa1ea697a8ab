"""How long to wait after failures, computed from stored facts so that a restart forgets nothing."""

from __future__ import annotations

from datetime import timedelta

from rotator.rotation.schedule import share

STEP_CAP = timedelta(seconds=30)
ROTATION_CAP = timedelta(hours=1)
_RETRY_AFTER_CAP = timedelta(hours=1)


def step_pause(failures: int, name: str, retry_after: float | None) -> timedelta:
    """Until a faulted step is tried again: 1 s doubling to 30 s, and never before the other side wants us back."""
    delay = min(STEP_CAP, timedelta(seconds=2 ** min(failures, 10)) / 2)
    asked = min(_RETRY_AFTER_CAP, timedelta(seconds=retry_after or 0))
    return max(_spread(delay, failures, name), asked)


def rotation_pause(failures: int, name: str) -> timedelta:
    """Until a rotation that was given up begins again: 30 s doubling to an hour."""
    return _spread(min(ROTATION_CAP, timedelta(seconds=15 * 2 ** min(failures, 12))), failures, name)


def _spread(delay: timedelta, failures: int, name: str) -> timedelta:
    """Take up to a third off, drawn from the name, so that neighbours do not come back together."""
    return delay * (1 - share(f"{name}/{failures}") / 3)
