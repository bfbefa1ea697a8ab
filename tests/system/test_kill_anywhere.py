"""A daemon killed at any call of a rotation: the next one finishes the work, and no consumer notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.kill_anywhere import at_effects, campaign
from tests.system.kinds import KINDS
from tests.system.quick import TAKEN_OVER

pytestmark = pytest.mark.system


@pytest.mark.timeout(600)
def test_a_kill_at_any_call_before_or_after_its_effect_leaves_one_living_published_token(
    figures: Callable[[str], None],
) -> None:
    outcome = campaign()
    figures(f"kill anywhere: {outcome}")
    assert not outcome.violations
    calls = outcome.calls["halo-pat"]
    assert {call.edge for call in calls} == {"vault", "halo"}
    assert len(outcome.crashes) == 2 * len(calls) >= 36  # a rotation that needs fewer calls is another one
    assert outcome.probes > 20 * len(outcome.crashes)
    assert outcome.percentile(0.99) <= TAKEN_OVER + 10


@pytest.mark.timeout(600)
def test_a_kill_after_any_write_of_any_other_kind_leaves_what_vault_holds_accepted_and_the_old_value_dead(
    figures: Callable[[str], None],
) -> None:
    kinds = [name for name in KINDS if name != "halo-pat"]
    outcome = campaign(kinds, choose=at_effects)
    figures(f"kill anywhere: {outcome}")
    assert not outcome.violations
    assert {crash.kind for crash in outcome.crashes if not crash.missed} == set(kinds)
    assert outcome.missed <= len(outcome.crashes) / 10
    assert outcome.percentile(0.99) <= TAKEN_OVER + 15
