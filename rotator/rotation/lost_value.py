"""A published value that consumers no longer find: what it was replaced by, and what settings say about it.

Reading the consumer path is the engine's. A loss is a fact of its own, told once: the value itself may be as good as
ever, so nothing is said about it to the target.
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
UNDELETE = (
    "undelete its newest version, or, where that was destroyed, delete the path's metadata and set "
    'on_foreign = "overwrite": a new one follows once the predecessor is dead'
)
WORDS = {
    HoldReason.FOREIGN_WRITE: "holds a value that we did not write",
    HoldReason.DELETED: "was deleted by somebody",
}


def remedy(reason: HoldReason, *, in_grace: bool, adopt: str = "") -> str:
    """What a person can do about it. `in_grace`: a predecessor lives, which a deletion that can be taken back keeps.

    `adopt`: the credential's name where what is there now may be adopted.
    """
    if reason is not HoldReason.DELETED:
        return f"`rotate adopt {adopt}` keeps it; else {OURS}; then `rotate release {adopt}`" if adopt else OURS
    return UNDELETE if in_grace else 'undelete its newest version, or set on_foreign = "overwrite" for a new value'


def adoptable(name: str, record: Record) -> str:
    """The name, where what the consumer path holds may be adopted; else nothing."""
    return "" if adoption.objection(record) else name


def said(lost: LostValue) -> str:
    """The loss in a sentence."""
    return f"{lost.place} {WORDS[lost.reason]}: consumers do not find the published value"


def stops(credential: Credential, record: Record) -> Hold | None:
    """The hold that a loss calls for; None where settings let us write over what others did.

    Where a predecessor is in its grace, its end is judged by what consumers find then.
    """
    lost = record.lost
    if lost is None or record.phase not in (Phase.SETTLED, Phase.PUBLISHED):
        return None
    if credential.on_foreign is OnForeign.OVERWRITE:
        return None
    do = remedy(lost.reason, in_grace=record.phase is Phase.PUBLISHED, adopt=adoptable(credential.name, record))
    told = f"{lost.place} {WORDS[lost.reason]}; {do}"
    return Hold(lost.reason, lost.text or told)


def missed(record: Record, event: ev.Lost) -> Record:
    """Consumers do not find what is published."""
    return replace(record, lost=LostValue(event.reason, event.place, event.at, event.text))


def returned(record: Record, event: ev.Returned) -> Record:
    """They find it again."""
    return replace(record, lost=None)
