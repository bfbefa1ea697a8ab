"""What states are made of: each value is kept once and told apart by identity; times are moved as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rotator.rotation.phases import AwaitingState, PhaseState, VerifiedState
from rotator.rotation.record import Held, Record
from rotator.rotation.rotation_request import AT_REST
from rotator.rotation.secret import Secret

T = TypeVar("T")

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # in every state it is this moment: when time passes, all else moves
OLD = 120.0  # seconds: longer ago than that is long ago; no pause and no interval of a walk is longer
LONG_AGO = NOW - timedelta(seconds=OLD)

_kept: dict[Any, Any] = {}


def kept(value: T) -> T:
    """The one instance that stands for all equal to it."""
    return _kept.setdefault((type(value), value), value)


# --- documents ------------------------------------------------------------------------------------------------------

_TIMES = frozenset({"issued_at", "expires_at"})  # texts that are times


def frozen(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A document as a value; secrets in plain text, for nobody but the model reads it."""
    return tuple((key, _cold(key, each)) for key, each in sorted(values.items()))


def _cold(key: str, value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return frozen(value)
    return datetime.fromisoformat(value) if key in _TIMES and value else value


def thawed(values: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """The document again."""
    return {key: _warm(each) for key, each in values}


def _warm(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return thawed(value) if isinstance(value, tuple) else value


# --- time -----------------------------------------------------------------------------------------------------------

_moved: dict[tuple[int, float], Any] = {}


def moved(value: T, seconds: float) -> T:
    """The same, with every time in it so much later; what is long ago stays so. Of kept values the answer is kept."""
    if not seconds:
        return value
    found = _moved.get((id(value), seconds))
    if found is None:
        found = _moved[id(value), seconds] = kept(_move(value, timedelta(seconds=seconds)))
    return found


def _move(value: Any, by: timedelta) -> Any:
    if isinstance(value, datetime):
        return value if value <= LONG_AGO else max(LONG_AGO, value + by)
    if isinstance(value, tuple):
        parts = [_move(each, by) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if is_dataclass(value):
        changed = {
            x.name: new
            for x in fields(value)
            if x.init and (new := _move(old := getattr(value, x.name), by)) is not old
        }
        return replace(value, **changed) if changed else value
    return value


# --- records --------------------------------------------------------------------------------------------------------

_WORDS = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")


def abstract(record: Record) -> Record:
    """The record without the words that nothing is decided by, and with nothing but the past where times are past.

    Once a rotation is published, when it was asked for, sent and proven is no more than past; so is when a pause
    began that is over. That they are set is kept.
    """
    failure, lost, over = record.failure, record.lost, record.phase in AT_REST
    times = {name: LONG_AGO for name in _PAST if getattr(record, name)} if over else {}
    if record.retry_at is None:
        times |= {"retry_from": LONG_AGO} if record.retry_from else {}
        failure = replace(failure, at=LONG_AGO) if failure else None
    if over and record.predecessor is None and record.grace_ends:
        times["grace_ends"] = LONG_AGO
    return replace(
        record,
        evidence="",
        asked_by="",
        requested_told=None,
        state=_state(record.state),
        failure=replace(failure, reason="") if failure else None,
        lost=replace(lost, text="") if lost else None,
        mints=(LONG_AGO,) * len(record.mints) if over else record.mints,
        emergency_mints=(LONG_AGO,) * len(record.emergency_mints) if over else record.emergency_mints,
        **times,
    )


_PAST = ("requested_at", "sent_at")


def _state(state: PhaseState | Held) -> Any:
    match state:
        case Held(state=below):
            return replace(state, text="", state=_state(below))
        case AwaitingState(awaiting=text):
            return replace(state, awaiting=_WORDS.sub("then", text))
        case VerifiedState(abandoned=why) if why:
            return replace(state, abandoned="abandoned")
    return state
