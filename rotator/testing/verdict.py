"""How trying a rule ends; the rules themselves are the other files'."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RuleVerdict(StrEnum):
    """How trying a rule ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class BrokenRule(Exception):  # noqa: N818 (what was seen; the rule is broken, not the kit)
    """The provider broke the rule; the text says by what, without secrets."""


class NotApplicable(Exception):  # noqa: N818 (no error: there is nothing to try)
    """The rule says nothing about this kind; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the verdict table."""

    rule: str
    promise: str
    verdict: RuleVerdict
    text: str
    seconds: float


def must(holds: bool, otherwise: str) -> None:
    """Raises BrokenRule."""
    if not holds:
        raise BrokenRule(otherwise)
