"""On which line of a TOML text each key stands, which tomllib does not tell; the text must be valid TOML.

Keys inside inline tables are left out: whoever looks them up falls back to the line of the outer key.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

KeyPath = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*(\.?)""")
_VALUE = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[^"'\#\[\]{}\n]+|.''', re.DOTALL
)


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
