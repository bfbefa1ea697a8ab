"""What calls to a target are for: who goes first where its request budget is short."""

from __future__ import annotations

from enum import IntEnum

from rotator.rotation.record import Record
from rotator.rotation.steps import Act, LookWhetherEnded, Reopen, Request


class Purpose(IntEnum):
    """From what goes first to what goes last."""

    EMERGENCY = 0  # a value leaked
    IN_FLIGHT = 1  # a rotation has begun: a value may live that nobody uses yet, or one that is to end
    DUE = 2  # what is asked before a rotation begins
    REST = 3  # probes, comparisons, listings, looks of people


def purpose_of(record: Record, step: Act) -> Purpose:
    """What the calls of a step are for."""
    match step:
        case Request():
            return Purpose.EMERGENCY if step.emergency else Purpose.DUE
        case LookWhetherEnded():
            return Purpose.REST
        case Reopen():
            return Purpose.EMERGENCY
    return Purpose.EMERGENCY if record.emergency else Purpose.IN_FLIGHT
