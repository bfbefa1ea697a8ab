"""Parse single values of settings (numbers, durations, names, paths), and the faults that loading reports.

Every reader takes a TOML value and returns it parsed, or raises WrongValueError with the remedy. The text never repeats
a value that may be a pasted secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import PurePosixPath
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from rotator.host.files import irregular

_ALIKE = 3  # up to this many equal faults are listed one by one
_QUOTABLE = re.compile(r"[A-Za-z][a-z0-9_/-]{0,31}")
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader = Callable[[object], T]
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:[0-9]{1,9}[wdhms])+")
_NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LONGEST = timedelta(days=3660)
_NAMES = {  # of types, for people
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false without quotes",
    tuple: "an array",
    list: "an array",
    dict: "a table",
}


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
    return f"`{word}`" if _QUOTABLE.fullmatch(word) else "this"


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


def sort_of(value: object) -> str:
    """TOML's name for the type of a value, with an article."""
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def converted(value: object, wanted: Any) -> Any:
    """The value as this type, which a kind gave its option. Raises WrongValueError."""
    try:
        return msgspec.convert(value, wanted)
    except (msgspec.ValidationError, ValueError, TypeError) as fault:
        raise WrongValueError(_misfit(value, wanted) or str(fault)) from None


def _misfit(value: object, wanted: Any) -> str:
    """What this type wants instead; empty where that is more than a type."""
    members = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    for each in members:
        origin, inner = get_origin(each), get_args(each)
        if isinstance(value, list) and origin in (tuple, list):
            parts = ((at, _unfit(part, inner[0])) for at, part in enumerate(value, 1))
            return next((f"its entry {at} {why}" for at, why in parts if why), "")
        if isinstance(value, dict) and origin is dict:
            unfit = ((name, _unfit(part, inner[1])) for name, part in value.items())
            return next((f"{quoted(str(name))} in it: {why}" for name, why in unfit if why), "")
    names = [_NAMES.get(each) or _NAMES.get(get_origin(each), "") for each in members if each is not NoneType]
    if choices := [str(choice) for each in members if get_origin(each) is Literal for choice in get_args(each)]:
        near = nearest(value, choices) if isinstance(value, str) else ""
        return f"must be one of {', '.join(choices)}{'; ' if near else ''}{near}"
    if not all(names) or type(value) in members:
        return ""
    return f"must be {' or '.join(names)}, not {sort_of(value)}"


def _unfit(value: object, wanted: Any) -> str:
    try:
        msgspec.convert(value, wanted)
    except (msgspec.ValidationError, ValueError, TypeError) as fault:
        return _misfit(value, wanted) or str(fault)
    return ""


def text(value: object) -> str:
    """A non-empty string on one line, without blanks around it."""
    if not isinstance(value, str):
        raise WrongValueError(f"must be a string, not {sort_of(value)}")
    if not value.strip():
        raise WrongValueError("must not be empty; leave the key out instead")
    if value != value.strip() or not value.isprintable():
        raise WrongValueError("must not have blanks around it or control characters in it")
    return value


def flag(value: object) -> bool:
    """True or false, unquoted."""
    if not isinstance(value, bool):
        raise WrongValueError(f"must be true or false without quotes, not {sort_of(value)}")
    return value


