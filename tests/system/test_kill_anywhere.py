"""A daemon killed at any call of a rotation: the next one finishes the work, and no consumer notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.kill_anywhere import campaign
from tests.system.quick import TAKEN_OVER

pytestmark = pytest.mark.system


@pytest.mark.timeout(600)
def test_a_kill_at_any_call_before_or_after_its_effect_leaves_one_living_published_token(
    figures: Callable[[str], None],
) -> None:
    outcome = campaign()
    figures(f"kill anywhere: {outcome}")
    assert not outcome.violations
    assert {call.edge for call in outcome.calls} == {"vault", "halo"}
    assert len(outcome.crashes) == 2 * len(outcome.calls) >= 36  # a rotation that needs fewer calls is another one
    assert outcome.probes > 20 * len(outcome.crashes)
    assert outcome.percentile(0.99) <= TAKEN_OVER + 10
