"""A daemon killed at any call of a rotation: the next one finishes the work, and no consumer notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotator.providers import kind_of
from tests.system.kill_anywhere import at_effects, campaign, everywhere
from tests.system.kinds import KINDS
from tests.system.outcome import Outcome
from tests.system.quick import TAKEN_OVER

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
_KINDS = {"oauth-token-revoked": "oauth-token", "halo-client-secret-two": "halo-client-secret"}  # rows of one kind
OTHERS = [name for name in KINDS if name != "halo-pat"]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """One campaign for all kinds."""
    return campaign({"halo-pat": everywhere, **dict.fromkeys(OTHERS, at_effects)})


def test_a_kill_at_any_call_before_or_after_its_effect_leaves_one_living_published_token(
    outcome: Outcome, figures: Callable[[str], None]
) -> None:
    figures(f"kill anywhere: {outcome}")
    assert not outcome.violations
    assert outcome.probes > 20 * len(outcome.crashes)
    pats = outcome.of("halo-pat")
    calls = pats.calls["halo-pat"]
    assert {call.edge for call in calls} == {"vault", "halo"}
    assert len(pats.crashes) == 2 * len(calls) >= 36  # a rotation that needs fewer calls is another one
    assert pats.percentile(0.99) <= TAKEN_OVER + 10


def test_a_kill_after_any_write_of_any_other_kind_leaves_what_vault_holds_accepted_and_the_old_value_dead(
    outcome: Outcome,
) -> None:
    assert not outcome.violations
    others = outcome.of(*OTHERS)
    assert {crash.kind for crash in others.crashes if not crash.missed} == set(OTHERS)
    assert others.missed <= len(others.crashes) / 10
    assert others.percentile(0.99) <= TAKEN_OVER + 15


def test_no_kind_makes_fewer_calls_than_the_plan_of_its_target_says(outcome: Outcome) -> None:
    """Settings would be refused that work."""
    made = {name: sum(call.edge == KINDS[name].edge for call in calls) for name, calls in outcome.calls.items()}
    least = {name: kind_of(_KINDS.get(name, name)).calls_of_rotation for name in made}
    assert set(made) == set(KINDS)
    assert not {name: count for name, count in made.items() if count < least[name]}
