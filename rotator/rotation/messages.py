"""Each event in words: its name, its severity, its fields for machines, and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from rotator.rotation import events as ev
from rotator.rotation import lost_value
from rotator.rotation.credential import VaultPath
from rotator.rotation.pause import words as pause_words
from rotator.rotation.record import Candidate, PublishedValue, Record, Token
from rotator.rotation.wording import when


class EventSeverity(StrEnum):
    """The severity of an event."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """An event in words. Names are `noun.past_participle`; `said` is a sentence without secrets."""

    name: str
    severity: EventSeverity
    said: str
    fields: Mapping[str, object]


_I, _W, _E = EventSeverity.INFO, EventSeverity.WARNING, EventSeverity.ERROR

_WORDS: dict[type[ev.Event], tuple[str, EventSeverity, str]] = {
    ev.Requested: ("rotation.requested", _I, "rotation {rotation} begins: {detail}{replaces}{spite}"),
    ev.Escalated: ("rotation.escalated", _W, "rotation {rotation} is an emergency now, asked by {asked_by}"),
    ev.Staged: ("candidate.staged", _I, "{token} minted and staged"),
    ev.MintLost: ("mint.lost", _W, "{mint_name}: {reason}"),
    ev.NotMinted: ("mint.missed", _W, "nothing was minted under {mint_name}"),
    ev.MintRefused: ("mint.refused", _E, "no new value was made: {reason}"),
    ev.Awaited: ("person.awaited", _W, "waits for a person: {text}"),
    ev.Polled: ("person.polled", _I, "still waits for a person: {reason}"),
    ev.Reminded: ("person.reminded", _W, "{text}"),
    ev.Installed: ("candidate.installed", _I, "{token} put on the target"),
    ev.Verified: ("candidate.verified", _I, "{token} accepted by the target"),
    ev.CandidateRejected: ("candidate.rejected", _E, "{token} rejected: {reason}"),
    ev.Overtaken: ("publication.overtaken", _W, "{place} moved on to version {expected_version}; publishing over that"),
    ev.Published: ("value.published", _I, "{token} published at {place}, version {version}{apart}"),
    ev.Fenced: ("path.fenced", _W, "{place} fenced at version {version}; the candidate is given up"),
    ev.Deferred: ("retirement.deferred", _I, "predecessor stays until {until}: {reason}"),
    ev.Condemned: ("predecessor.condemned", _I, "predecessor {predecessor} may go: {evidence}"),
    ev.LeftToExpire: (
        "predecessor.left",
        _I,
        "predecessor {predecessor} ends by expiry, expected at {until}{unrevoked}",
    ),
    ev.Reopened: ("predecessor.reopened", _W, "{token}, which was left to its date, is to be revoked once more"),
    ev.LeftToPerson: ("predecessor.unended", _W, "a person has to end {predecessor}, published before: {to_do}"),
    ev.NotEnded: ("predecessor.seen", _I, "{token} is not ended yet, as far as can be seen"),
    ev.Ended: ("predecessor.ended", _I, "{proof}"),
    ev.Disproved: ("value.disproved", _E, "the published value fails its proof now: {reason}"),
    ev.Lost: ("value.lost", _E, "{lost}"),
    ev.Returned: ("value.returned", _W, "{place} holds the published value again"),
    ev.Retired: ("predecessor.retired", _I, "{proof}{taken}"),
    ev.Burned: ("attempt.burned", _W, "{mint_name} burned: {tokens}{left_over}{cut_off}"),
    ev.Swept: ("rotation.settled", _I, "rotation {rotation} settled"),
    ev.Reaped: ("stray.reaped", _W, "{stray} revoked: it bears our mark, and nothing accounts for it{asked}"),
    ev.PutOnHold: ("credential.held", _E, "held: {text}"),
    ev.Released: ("credential.released", _W, "released by {by}"),
    ev.Faulted: ("step.faulted", _W, "{step}: {reason}"),
    ev.RequestTaken: ("request.taken", _W, "taken up: {request}"),
    ev.RequestDeclined: ("request.declined", _W, "nothing comes of this: {request}: {reason}"),
    ev.Paused: ("credential.paused", _W, "{pause}"),
    ev.Unpaused: ("credential.unpaused", _W, "resumed by {by}"),
    ev.UndoBegun: ("undo.begun", _W, "{by} takes the last rotation back: rotation {rotation} publishes {old} again"),
    ev.Restored: ("candidate.restored", _W, "{token} is in hand again"),
    ev.UndoFailed: ("undo.failed", _E, "the rotation is not taken back: {reason}"),
    ev.Claimed: ("credential.claimed", _W, "{by} says that this Vault is the only one: a new lineage of names begins"),
    ev.Adopted: ("value.adopted", _W, "{token} at {place} adopted by {by}: it is ours to rotate, and to revoke later"),
    ev.Resumed: ("record.resumed", _I, "resumed"),
}


_TAKEN = (
    "; its end has ended the published value as well, so a new one follows at once, and none is revoked there again"
)
_REPLACES = {
    "accepted": "it renews a value that its target accepts",
    "refused": "it replaces a value that fails its proof at the target",
    "lost": "it replaces a value that consumers no longer find",
    "unknown": "whether its target accepts the value until now is not known",
}


def describe(before: Record, event: ev.Event, after: Record) -> Message:
    """The event in words, with the fields that a log line, a metric or a person needs to place it."""
    name, severity, words = _WORDS[type(event)]
    own = {field.name: _plain(getattr(event, field.name)) for field in fields(event) if field.name != "at"}
    around = _around(before, after)
    times = {name: when(value) for name in own if isinstance(value := getattr(event, name), datetime)}
    if isinstance(event, ev.Published) and before.cut_over_at is not None:
        apart = (event.at - before.cut_over_at).total_seconds()
        own["disagreed_seconds"] = apart
        around["apart"] = f"; Vault and target disagreed for {apart:.3g} s"
    if isinstance(event, ev.Reaped) and event.by:
        around["asked"] = f"; asked by {event.by}"
    if isinstance(event, ev.Requested) and event.value:
        around["replaces"] = f"; {_REPLACES[event.value]}"
    if isinstance(event, ev.Requested) and event.in_spite_of:
        severity, around["spite"] = EventSeverity.WARNING, f"; {event.in_spite_of}"
    if isinstance(event, ev.Burned) and event.left:
        around["left_over"] = f"; {event.left}"
    if isinstance(event, ev.Burned) and event.lost:
        severity, around["cut_off"] = (
            EventSeverity.ERROR,
            f"; consumers are cut off until a new value works: {event.lost}",
        )
    if isinstance(event, ev.LeftToExpire) and event.reason:
        severity, around["unrevoked"] = EventSeverity.WARNING, f"; it is not revoked: {event.reason}"
    if isinstance(event, ev.Retired) and event.took:
        severity, around["taken"] = EventSeverity.ERROR, f"{_TAKEN}: {event.took}"
    return Message(name, severity, words.format_map({**around, **own, **times}), {**_bound(after), **own})


def _bound(after: Record) -> dict[str, object]:
    return {"rotation": after.rotation, "attempt": after.attempt, "phase": after.phase.value}


def _around(before: Record, after: Record) -> dict[str, object]:
    holder = after.candidate or before.candidate or after.current
    return {
        **_bound(after),
        "token": holder.token.id if holder else "the candidate",
        "predecessor": before.predecessor.token.id if before.predecessor else "none",
        "old": after.predecessor.token.id if after.predecessor else "none",
        "pause": pause_words(after.paused) if after.paused else "",
        "lost": lost_value.said(after.lost) if after.lost else "",
        "place": str(after.place or ""),
        "mint_name": before.mint_name,
        "apart": "",
        "replaces": "",
        "spite": "",
        "cut_off": "",
        "left_over": "",
        "asked": "",
        "unrevoked": "",
        "taken": "",
    }


def _plain(value: object) -> object:
    if isinstance(value, Candidate | PublishedValue):
        return value.token.id
    if isinstance(value, Token):
        return value.id
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, tuple) and not isinstance(value, VaultPath):
        return ", ".join(map(str, value)) or "none"
    return value if isinstance(value, int | float | bool) or value is None else str(value)
