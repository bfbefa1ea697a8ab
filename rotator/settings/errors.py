"""Faults in settings files: where each is, what is wrong, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

_ALIKE = 3  # up to this many equal faults are listed one by one
_WORD = re.compile(r"[A-Za-z][a-z0-9_/-]{0,31}")


class WrongValueError(ValueError):
    """A value that is refused. Its text says why and what to write instead, and never repeats a possible secret."""


@dataclass(frozen=True, slots=True, order=True)
class FaultAt:
    """One fault. `line` 0 and an empty `key` mean the file as a whole."""

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
        self.faults = merge_alike(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def merge_alike(faults: Sequence[FaultAt]) -> tuple[FaultAt, ...]:
    """The faults in order. Many with the same text become the first of them and a count."""
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
    """The word in backticks, or "this" when it may be a secret that was pasted into the wrong place."""
    return f"`{word}`" if _WORD.fullmatch(word) else "this"


def nearest(word: str, choices: Iterable[str]) -> str:
    """ "do you mean …?" with the nearest choice; empty when none is near."""
    near = get_close_matches(word, sorted(choices), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def suggest(word: str, choices: Iterable[str]) -> str:
    """The choice that was probably meant, else the list of choices."""
    known = sorted(choices)
    if not known:
        return "there is none yet"
    return nearest(word, known) or f"known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
