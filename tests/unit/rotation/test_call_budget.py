"""The calls that a target gets in an hour: the sums, and whether they fit."""

from __future__ import annotations

from rotator.rotation.call_budget import CallsOfCredential, planned_calls
from tests.unit.rotation.builders import HOUR, MINUTE

DAILY = CallsOfCredential(24 * HOUR, rotation=12, proof=2)
NEVER = CallsOfCredential(None, rotation=12, proof=2)


def test_rotations_probes_and_listings_are_summed() -> None:
    planned = planned_calls([DAILY, DAILY, NEVER], probe=15 * MINUTE, sweep=HOUR, calls=10, period=MINUTE)
    assert (planned.credentials, planned.rotations, planned.probes, planned.listings) == (3, 1.0, 24.0, 1.0)
    assert (planned.together, planned.allowed, planned.start) == (26.0, 600.0, 12)
    assert planned.fits


def test_without_a_probe_nothing_is_proven_at_the_start() -> None:
    planned = planned_calls([DAILY], probe=None, sweep=HOUR, calls=1, period=HOUR)
    assert (planned.probes, planned.start) == (0.0, 0)
    assert not planned.fits


def test_nothing_is_listed_where_no_credential_lives() -> None:
    planned = planned_calls([], probe=MINUTE, sweep=HOUR, calls=1, period=HOUR)
    assert planned.together == 0
