"""Faults in settings files: where each is, what is wrong, what to write instead; finding them is not its work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

_ALIKE = 3  # faults that say the same are told one by one; of more, the first
_WORD = re.compile(r"[A-Za-z][a-z0-9_/-]{0,31}")


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
        self.faults = gathered(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def gathered(faults: Sequence[FaultAt]) -> tuple[FaultAt, ...]:
    """The faults in their order; of many that say the same, the first, with how many more there are."""
    same: dict[tuple[str, str], list[FaultAt]] = {}
    for fault in faults:
        same.setdefault((fault.key.rpartition(".")[2], fault.text), []).append(fault)
    told = []
    for alike in same.values():
        first, *more = alike
        if len(alike) > _ALIKE:
            last = more[-1]
            told.append(replace(first, text=f"{first.text} ({len(more)} more say the same, the last is {last.key})"))
        else:
            told += alike
    return tuple(sorted(told))


def quoted(word: str) -> str:
    """The word, when it looks like one; anything else might be a secret that was pasted into the wrong place."""
    return f"`{word}`" if _WORD.fullmatch(word) else "this"


def nearest(word: str, choices: Iterable[str]) -> str:
    """A question after the choice that was probably meant; nothing when none is near."""
    near = get_close_matches(word, sorted(choices), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def suggest(word: str, choices: Iterable[str]) -> str:
    """The choice that was probably meant, else what there is to choose from."""
    known = sorted(choices)
    if not known:
        return "there is none yet"
    return nearest(word, known) or f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
