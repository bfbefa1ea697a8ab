"""Records as tests name them: by their phase and by what is known in it, beside the facts that hold in every phase."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from rotator.rotation.phases import PHASE_STATES
from rotator.rotation.record import Held, HoldReason, Phase, Record, RecordFacts

_FACTS = tuple(field.name for field in fields(RecordFacts))
_STAGED = {phase: tuple(field.name for field in fields(kind)) for phase, kind in PHASE_STATES.items()}


@dataclass(frozen=True)
class OnHold:
    """A hold, and the phase to go back to."""

    reason: HoldReason
    text: str
    phase: Phase
    at: datetime


def known(record: Record) -> dict[str, Any]:
    """Everything that the record says, by name."""
    held, state = record.held, record.reached
    hold = OnHold(held.reason, held.text, state.phase, held.at) if held else None
    staged = {name: getattr(state, name) for name in _STAGED[state.phase]}
    return {name: getattr(record, name) for name in _FACTS} | staged | {"phase": record.phase, "held": hold}


def record_of(wanted: dict[str, Any], left: frozenset[str] = frozenset()) -> Record:
    """The record that says this. Raises TypeError for what its phase has no room for, unless it is `left` over."""
    said = dict(wanted)
    hold, phase = said.pop("held", None), said.pop("phase", Phase.SETTLED)
    at = hold.phase if hold else phase
    facts = {name: said.pop(name) for name in _FACTS if name in said}
    fit = {name: each for name, each in said.items() if name in _STAGED[at] or (each and name not in left)}
    state = PHASE_STATES[at](**fit)
    return Record(**facts, state=Held(hold.reason, hold.text, hold.at, state) if hold else state)


def replace(value: Any, **changes: Any) -> Any:
    """As that of dataclasses; of a record, the phase and what is known in it may be changed, too."""
    if not isinstance(value, Record) or "state" in changes:
        return dataclasses.replace(value, **changes)
    before = known(value)
    if changes.get("phase", Phase.HELD) is not Phase.HELD:
        before["held"] = None
    return record_of(before | changes, frozenset(before.keys() - changes.keys()))
