"""Where a record stands, in one sentence that is true at the time it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rotator.rotation import lost_value, pause
from rotator.rotation.adoption import taken_over
from rotator.rotation.record import Phase, PublishedValue, Record
from rotator.rotation.wording import when


def stands(record: Record, now: datetime) -> str:
    """The phase in a sentence that is true at `now`."""
    return _STANDS[record.phase](record, now)


def _settled(record: Record, now: datetime) -> str:
    current = record.current
    if current is None:
        tried = f"rotation {record.rotation} was given up" if record.rotation else "nothing was tried yet"
        return f"Settled: nothing was published yet; {tried}."
    word = "adopted" if taken_over(record) else "published"
    said = f"Settled: {current.token.id} is {word}{_but(record, current, now)}, and no rotation is under way"
    return f"{said}; {_older(record, record.predecessor, now)}." if record.predecessor else f"{said}."


def _but(record: Record, current: PublishedValue, now: datetime) -> str:
    """Why the published value is of no use, if that is so."""
    end = current.token.expires_at
    if record.refused_at:
        return f", but the target refuses it since {when(record.refused_at)}"
    if record.lost:
        return f", but consumers do not find it: {record.lost.place} {lost_value.WORDS[record.lost.reason]}"
    return f", but it expired at {when(end)}" if end and end <= now else ""


def _older(record: Record, old: PublishedValue, now: datetime) -> str:
    if record.ends_at is None:
        return f"{old.token.id}, published before, lives on until a new value is published"
    if record.ends_at <= now:
        return f"{old.token.id}, published before, was expected to end at {when(record.ends_at)}: that is to be proven"
    return f"{old.token.id}, published before, is expected to end at {when(record.ends_at)}"


def _undoing(record: Record, now: datetime) -> str:
    old = f"{record.predecessor.token.id}, published before," if record.predecessor else "the value before"
    return f"Undoing: {old} is being brought back, to be published again."


def _requested(record: Record, now: datetime) -> str:
    attempt = f"Requested: attempt {record.attempt} of rotation {record.rotation}"
    if record.uncertain:
        return f"{attempt} asked for a new value under the name {record.mint_name}; whether it was made is not known."
    return f"{attempt} is to make a new value, under the name {record.mint_name}."


def _awaiting(record: Record, now: datetime) -> str:
    return f"Awaiting: a person has to act since {when(record.awaiting_since)}. What to do: {record.awaiting}"


def _staged(record: Record, now: datetime) -> str:
    candidate = record.candidate
    if candidate is None:
        return _nothing_staged(record)
    if record.undo:
        return f"Staged: {candidate.token.id}, published before, is in hand again; it is not proven yet."
    if candidate.pending:
        return "Staged: a new value was made here and is kept in the private slot; the target was not told of it yet."
    return f"Staged: {candidate.token.id} was made and is kept in the private slot; it is not proven yet."


def _installed(record: Record, now: datetime) -> str:
    if record.candidate is None:
        return _nothing_staged(record)
    return f"Installed: the target was told {record.candidate.token.id}; it is not proven yet{_apart(record)}."


def _verified(record: Record, now: datetime) -> str:
    if record.candidate is None:
        return _nothing_staged(record)
    token, place = record.candidate.token.id, record.place
    if record.abandoned:
        fence = f"{place} is rewritten unchanged, so that no delayed write can publish it"
        return f"Verified, then given up: {token} will not be published ({record.abandoned}); {fence}{_apart(record)}."
    over = f"over version {record.expected_version}" if record.expected_version else "as the first version"
    return f"Verified: {token} is proven; it will be published at {place}, {over}{_apart(record)}."


def _apart(record: Record) -> str:
    if not (record.cut_over_at and record.current):
        return ""
    return "; meanwhile consumers hold the value before, which the target refuses"


def _nothing_staged(record: Record) -> str:
    return f"{record.phase.value.capitalize()}: attempt {record.attempt} of rotation {record.rotation} has no value."


def _published(record: Record, now: datetime) -> str:
    current, old = record.current, record.predecessor
    if current is None:
        return "Published: the record does not say what."
    but = _but(record, current, now)
    word = "Adopted" if taken_over(record) else "Published"
    if old is None:
        return f"{word}: {current.token.id}{but}; no value before it is left to end."
    said = f"{word}: {current.token.id} has replaced {old.token.id}"
    if record.emergency:
        return f"{said}, which ends as soon as the new one is proven again{but.replace(' it ', ' the new one ')}."
    return f"{said}, which {_grace(record, old, now)}{but.replace(' it ', ' the new one ')}."


def _grace(record: Record, old: PublishedValue, now: datetime) -> str:
    end = old.token.expires_at
    if old.refused_at:
        return f"the target refuses since {when(old.refused_at)} and which is still to be proven dead"
    if end and end <= now:
        return f"expired at {when(end)} and is still to be proven dead"
    if record.grace_ends and record.grace_ends <= now:
        return "is past its promised grace and has not ended yet"
    return "is in its grace"


def _condemned(record: Record, now: datetime) -> str:
    if record.predecessor is None:
        return "Condemned, and done: the value before is dead; what the rotation left behind is being tidied up."
    waits = "; an operator has paused that" if pause.on_at(record.paused, now) and not record.emergency else ""
    return f"Condemned: {record.predecessor.token.id}, published before, is being ended and proven dead{waits}."


def _rejected(record: Record, now: datetime) -> str:
    back = "; the value before is being put back on the target" if record.cut_over_at and record.current else ""
    attempt = f"attempt {record.attempt} of rotation {record.rotation} failed"
    return f"Rejected: {attempt}; whatever lives under {record.mint_name} is being ended{back}."


def _held(record: Record, now: datetime) -> str:
    held = record.held
    if held is None:
        return "Held: a person must act."
    return f"Held since {when(held.at)} ({held.reason.value}): {held.text}."


_STANDS: dict[Phase, Callable[[Record, datetime], str]] = {
    Phase.SETTLED: _settled,
    Phase.UNDOING: _undoing,
    Phase.REQUESTED: _requested,
    Phase.AWAITING: _awaiting,
    Phase.STAGED: _staged,
    Phase.INSTALLED: _installed,
    Phase.VERIFIED: _verified,
    Phase.PUBLISHED: _published,
    Phase.CONDEMNED: _condemned,
    Phase.REJECTED: _rejected,
    Phase.HELD: _held,
}
