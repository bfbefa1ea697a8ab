"""W2: whether what `status`, `explain` and the page say of a credential is true when they say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rotator.engine.visit import Seen
from rotator.fleet.row import Mark, row
from rotator.ports import Entry
from rotator.rotation.credential import Credential
from rotator.rotation.steps import Wait
from rotator.rotation.summary import explain, summarise


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so, by the models. `lately`: something changed so recently that nobody can have looked since."""

    expired: bool  # what we published is over by its own date
    accepted: bool  # the target accepts what consumers read
    in_place: bool  # the newest version of the consumer path is what the record says
    published: bool  # anything was ever published
    leftovers: tuple[str, ...]  # tokens of ours that live and that the record does not know
    gone: str  # the dead process that the lease names, if it died long ago
    lately: bool


def calm(credential: Credential, entry: Entry, now: datetime) -> dict[str, bool]:
    """Who says that all is well."""
    said = summarise(credential, entry.record, now, entry.lease.holder)
    page = row(credential, Seen(entry.record, Wait(None, "")), now)
    quiet = not (said.trouble or said.operator_pause or said.holder)
    return {
        "status": quiet and said.phase in ("settled", "published"),
        "the page": page.mark is Mark.FINE and page.word in ("settled", "in grace"),
    }


def untrue(credential: Credential, entry: Entry, now: datetime, truth: Truth) -> Iterator[tuple[str, str]]:
    """What is said and is not so: which rule, and the words."""
    record, sentences = entry.record, list(explain(credential, entry.record, now, entry.lease.holder))
    whole = " ".join(sentences)
    for who, fine in calm(credential, entry, now).items():
        if fine and truth.expired:
            yield "expired", f"{who} calls well what has expired"
        if fine and not truth.lately and not truth.in_place:
            yield "path", f"{who} says nothing of a consumer path that holds something else"
        if fine and not truth.lately and truth.in_place and not truth.accepted and not truth.expired:
            yield "refused", f"{who} calls well what the target refuses"
        if fine and not truth.lately and truth.leftovers:
            yield "leftovers", f"{who} says nothing of {', '.join(truth.leftovers)}, living and in no record"
    if "one value is published" in whole and (truth.expired or not truth.published):
        yield "expired" if truth.published else "nothing", f"explain says {sentences[0]!r}"
    if record and not record.predecessor and "none is being" in whole:
        yield "nothing", f"explain says {sentences[0]!r}"
    if truth.gone and f"{truth.gone} works on it now" in whole:
        yield "gone", f"explain says that {truth.gone} works on it, which is dead"
