"""Two daemons and a shell on the same credentials, under fire: consumers notice nothing, and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.campaign import CONVERGENCE
from tests.system.race import race

pytestmark = pytest.mark.system


@pytest.mark.timeout(400)
def test_racing_actors_that_are_killed_stopped_and_cut_off_leave_one_living_published_token_each(
    figures: Callable[[str], None],
) -> None:
    outcome = race(42)
    figures(f"race: {outcome}")
    assert not outcome.violations
    assert outcome.convergence < CONVERGENCE
    assert outcome.rotations >= 12
    assert outcome.counts["kills"] >= 5
    assert outcome.counts["stops"] >= 1
    assert outcome.losses >= 15  # these floors only say that it was no empty race, also on a slow machine
    assert outcome.probes >= 1000
