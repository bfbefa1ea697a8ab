"""What counts as alive: each sign has a patience of its own, and each alone is enough to stop the watchdog's food."""

from __future__ import annotations

import pytest

from rotator.app.systemd import Liveness, SignOfLife

PATIENCE = {SignOfLife.LOOP: 30.0, SignOfLife.WORKER: 300.0, SignOfLife.VAULT: 900.0}


def all_but(missing: SignOfLife, at: float) -> Liveness:
    pulse = Liveness(0.0)
    for sign in SignOfLife:
        if sign is not missing:
            pulse.felt(sign, at)
    return pulse


@pytest.mark.parametrize("missing", SignOfLife)
def test_one_sign_that_is_missing_for_too_long_is_named(missing: SignOfLife) -> None:
    late = PATIENCE[missing] + 1
    assert all_but(missing, late).still(late) == f"no sign of {missing} for {late:.0f} s"


@pytest.mark.parametrize("missing", SignOfLife)
def test_until_its_patience_is_over_a_sign_is_waited_for(missing: SignOfLife) -> None:
    assert all_but(missing, PATIENCE[missing]).still(PATIENCE[missing]) == ""


def test_every_missing_sign_is_named() -> None:
    assert Liveness(0.0).still(1000.0).count("no sign of") == 3


def test_slow_settings_get_more_patience() -> None:
    pulse = Liveness(0.0, tick=60.0, lease=3600.0)
    pulse.felt(SignOfLife.WORKER, 170.0)
    assert pulse.still(180.0) == ""
    pulse.felt(SignOfLife.LOOP, 10_800.0)
    pulse.felt(SignOfLife.WORKER, 10_800.0)
    assert pulse.still(10_800.0) == ""
    assert "Vault" in pulse.still(10_801.0)


def test_news_that_come_late_do_not_turn_time_back() -> None:
    pulse = Liveness(100.0)
    pulse.felt(SignOfLife.LOOP, 50.0)
    assert pulse.still(130.0) == ""
