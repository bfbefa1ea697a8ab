"""The way from a step to its event: each step has one verb; faults of the world become events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from rotator.engine.context import RotationContext
from rotator.engine.steps import install, mint, publish, retire, rollback
from rotator.ports import Conflict, MinterRefused, Refused, TargetNotConfigured, Transient
from rotator.rotation import events as ev
from rotator.rotation import steps
from rotator.rotation.record import HoldReason, Record


async def perform(context: RotationContext, record: Record, step: steps.Act) -> ev.Event:
    """Do the step. Raises Conflict when another actor overtook us, MinterRefused when the target refuses our minter."""
    try:
        return await _PERFORM[type(step)](context, record, step)
    except (Conflict, MinterRefused):
        raise
    except TargetNotConfigured as fault:
        remedy = "put the target back into the settings until it is settled"
        return context.held(HoldReason.TARGET_CHANGED, f"{fault.reason}; {remedy}")
    except (Transient, Refused) as fault:
        unanswered = context.shared if isinstance(fault, install.Unanswered) else None
        return context.faulted(type(step).__name__.lower(), fault.reason, fault.retry_after, unanswered=unanswered)


async def _escalate(context: RotationContext, record: Record, step: steps.Escalate) -> ev.Event:
    return ev.Escalated(context.at, step.asked_by)


async def _hold(context: RotationContext, record: Record, step: steps.Hold) -> ev.Event:
    return context.held(step.reason, step.text, emergency=step.emergency)


_PERFORM: dict[type[steps.Act], Callable[[RotationContext, Record, Any], Awaitable[ev.Event]]] = {
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
    steps.Burn: mint.burn,
    steps.Sweep: retire.sweep,
    steps.Restore: rollback.restore,
    steps.Hold: _hold,
}
