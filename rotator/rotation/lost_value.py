"""A published value that consumers no longer find: what replaced it, and what the settings want done about it.

A loss is recorded and reported once. It says nothing about the value, which the target may still accept.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.rotation import adoption
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, OnForeign
from rotator.rotation.record import HoldReason, LostValue, Phase, Record
from rotator.rotation.steps import Hold

WATCHED = frozenset({Phase.SETTLED, Phase.PUBLISHED, Phase.CONDEMNED, Phase.AWAITING})
"""Phases that may last, in which no step looks at the consumer path by itself."""
OURS = 'set on_foreign = "overwrite" or put our value back'
_BY_VAULT = "if the path has a delete_version_after, Vault did it by itself: take that off"
UNDELETE = (
    "undelete its newest version, or, where that was destroyed, delete the path's metadata and set "
    f'on_foreign = "overwrite": a new one follows once the predecessor is dead; {_BY_VAULT}'
)
WORDS = {
    HoldReason.FOREIGN_WRITE: "holds a value that we did not write",
    HoldReason.DELETED: "was deleted",
}


def remedy(reason: HoldReason, *, in_grace: bool, adopt: str = "") -> str:
    """What a person can do about a loss. `in_grace`: a predecessor is alive, which undoing a deletion keeps alive.

    `adopt`: the credential's name if the value that is there now may be adopted, else empty.
    """
    if reason is not HoldReason.DELETED:
        return f"`rotate adopt {adopt}` keeps it; else {OURS}; then `rotate release {adopt}`" if adopt else OURS
    return (
        UNDELETE
        if in_grace
        else f'undelete its newest version, or set on_foreign = "overwrite" for a new value; {_BY_VAULT}'
    )


def adoptable(credential: Credential, record: Record) -> str:
    """The credential's name if the value on the consumer path may be adopted, else empty."""
    return credential.name if adoption.offered(credential, record) else ""


def said(lost: LostValue) -> str:
    """The loss in a sentence."""
    return f"{lost.place} {WORDS[lost.reason]}: consumers do not find the published value"


def stops(credential: Credential, record: Record) -> Hold | None:
    """The hold that a loss needs; None if the settings allow us to overwrite what others wrote.

    During a grace the predecessor is not ended before a look at what consumers find then.
    """
    lost = record.lost
    if lost is None or record.phase not in (Phase.SETTLED, Phase.PUBLISHED):
        return None
    if credential.on_foreign is OnForeign.OVERWRITE:
        return None
    do = remedy(lost.reason, in_grace=record.phase is Phase.PUBLISHED, adopt=adoptable(credential, record))
    told = f"{lost.place} {WORDS[lost.reason]}; {do}"
    return Hold(lost.reason, lost.text or told)


def missed(record: Record, event: ev.Lost) -> Record:
    """The record after consumers stopped finding the published value."""
    return replace(record, lost=LostValue(event.reason, event.place, event.at, event.text))


def returned(record: Record, event: ev.Returned) -> Record:
    """The record after consumers find it again."""
    return replace(record, lost=None)
