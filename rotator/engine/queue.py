"""Owns the names that wait for a worker: one line per target, so that a long line holds up nobody else's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Queue:
    """Lines of names. A name stands in one line, once."""

    _lines: dict[str, OrderedDict[str, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def join(self, name: str, target: str, *, first: bool = False) -> None:
        """Stand in the target's line; `first`: at its head, also when standing there already."""
        line = self._lines.setdefault(target, OrderedDict())
        line.setdefault(name)
        if first:
            line.move_to_end(name, last=False)

    def take(self, load: Mapping[str, int], room: Callable[[str], bool]) -> str | None:
        """The head of a line that has room; of several, the target with the least load."""
        target = min(filter(room, self._lines), key=lambda each: load.get(each, 0), default=None)
        if target is None:
            return None
        line = self._lines[target]
        name, _ = line.popitem(last=False)
        if not line:
            del self._lines[target]
        return name

    def empty(self) -> tuple[str, ...]:
        """Send everybody away; returns who stood there."""
        names = tuple(name for line in self._lines.values() for name in line)
        self._lines.clear()
        return names
