"""Check that the calls that credentials ask of a target fit into what it allows; the refusal shows the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from rotator.rotation.call_budget import CallsOfCredential, PlannedCalls, planned_calls
from rotator.rotation.credential import Credential
from rotator.rotation.schedule import FractionOfLife
from rotator.rotation.wording import counted
from rotator.settings.model import DaemonConfig, Target
from rotator.settings.targets import KindDescription
from rotator.settings.timing_checks import spacing


def calls_of_target(
    target: Target, credentials: Iterable[Credential], kinds: Mapping[str, KindDescription], daemon: DaemonConfig
) -> PlannedCalls:
    """The calls that these credentials ask of their target in an hour."""
    found = [
        CallsOfCredential(_interval(each), kinds[each.kind].calls_of_rotation, kinds[each.kind].calls_of_proof)
        for each in credentials
    ]
    config = target.config
    return planned_calls(found, probe=daemon.probe, sweep=daemon.sweep, calls=config.calls, period=config.period)


def _interval(credential: Credential) -> timedelta | None:
    never = isinstance(credential.schedule, FractionOfLife) and credential.lifetime is None
    return None if never else sum(spacing(credential), timedelta()) / 2


def budget_clash(planned: PlannedCalls) -> str:
    """A sentence when a target may not be asked as often as it would have to be, else nothing."""
    if planned.fits:
        return ""
    whose = counted(planned.credentials, "credential")
    return (
        f"allows {planned.allowed:,.0f} calls an hour, but {whose} there need at least"
        f" {planned.together:,.0f}: {planned.rotations:,.0f} for rotations, {planned.probes:,.0f} for probes,"
        f" {planned.listings:,.0f} for listings; raise it, lengthen [daemon] probe, or rotate less often"
    )
