"""The names that wait for a worker: one line per target, so that a long line holds up nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Line:
    """Names in the order of their coming: those that somebody asked for, then the others."""

    asked: dict[str, None] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class WorkQueue:
    """Lines of names. A name stands in one line, once."""

    _lines: dict[str, _Line] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(line.asked) + len(line.due) for line in self._lines.values())

    def join(self, name: str, target: str, *, asked: bool = False) -> None:
        """Stand in the target's line; `asked`: before those that are merely due."""
        line = self._lines.setdefault(target, _Line())
        if asked:
            line.due.pop(name, None)
            line.asked.setdefault(name)
        elif name not in line.asked:
            line.due.setdefault(name)

    def take(self, load: Mapping[str, int], room: Callable[[str], bool]) -> str | None:
        """The head of a line that has room; of several, the target with the least load."""
        target = min(filter(room, self._lines), key=lambda each: load.get(each, 0), default=None)
        if target is None:
            return None
        line = self._lines[target]
        first = line.asked or line.due
        name = next(iter(first))
        del first[name]
        if not (line.asked or line.due):
            del self._lines[target]
        return name

    def empty(self) -> tuple[str, ...]:
        """Send everybody away; returns who stood there."""
        names = tuple(name for line in self._lines.values() for name in (*line.asked, *line.due))
        self._lines.clear()
        return names