def whole(low: int, high: int) -> Reader[int]:
    """A reader of integers from `low` to `high`."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise WrongValueError(f"must be a whole number from {low} to {high}, not {sort_of(value)}")
        if not low <= value <= high:
            raise WrongValueError(f"must be from {low} to {high}")
        return value

    return read


def real(low: float, high: float) -> Reader[float]:
    """A reader of numbers from `low` to `high`."""

    def read(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise WrongValueError(f"must be a number from {low:g} to {high:g}, not {sort_of(value)}")
        if not low <= value <= high:
            raise WrongValueError(f"must be from {low:g} to {high:g}")
        return float(value)

    return read


def duration(value: object) -> timedelta:
    """A duration such as `90s` or `1h30m`; zero is allowed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise WrongValueError(
            f'{value:g} has no unit: write "{value:g}s", "{value:g}m", "{value:g}h", "{value:g}d" or "{value:g}w"'
        )
    if not isinstance(value, str):
        raise WrongValueError(f'must be a duration such as "30s" or "1h30m", not {sort_of(value)}')
    if value.isascii() and value.isdecimal():
        raise WrongValueError(f'has no unit: write "{value[:9]}s" for seconds, or m, h, d, w')
    if not _DURATION.fullmatch(value):
        raise WrongValueError(
            'is no duration: write whole numbers with the units s, m, h, d, w, such as "90s", "1h30m" or "30d"'
        )
    parts = re.findall(r"([0-9]+)([wdhms])", value)
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        raise WrongValueError('names a unit twice: write "2h", not "1h1h"')
    try:
        length = timedelta(**{_UNITS[unit]: int(count) for count, unit in parts})
    except OverflowError:
        length = timedelta.max
    if length > _LONGEST:
        raise WrongValueError("is longer than ten years")
    return length


def span(low: timedelta, high: timedelta = _LONGEST) -> Reader[timedelta]:
    """A reader of durations from `low` to `high`."""

    def read(value: object) -> timedelta:
        length = duration(value)
        if not low <= length <= high:
            raise WrongValueError(f"must be from {spell(low)} to {spell(high)}")
        return length

    return read


def spell(length: timedelta) -> str:
    """A duration as settings write it, rounded to whole seconds."""
    left, words = round(length.total_seconds()), []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words[:3]) or "0s"


def one_of(choices: type[E]) -> Reader[E]:
    """A reader of one word out of `choices`."""

    def read(value: object) -> E:
        word = text(value)
        if word not in tuple(choices):
            meant = nearest(word, choices)
            raise WrongValueError(
                f"{quoted(word)} is not one of {', '.join(choices)}" + (f"; {meant}" if meant else "")
            )
        return choices(word)

    return read


def name(value: object) -> str:
    """A credential's or target's name: it becomes part of a Vault path."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise WrongValueError(
            "a name is 1 to 128 lower-case letters, digits, `.`, `_`, `-` and `/`, and starts with a letter or digit"
        )
    if any(part.strip(".") == "" for part in value.split("/")):
        raise WrongValueError("a name must not have empty or all-dots parts between its slashes")
    return value


def word(value: object) -> str:
    """One word of letters, digits, dots, dashes and underscores."""
    if not _WORD.fullmatch(text(value)):
        raise WrongValueError("must be up to 63 letters, digits, `.`, `_` and `-`, and start with a letter or digit")
    return str(value)


def file(value: object) -> str:
    """An absolute path of a regular file, or of one that is not there yet."""
    path = place(value)
    if what := irregular(path):
        raise WrongValueError(f"must be a regular file, and {what} is at {path}")
    return path


def place(value: object) -> str:
    """An absolute path."""
    path = text(value)
    if not path.startswith("/"):
        raise WrongValueError(
            "must be an absolute path, such as /etc/rotator/ca.pem: the daemon's working directory is not yours"
        )
    if ".." in PurePosixPath(path).parts:
        raise WrongValueError("must not contain `..`")
    return path


def vault_path(value: object) -> str:
    """A path within a KV engine, without the mount and without `data/`."""
    path = text(value)
    if path.startswith("/") or path.endswith("/") or "//" in path:
        raise WrongValueError("must not start or end with a slash or have an empty part; write it as `apps/blog/halo`")
    if path.startswith("data/"):
        raise WrongValueError(
            f"leave out `data/`: write `{path.removeprefix('data/')}`, the KV engine's own prefix is added for you"
        )
    if not path.isascii() or any(part.strip(".") == "" for part in path.split("/")) or set(path) & set("#?%*+ \\"):
        raise WrongValueError(
            "may hold ASCII letters, digits and most signs, but no blanks, none of # ? % * + \\ and no `..` part"
        )
    return path
