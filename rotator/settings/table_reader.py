"""Reading a TOML table key by key so that every fault is found; what a key means is left to the callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from rotator.settings import toml_positions
from rotator.settings.errors import FaultAt, WrongValueError, suggest
from rotator.settings.parsers import Reader, sort_of
from rotator.settings.toml_positions import KeyPath

T = TypeVar("T")
D = TypeVar("D")


@dataclass
class FaultList:
    """The faults of one load. `partial`: a file could not be read, so that absent names prove nothing."""

    faults: list[FaultAt] = field(default_factory=list)
    partial: bool = False


@dataclass
class SettingsFile:
    """One settings file, parsed."""

    file: str
    text: str = field(repr=False)
    table: Mapping[str, object] = field(repr=False)
    book: FaultList = field(repr=False)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return toml_positions.lines(self.text)

    def line(self, path: KeyPath) -> int:
        """The line of the key, else that of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def fault(self, path: KeyPath, text: str) -> None:
        """Write a fault down."""
        self.book.faults.append(FaultAt(self.file, self.line(path), dotted(path), text))


def dotted(path: KeyPath) -> str:
    """A key path as TOML writes it."""
    return ".".join(part if part.replace("_", "a").replace("-", "a").isalnum() else f'"{part}"' for part in path)


class Section:
    """A table being read; a key it lacks is looked up in `under`, the defaults."""

    def __init__(
        self, source: SettingsFile, path: KeyPath, table: Mapping[str, object], under: Section | None = None
    ) -> None:
        self.source = source
        self.path = path
        self.table = table
        self.known: set[str] = set()
        self.sound = True
        self.under = under

    def has(self, key: str) -> bool:
        """Whether this table itself has the key."""
        return key in self.table

    def knows(self, key: str) -> bool:
        """Whether this table or the defaults have the key."""
        return self._owner(key) is not None

    def take(self, key: str, read: Reader[T], default: D) -> T | D:
        """The key's value, or the default when it is absent or faulty."""
        self.known.add(key)
        owner = self._owner(key)
        if owner is None:
            return default
        try:
            return read(owner.table[key])
        except WrongValueError as wrong:
            self.sound = False
            owner.fault(key, str(wrong))
            return default

    def need(self, key: str, read: Reader[T], placeholder: D, example: str = "") -> T | D:
        """Like `take`, but absence is a fault."""
        self.known.add(key)
        if self._owner(key) is None:
            self.fault("", f"`{key}` is missing" + (f"; write {key} = {example}" if example else ""))
        return self.take(key, read, placeholder)

    def inner(self, key: str) -> Section | None:
        """The table under the key; None when it is absent or no table."""
        self.known.add(key)
        owner = self._owner(key)
        if owner is None:
            return None
        table = owner.table[key]
        if not isinstance(table, dict):
            self.sound = False
            owner.fault(key, f"must be a table, not {sort_of(table)}")
            return None
        return Section(owner.source, (*owner.path, key), table)

    def close(self, part: Section | None) -> None:
        """Finish an inner table and take over its verdict."""
        if part is not None:
            part.finish()
            self.sound = self.sound and part.sound

    def finish(self) -> None:
        """Report the keys that nobody asked for."""
        for key in self.table.keys() - self.known:
            text = f"unknown key; {suggest(key, self.known)}"
            if isinstance(self.table[key], dict) and len(self.path) == 2:
                # A dot in a header opens a table within: the usual slip with names that have dots.
                text += f'; a name with a dot is quoted: [{self.path[0]}."{self.path[1]}.{key}"]'
            self.fault(key, text)

    def fault(self, key: str, text: str) -> None:
        """Report a fault at a key of this table, or at the table itself when the key is empty."""
        self.sound = False
        owner = self._owner(key) if key else self
        at = owner or self
        at.source.fault((*at.path, key) if key else at.path, text)

    def _owner(self, key: str) -> Section | None:
        if key in self.table:
            return self
        return self.under._owner(key) if self.under is not None else None
