"""Procedures: one for each step, with the calls that it makes and the event that their answers lead to.

This file has the table of them, and the event that a fault becomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rotator.rotation import events as ev
from rotator.rotation import steps
from rotator.rotation.faults import (
    Conflict,
    MinterRefused,
    NeedsAccess,
    NeedsPerson,
    Refused,
    TargetNotConfigured,
    Transient,
)
from rotator.rotation.observation import Observation
from rotator.rotation.procedures import install, mint, publish, restore, retire
from rotator.rotation.procedures.calls import Procedure
from rotator.rotation.record import HoldReason, Record


def outcome(seen: Observation, record: Record, step: steps.Act) -> Procedure[ev.Event]:
    """The event of the step. Raises Conflict if another process overtook us, MinterRefused if the target refuses
    our minter.
    """
    try:
        return (yield from _PROCEDURES[type(step)](seen, record, step))
    except (Conflict, MinterRefused):
        raise
    except TargetNotConfigured as fault:
        remedy = "put the target back into the settings until it is settled"
        return seen.held(HoldReason.TARGET_CHANGED, f"{fault.reason}; {remedy}")
    except (Transient, Refused) as fault:
        unanswered = seen.shared if isinstance(fault, install.Unanswered) else None
        name, person = type(step).__name__.lower(), isinstance(fault, NeedsPerson | NeedsAccess)
        return seen.faulted(
            name, fault.reason, fault.retry_after, unanswered=unanswered, of_target=not person, person=person
        )


def without_minter(seen: Observation, step: steps.Act, fault: MinterRefused) -> ev.Event:
    """The event of a step whose target refuses our minter: nothing was made."""
    if isinstance(step, steps.Mint):
        return ev.MintRefused(seen.at, fault.reason)
    return seen.faulted(type(step).__name__.lower(), fault.reason, fault.retry_after)


def _escalate(seen: Observation, record: Record, step: steps.Escalate) -> Procedure[ev.Event]:
    yield from ()
    return ev.Escalated(seen.at, step.asked_by)


def _reopen(seen: Observation, record: Record, step: steps.Reopen) -> Procedure[ev.Event]:
    yield from ()
    return ev.Reopened(seen.at, step.token)


def _hold(seen: Observation, record: Record, step: steps.Hold) -> Procedure[ev.Event]:
    yield from ()
    return seen.held(step.reason, step.text, emergency=step.emergency)


_PROCEDURES: dict[type[steps.Act], Callable[[Observation, Record, Any], Procedure[ev.Event]]] = {
    steps.Request: publish.request,
    steps.Escalate: _escalate,
    steps.Mint: mint.mint,
    steps.Look: mint.look,
    steps.Install: install.install,
    steps.Poll: install.poll,
    steps.Verify: publish.verify,
    steps.Publish: publish.publish,
    steps.Fence: publish.fence,
    steps.Condemn: retire.condemn,
    steps.Revoke: retire.revoke,
    steps.Reopen: _reopen,
    steps.LookWhetherEnded: retire.look_whether_ended,
    steps.Burn: mint.burn,
    steps.Sweep: retire.sweep,
    steps.Restore: restore.restore,
    steps.Hold: _hold,
}
