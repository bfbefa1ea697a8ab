"""W2: whether what `status`, `explain` and the page say of a credential is true when they say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rotator.ports import Entry
from rotator.rotation.credential import Credential
from rotator.rotation.credential_state import Headline, Observed, Severity, state
from rotator.rotation.explanation import explain


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


def calm(credential: Credential, entry: Entry, now: datetime) -> bool:
    """Whether every display says that all is well."""
    seen = state(credential, entry.record, now, Observed(holder=entry.lease.holder))
    return seen.mark is Severity.FINE and seen.word in (Headline.SETTLED, Headline.IN_GRACE) and not seen.holder


def untrue(credential: Credential, entry: Entry, now: datetime, truth: Truth) -> Iterator[tuple[str, str]]:
    """What is said and is not so: which rule, and the words."""
    record, sentences = entry.record, list(explain(credential, entry.record, now, Observed(holder=entry.lease.holder)))
    whole = " ".join(sentences)
    fine = calm(credential, entry, now)
    if fine and truth.expired:
        yield "expired", "the state calls well what has expired"
    if fine and not truth.lately and not truth.in_place:
        yield "path", "the state says nothing of a consumer path that holds something else"
    if fine and not truth.lately and truth.in_place and not truth.accepted and not truth.expired:
        yield "refused", "the state calls well what the target refuses"
    if fine and not truth.lately and truth.leftovers:
        yield "leftovers", f"the state says nothing of {', '.join(truth.leftovers)}, living and in no record"
    if " is published" in whole and not truth.published:
        yield "nothing", f"explain says {sentences[0]!r}"
    if " is published" in whole and truth.expired and "expired at" not in whole:
        yield "expired", f"explain says {sentences[0]!r}"
    if record and not record.predecessor and "published before, is being ended" in whole:
        yield "nothing", f"explain says {sentences[0]!r}"
    if truth.gone and truth.gone in whole and "last sign" not in whole and "has ended" not in whole:
        yield "gone", f"explain says that {truth.gone} works on it, which is dead"
