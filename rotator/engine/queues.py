"""The queues of the worker pool: names by the time of their next look, and names that wait for a worker.

The journal is the truth: a look too many is harmless, and a missed one is made up for.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

_FAR = 10 * 365 * 86400.0
_STALE = 1000  # entries of earlier puts that a heap may hold beside its living ones

Heap = list[tuple[float, str]]


@dataclass(slots=True)
class TimerQueue:
    """Names by the time of their next look, in wall-clock and monotonic time: whichever comes first.

    The wall clock alone would sleep through a jump back, the monotonic one through a suspended machine.
    """

    _when: dict[str, tuple[float, float]] = field(default_factory=dict)
    _wall: Heap = field(default_factory=list)
    _mono: Heap = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._when)

    def __contains__(self, name: object) -> bool:
        return name in self._when

    def put(self, name: str, when: datetime | None, now: datetime, monotonic: float) -> None:
        """Look at `name` at `when` (UTC); None: not before it is put again. Replaces an earlier entry."""
        if when is None:
            self._when.pop(name, None)
            return
        wall = when.timestamp()
        mono = monotonic + max(0.0, min(_FAR, wall - now.timestamp()))
        self._when[name] = (wall, mono)
        heapq.heappush(self._wall, (wall, name))
        heapq.heappush(self._mono, (mono, name))
        self._tidy()

    def hasten(self, name: str, when: datetime, now: datetime, monotonic: float) -> None:
        """Look at `name` at `when` (UTC) at the latest, if it is to be looked at at all."""
        if name in self._when and self._when[name][0] > when.timestamp():
            self.put(name, when, now, monotonic)

    def drop(self, name: str) -> None:
        """Never look at it again."""
        self._when.pop(name, None)

    def due(self, now: datetime, monotonic: float) -> Iterator[str]:
        """Take out every name whose time has come."""
        yield from self._take(self._wall, 0, now.timestamp())
        yield from self._take(self._mono, 1, monotonic)

    def _take(self, heap: Heap, which: int, until: float) -> Iterator[str]:
        while heap and heap[0][0] <= until:
            when, name = heapq.heappop(heap)
            entry = self._when.get(name)
            if entry is not None and entry[which] == when:
                del self._when[name]
                yield name

    def _tidy(self) -> None:
        """A replaced entry stays in its heap until its time comes; a name put off again and again leaves many."""
        for which, heap in enumerate((self._wall, self._mono)):
            if len(heap) > 2 * len(self._when) + _STALE:
                heap[:] = [(entry[which], name) for name, entry in self._when.items()]
                heapq.heapify(heap)


@dataclass(slots=True)
class _Line:
    """Names in the order of their coming: those that somebody asked for, then the others."""

    asked: OrderedDict[str, None] = field(default_factory=OrderedDict)  # a dict's head is found over all that have left
    due: OrderedDict[str, None] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class WorkQueue:
    """One line of names per target, so that a long line delays no other target. A name stands in one line, once."""

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
        name, _ = first.popitem(last=False)
        if not (line.asked or line.due):
            del self._lines[target]
        return name

    def empty(self) -> tuple[str, ...]:
        """Send everybody away; returns who stood there."""
        names = tuple(name for line in self._lines.values() for name in (*line.asked, *line.due))
        self._lines.clear()
        return names
