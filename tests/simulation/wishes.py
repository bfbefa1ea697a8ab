"""W1: what somebody asked for, and was told that it would be done, is carried out, or told as given up."""

from __future__ import annotations

from dataclasses import dataclass, field

from rotator.rotation.ask import Answer, Ask
from rotator.rotation.record import Phase, Record
from tests.simulation.ledger import Ledger


@dataclass(eq=False)
class Wish:
    """A `rotate now` that a running daemon took. `at` in true seconds; `living`: token ids that lived then."""

    name: str
    ask: Ask
    at: float
    living: frozenset[str]
    answer: Answer = Answer.OPEN


@dataclass
class Wishes:
    """All of a history."""

    made: list[Wish] = field(default_factory=list)

    def answered(self, ask: Ask | None, said: Answer) -> None:
        """Its caller was told, or would have been."""
        for wish in self.made:
            if wish.ask is ask:
                wish.answer = said

    def lost(self, name: str, ledger: Ledger) -> str:
        """A wish of which nothing came and nobody was told, when all is at rest; empty: there is none."""
        record = ledger.latest
        for wish in (each for each in self.made if each.name == name and each.answer is Answer.OPEN):
            if record is not None and not _came(wish, ledger, record):
                kind = "emergency" if wish.ask.emergency else "wish"
                return f"the {kind} of {wish.at:.1f} for {name} was taken and forgotten"
        return ""


def _came(wish: Wish, ledger: Ledger, record: Record) -> bool:
    if record.phase in (Phase.HELD, Phase.AWAITING) or record.paused:
        return True  # whoever asks again is told
    if wish.ask.emergency:
        return any(at >= wish.at for at in ledger.emergencies.values())
    return any(at >= wish.at for at in ledger.begun.values())
