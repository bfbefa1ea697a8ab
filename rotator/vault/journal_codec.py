"""How a journal document looks: record, lease, nonce and schema as JSON in which every leaf is text.

Reading and writing documents is journal.py's. This file knows nothing of hvac, the simulation uses it too.

Every leaf is text because KV engines keep numbers as 64-bit floats: on OpenBao 2.7.2, 9007199254740993 comes back as
...992. What is None is left out, what is absent takes its default, and keys we do not know are kept, so a new field of
the record needs no new schema. The schema number is for changes that an older rotator must not touch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import msgspec

from rotator.ports import Entry, Lease, Refused
from rotator.rotation.phases import PHASE_STATES
from rotator.rotation.record import Candidate, Held, HoldReason, Phase, Record, RecordFacts, Trigger

SCHEMA = 1
_DIGITS = 9
_FIRST_YEAR, _LAST_YEAR = 1970, 8999
_LONGEST = timedelta(days=36600)
_LONGEST_TEXT = 16_384  # characters; the longest honest one is what a person has to do, with a public key in it
_FACTS = tuple(field.name for field in fields(RecordFacts))
_STAGED = {kind: frozenset(field.name for field in fields(kind)) for kind in PHASE_STATES.values()}
_LATER: dict[Any, Trigger | HoldReason] = {  # words that the first release refuses, and the nearest that it knows
    Trigger.LOST: Trigger.MISSING,
    HoldReason.TWO_VAULTS: HoldReason.PERSON,
}
_EXACT = "exact"  # the key of such a word, beside the nearest one
_SEEN = "later_seq"  # the key of the lease's number at which a version that knows the later facts has written them
_OURS = frozenset({"schema", "nonce", "lease", "phase", "held", _EXACT, _SEEN, *_FACTS}.union(*_STAGED.values()))
_OF_THE_MOMENT = frozenset(
    {"lost", "grace_from", "requested_told", "in_vain", "in_spite_of"}
)  # later facts that any step may end
_WHERE = re.compile(r"`\$\.([^`]*)`")
_ABSENT = re.compile(r"missing required field `(\w+)`")


class _Leased(msgspec.Struct):
    """The part of the document that is not the record's."""

    lease: Lease = Lease()


class _Hold(msgspec.Struct):
    """A hold as the document has it: beside what is known of the phase to go back to."""

    reason: HoldReason
    text: str
    phase: Phase
    at: datetime


class _Phased(msgspec.Struct):
    """What says which state the rest is of, and what a state may not have that is not to be forgotten."""

    phase: Phase = Phase.SETTLED
    held: _Hold | None = None
    candidate: Candidate | None = None
    cut_over_at: datetime | None = None


def encode(record: Record, lease: Lease, nonce: str, foreign: Mapping[str, object]) -> dict[str, object]:
    """The document to write. `foreign`: keys of the document it replaces that we do not know."""
    ours = texts(flat(record))
    if (why := record.why) and why in _LATER:
        ours |= {"why": _LATER[why].value, _EXACT: why.value}
    if (held := record.held) and held.reason in _LATER:
        ours["held"] |= {"reason": _LATER[held.reason].value, _EXACT: held.reason.value}
    about = {"schema": str(SCHEMA), "nonce": nonce, "lease": texts(msgspec.to_builtins(lease)), _SEEN: str(lease.seq)}
    return {**foreign, **ours, **about}


def decode(name: str, version: int, values: Mapping[str, object], server_time: datetime | None = None) -> Entry:
    """The entry in a document. Raises Refused, naming the key, when it is damaged or of a newer schema."""
    schema = values.get("schema")
    if not isinstance(schema, str) or not schema.isdecimal():
        raise Refused(f"the journal of {name} cannot be read: `schema` is missing or not a number")
    if is_newer(schema):
        raise Refused(f"the journal of {name} was written by a newer rotator (schema {schema[:9]}): read-only here")
    try:
        record = _record(name, _later(values))
        lease = msgspec.convert(values, _Leased, strict=False).lease
    except msgspec.ValidationError as error:
        raise Refused(f"the journal of {name} cannot be read: {_key(str(error))}") from None
    except UnicodeEncodeError:
        raise Refused(f"the journal of {name} cannot be read: it holds half a character") from None
    if wrong := _beyond(record, lease):
        raise Refused(f"the journal of {name} cannot be read: {wrong}")
    foreign = {key: value for key, value in values.items() if key not in _OURS}
    return Entry(name, version, record, lease, server_time, foreign)


def _later(values: Mapping[str, object]) -> Mapping[str, object]:
    """The document with the words that the first release does not know, and without what it has let grow old.

    That release writes keys that it does not know as it found them, and counts the lease up with each write.
    """
    if _EXACT in values and values.get("why") == Trigger.MISSING.value:
        values = {**values, "why": values[_EXACT]}
    held, lease = values.get("held"), values.get("lease")
    if isinstance(held, Mapping) and _EXACT in held:
        values = {**values, "held": {**held, "reason": held[_EXACT]}}
    if _SEEN in values and isinstance(lease, Mapping) and values[_SEEN] != lease.get("seq"):
        values = {key: value for key, value in values.items() if key not in _OF_THE_MOMENT}
    return values


