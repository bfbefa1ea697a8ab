"""Calls of hooks are counted where Prometheus looks, and show zero before the first."""

from __future__ import annotations

from dataclasses import replace

from rotator.app.monitoring import Monitoring
from rotator.settings import DaemonConfig, Hook, HookMoment, Method, Settings, VaultAuth, VaultConfig

SETTINGS = Settings(VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, "")), DaemonConfig("host-a"))


def test_every_outcome_of_every_hook_is_there_before_it_happens_so_that_the_first_failure_is_a_rise() -> None:
    settings = replace(SETTINGS, hooks={"page": Hook("page", (HookMoment.HELD,), ("/bin/true",))})
    monitoring = Monitoring(settings)
    monitoring.called("page", "failed")
    lines = monitoring._metrics.scrape().decode().splitlines()
    assert [line for line in lines if line.startswith("rotator_hook_deliveries_total")] == [
        'rotator_hook_deliveries_total{hook="page",outcome="delivered"} 0.0',
        'rotator_hook_deliveries_total{hook="page",outcome="failed"} 1.0',
        'rotator_hook_deliveries_total{hook="page",outcome="dropped"} 0.0',
    ]
