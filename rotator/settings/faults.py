"""Owns faults in settings files: where each is, what is wrong, what to write instead; finding them is not its work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


class WrongValueError(ValueError):
    """A value that will not do. Its text says why and what to write instead; it never repeats a possible secret."""


@dataclass(frozen=True, slots=True, order=True)
class FaultAt:
    """One fault. `line` 0 means that the file as a whole is meant, an empty `key` likewise."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}"


class SettingsError(Exception):
    """Settings that cannot be used, with every fault found."""

    def __init__(self, faults: Iterable[FaultAt]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def suggest(word: str, choices: Iterable[str]) -> str:
    """A closing half sentence: the choice that was probably meant, else what there is to choose from."""
    known = sorted(choices)
    near = get_close_matches(word, known, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}" if known else "there is none yet"