def flat(record: Record, builtin_types: tuple[type, ...] = ()) -> dict[str, Any]:
    """The record as schema 1 has it: what its state knows lies beside the facts, under the same keys for all phases."""
    facts = {name: value for name in _FACTS if (value := getattr(record, name)) is not None}
    if held := record.held:
        facts["held"] = _Hold(held.reason, held.text, held.state.phase, held.at)
    plain: dict[str, Any] = msgspec.to_builtins(facts, builtin_types=builtin_types)
    state: dict[str, Any] = msgspec.to_builtins(record.reached, builtin_types=builtin_types)
    undo = record.undo
    if undo and undo.back is Phase.CONDEMNED:
        state["condemned_at"] = state["undo"]["at"]  # schema 1 goes back to that
    return {**plain, **state, "phase": record.phase.value}


def _record(name: str, values: Mapping[str, object]) -> Record:
    """The record in a document. What its phase has no room for is kept in the facts where it matters to anybody.

    A candidate becomes a stray, which the next sweep ends; a target that refuses what is published still does.
    """
    facts, phased = msgspec.convert(values, RecordFacts, strict=False), msgspec.convert(values, _Phased, strict=False)
    hold, phase = phased.held, phased.phase
    if (phase is Phase.HELD) != (hold is not None):
        there = "there" if hold else "missing"
        raise Refused(f"the journal of {name} cannot be read: its `phase` is {phase.value}, and `held` is {there}")
    at = hold.phase if hold else phase
    if at is Phase.HELD:
        raise Refused(f"the journal of {name} cannot be read: the value of `held.phase` is not what it should be")
    if at in _OF_PUBLISHED and facts.current is None:
        raise Refused(f"the journal of {name} cannot be read: its `phase` is {at.value}, and `current` is missing")
    kind = PHASE_STATES[at]
    state = msgspec.convert(values, kind, strict=False)
    known, room = {name: getattr(facts, name) for name in _FACTS}, _STAGED[kind]
    if phased.candidate and "candidate" not in room:
        known |= {"strays": True, "slot_full": True}
    if phased.cut_over_at and "cut_over_at" not in room:
        known["refused_at"] = facts.refused_at or phased.cut_over_at
    return Record(**known, state=Held(hold.reason, hold.text, hold.at, state) if hold else state)


_OF_PUBLISHED = frozenset({Phase.PUBLISHED, Phase.CONDEMNED, Phase.UNDOING})


def is_newer(schema: str) -> bool:
    """Whether a schema, decimal digits, is beyond what we know; a number of thousands of digits cannot be converted."""
    return len(schema) > _DIGITS or int(schema) > SCHEMA


def _beyond(record: Record, lease: Lease) -> str:
    """What no arithmetic can be done with, or nothing. A token's own times are its target's to choose."""
    plain = flat(record, builtin_types=(datetime, timedelta))
    plausible = _plausible(plain)  # true of every record but a damaged one, and ten times as fast as to name the place
    if not plausible and (key := _too_long(plain)):
        return f"the value of `{key}` is longer than {_LONGEST_TEXT} characters"
    for key, time in () if plausible else _times(plain):
        if time.tzinfo is None:
            return f"the time in `{key}` has no zone"
        if ".token." not in f".{key}" and not _FIRST_YEAR <= time.year <= _LAST_YEAR:
            return f"the time in `{key}` is in no year that we know"
    if record.grace > _LONGEST:
        return "the value of `grace` is more than a century"
    return "" if 0 <= lease.ttl <= _LONGEST.total_seconds() else "the value of `lease.ttl` is not what it should be"


def texts(value: Any) -> Any:
    """Every leaf as text; None is left out of objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: item if type(item) is str else texts(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [texts(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _key(words: str) -> str:
    """The key a validation error is about. Its other words may quote what a person typed there."""
    where, absent = _WHERE.findall(words)[-1:], _ABSENT.findall(words)
    if absent:
        return f"`{'.'.join(where + absent)}` is missing"
    return f"the value of `{where[0]}` is not what it should be" if where else "it is not a record"


def _plausible(value: Any) -> bool:
    """Whether all texts are short, and all times have a zone and a year that we know."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, dict):
        return all(map(_plausible, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_plausible, value))
    return not isinstance(value, datetime) or (value.tzinfo is not None and _FIRST_YEAR <= value.year <= _LAST_YEAR)


def _too_long(value: Any, path: str = "") -> str:
    """The key of a text that no honest record holds, or nothing."""
    if isinstance(value, str):
        return path if len(value) > _LONGEST_TEXT else ""
    inner = value.items() if isinstance(value, dict) else ()
    return next((key for name, each in inner if (key := _too_long(each, f"{path}.{name}".lstrip(".")))), "")


def _times(value: Any, path: str = "") -> Iterator[tuple[str, datetime]]:
    if isinstance(value, datetime):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _times(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (datetime, dict, list, tuple)):  # most are neither: a generator less for each
                yield from _times(item, f"{path}.{key}".lstrip("."))
