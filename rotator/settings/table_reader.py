"""Read a TOML table key by key, and report each fault with its file, line and key.

tomllib does not tell the line of a key, so it is found here. A key in an inline table has the line of the outer key.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from rotator.rotation.wording import visible
from rotator.settings.parsers import FaultAt, Reader, WrongValueError, sort_of, suggest

_SHOWN = 200  # characters of a key that are shown
_LONGEST, _MOST = 2048, 65_536  # characters of one text; of all texts of one key
_SHORTER = "shorten it, or keep it in a file and name that"
T = TypeVar("T")
D = TypeVar("D")
KeyPath = tuple[str, ...]
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*(\.?)""")
_VALUE = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[^"'\#\[\]{}\n]+|.''', re.DOTALL
)


@dataclass
class FaultList:
    """The faults of one load. `partial`: a file could not be read, so a missing name is no fault."""

    faults: list[FaultAt] = field(default_factory=list)
    partial: bool = False


@dataclass
class SettingsFile:
    """One settings file, parsed."""

    file: str
    text: str = field(repr=False)
    table: Mapping[str, object] = field(repr=False)
    fault_list: FaultList = field(repr=False)

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return lines(self.text)

    def line(self, path: KeyPath) -> int:
        """The line of the key, else that of the nearest table around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def fault(self, path: KeyPath, text: str) -> None:
        """Record a fault."""
        self.fault_list.faults.append(FaultAt(self.file, self.line(path), dotted(path), text))


def dotted(path: KeyPath) -> str:
    """A key path as TOML writes it, and as it may be shown."""
    shown = (visible(part, _SHOWN) for part in path)
    return ".".join(part if part.replace("_", "a").replace("-", "a").isalnum() else f'"{part}"' for part in shown)


class Section:
    """A table being read. A key that it lacks is looked up in `under`, the defaults."""

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
            _check_length(owner.table[key])
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
        """Finish an inner table; this one is unsound if that one is."""
        if part is not None:
            part.finish()
            self.sound = self.sound and part.sound

    def finish(self) -> None:
        """Report the keys that were not read."""
        for key in self.table.keys() - self.known:
            text = f"unknown key; {suggest(key, self.known)}"
            if isinstance(self.table[key], dict) and len(self.path) == 2:
                # A dot in a header opens an inner table: a usual mistake with names that have dots.
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


def _check_length(value: object) -> None:
    """Raise WrongValueError for what would be too long in a request, a path, an argument or a log line."""
    if isinstance(value, str) and len(value) <= _LONGEST:
        return
    lengths = [len(each) for each in _texts(value)]
    if (longest := max(lengths, default=0)) > _LONGEST:
        raise WrongValueError(f"holds a text of {longest} characters, and {_LONGEST} are the most: {_SHORTER}")
    if sum(lengths) > _MOST:
        raise WrongValueError(f"holds {sum(lengths)} characters in all, and {_MOST} are the most: {_SHORTER}")


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for key, each in value.items():
                yield key
                yield from _texts(each)


def lines(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of each table header and of each key outside inline tables."""
    starts = [0] + [newline.end() for newline in re.finditer("\n", text)]
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    at = _end(_BLANK, text, 0)
    while at < len(text):
        line = bisect_right(starts, at)
        header = text.startswith("[", at)
        if header:
            table, at = _key(text, at + (2 if text.startswith("[[", at) else 1))
            _note(found, (), table, line)
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        else:
            key, at = _key(text, at)
            _note(found, table, key, line)
            at = _after_value(text, at)
        at = _end(_BLANK, text, at)
    return found


def _note(found: dict[KeyPath, int], table: KeyPath, key: KeyPath, line: int) -> None:
    for depth in range(1, len(key) + 1):
        found.setdefault(table + key[:depth], line)


def _key(text: str, at: int) -> tuple[KeyPath, int]:
    parts: list[str] = []
    while part := _PART.match(text, at):
        parts.append(_plain(part[1]))
        at = part.end()
        if not part[2]:
            break
    return tuple(parts), at


def _plain(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    return next(iter(tomllib.loads(f"{part} = 0"))) if part[0] == '"' else part


def _after_value(text: str, at: int) -> int:
    depth = 0
    while token := _VALUE.match(text, at):
        at = token.end()
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth <= 0:
                break
    return at


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
