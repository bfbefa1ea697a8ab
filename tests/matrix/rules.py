"""Owns what every cell must come to: rules in order, the first that fits decides. To be read, and doubted, by people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.matrix.faults import Cell, Trouble
from tests.matrix.kinds import CUT_OVER, SLOTTED, Kind
from tests.matrix.stories import Story

GOES_ON, AGAIN, VISIT_AGAIN, ANOTHER = "goes on", "step again", "visit again", "another goes on"
ATTEMPT, ROTATION, LEFT_OVER = "next attempt", "next rotation", "next rotation, one left over"
FOREIGN, DELETED, PERSON = "held: foreign_write", "held: deleted_by_operator", "held: needs_person"
NO_WAY_OUT, KEPT, WAITS = "held: foreign_write, no way out", "not taken back", "waits longer"
T = Trouble


@dataclass(frozen=True, slots=True)
class Rule:
    """`outcome`, wherever all that is given fits; `why`: what a reader may ask."""

    outcome: str
    why: str
    troubles: frozenset[Trouble] = frozenset()
    calls: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    stories: frozenset[str] = frozenset()

    def fits(self, story: Story, cell: Cell) -> bool:
        """What is left empty fits all."""
        asked: tuple[tuple[frozenset[Any], Any], ...] = (
            (self.troubles, cell.trouble),
            (self.calls, cell.point.call),
            (self.steps, cell.point.step),
            (self.kinds, story.kind),
            (self.stories, story.name),
        )
        return all(not wanted or found in wanted for wanted, found in asked)


def _rule(outcome: str, why: str, *troubles: Trouble, **where: str) -> Rule:
    """`where`: names apart by `|`, of calls, steps, kinds or stories."""
    return Rule(outcome, why, frozenset(troubles), **{key: frozenset(text.split("|")) for key, text in where.items()})  # type: ignore[arg-type]  # a kind is its text


OLD, UNDO, REFUSED = "read consumer, an older version", "an undo", "a candidate is refused"
GONE, URGENT, BY_HAND = "a verified candidate is gone", "an emergency in the grace", "a person enters the value"
JOURNAL = "read journal|write journal"
TOLD = "|".join(SLOTTED)
NO_ANSWER = (T.LOST_BEFORE, T.LOST_AFTER, T.LATE, T.GARBAGE, T.BROKEN, T.BUSY)
NO = (T.REFUSED, T.FORBIDDEN)

RULES: tuple[Rule, ...] = ()


def expected(story: Story, cell: Cell) -> Rule:
    """The rule that decides this cell."""
    found = next((rule for rule in RULES if rule.fits(story, cell)), None)
    assert found, f"no rule for {story.name}, {story.kind}: {cell}"
    return found


__all__ = ["CUT_OVER", "RULES", "Rule", "expected"]
