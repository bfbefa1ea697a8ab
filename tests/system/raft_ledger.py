"""What writers were told, and judges it by what the cluster holds in the end. Pure: no clock, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise


class Told(StrEnum):
    """What came of a write, by the client's word."""

    WRITTEN = "written"
    LOST = "lost"  # somebody else wrote: the caller drops what it does and looks anew
    UNKNOWN = "unknown"
    REFUSED = "refused"  # not to be tried again, says the client; nothing in a campaign deserves that


@dataclass(slots=True)
class Attempt:
    """One check-and-set write. Times are wall-clock seconds."""

    document: str
    cas: int
    nonce: str
    writer: str
    began: float
    ended: float = 0.0
    told: Told = Told.UNKNOWN
    version: int = 0
    why: str = ""

    def __str__(self) -> str:
        return f"{self.document} over {self.cas} by {self.writer} ({self.nonce})"


@dataclass(frozen=True, slots=True)
class Kept:
    """A version in the cluster: the nonce in it, and when the server says that it was made."""

    nonce: str
    created: float


History = Mapping[str, Mapping[int, Kept]]  # document -> version -> what it holds


@dataclass
class Ledger:
    """All attempts, and the newest acknowledged version of each document as it grows."""

    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    wrong: list[str] = field(default_factory=list)  # what was seen to be wrong at once

    def closed(self, attempt: Attempt, told: Told, ended: float, version: int = 0, why: str = "") -> None:
        """The client has spoken."""
        attempt.told, attempt.ended, attempt.version, attempt.why = told, ended, version, why
        self.attempts.append(attempt)
        if told is Told.WRITTEN:
            self.acknowledged[attempt.document] = max(self.acknowledged[attempt.document], version)

    def read(self, document: str, version: int, known: int) -> None:
        """A strong read ended; when it began, version `known` had been acknowledged to somebody."""
        self.reads += 1
        if version < known:
            self.wrong.append(f"stale: a strong read of {document} saw {version}, acknowledged before it was {known}")

    def count(self, told: Told) -> int:
        """So many attempts ended like this."""
        return sum(each.told is told for each in self.attempts)

    def outage(self, since: float, until: float) -> float:
        """The longest time in between, in seconds, in which nobody was told that a write was done."""
        heard = sorted(each.ended for each in self.attempts if each.told is Told.WRITTEN)
        moments = [since, *(moment for moment in heard if since <= moment <= until), until]
        return max(later - earlier for earlier, later in pairwise(moments))


def judge(ledger: Ledger, history: History) -> tuple[str, ...]:
    """Every broken promise in words that begin with its name."""
    found = [*ledger.wrong, *_double_winners(ledger), *_strangers(ledger, history)]
    for attempt in ledger.attempts:
        found += _broken(attempt, history.get(attempt.document, {}))
    return tuple(found)


def landed(attempt: Attempt, history: History) -> bool:
    """Whether the write stands where it was meant to."""
    kept = history.get(attempt.document, {}).get(attempt.cas + 1)
    return kept is not None and kept.nonce == attempt.nonce


def _double_winners(ledger: Ledger) -> Iterator[str]:
    winners = Counter((each.document, each.version) for each in ledger.attempts if each.told is Told.WRITTEN)
    for (document, version), count in winners.items():
        if count > 1:
            yield f"double winner: version {version} of {document} was acknowledged {count} times"


def _strangers(ledger: Ledger, history: History) -> Iterator[str]:
    meant = {each.nonce: each for each in ledger.attempts}
    for document, versions in history.items():
        if missing := set(range(1, max(versions, default=0) + 1)) - versions.keys():
            yield f"gap: {document} lacks versions {sorted(missing)[:3]}"
        for version, kept in versions.items():
            attempt = meant.get(kept.nonce)
            if attempt is None:
                yield f"stranger: nobody wrote version {version} of {document}"
            elif (attempt.document, attempt.cas + 1) != (document, version):
                yield f"misplaced: {attempt} stands at version {version} of {document}"


def _broken(attempt: Attempt, versions: Mapping[int, Kept]) -> Iterator[str]:
    kept = versions.get(attempt.cas + 1)
    ours = kept is not None and kept.nonce == attempt.nonce
    if attempt.told is Told.WRITTEN and (not ours or attempt.version != attempt.cas + 1):
        yield f"acknowledged, then lost: {attempt}"
    if attempt.told is Told.REFUSED:
        yield f"false refusal: {attempt}: {attempt.why}"
    if attempt.told is Told.LOST:
        if ours:
            yield f"false conflict: {attempt} had landed"
        elif kept is None or kept.created > attempt.ended:
            yield f"false conflict: {attempt} gave up a version that was still free"
