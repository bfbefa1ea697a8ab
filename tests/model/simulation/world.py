"""Virtual time, chance, the order of events and the trace; who moves in it is actors.py's."""

from __future__ import annotations

import hashlib
import heapq
import types
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.model.simulation.swarm import Swarm

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


@types.coroutine
def beat(seconds: float, label: str) -> Generator[tuple[float, str], None, None]:
    """The only await there is: let `seconds` of virtual time pass."""
    yield seconds, label


async def in_turn(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """One after another: there is no event loop here."""
    for name in names:
        await work(name)


@dataclass(slots=True, eq=False)
class Thread:
    """One coroutine of a process, and the effect of its request that is on the wire."""

    owner: Any
    name: str  # the credential it looks after
    coro: Coroutine[Any, Any, None]
    wire: Callable[[], object] | None = None
    label: str = "idle"
    wake: int = 0  # a later number makes an earlier alarm void
    read: dict[str, float] = field(default_factory=dict)  # when it last read the journal of each credential


@dataclass
class World:
    """The whole of a history. `now` is true time in seconds."""

    seed: int
    swarm: Swarm
    rng: Random = field(init=False)
    now: float = 0.0
    calm: bool = False  # faults are off
    broken_file: bool = False  # settings cannot be read: who runs goes on, nobody starts
    running: Thread | None = None
    locks: dict[str, str] = field(default_factory=dict)  # that the kernels of hosts keep for living processes: the host
    freed: dict[str, str] = field(default_factory=dict)  # of processes that have ended: the host
    deaths: list[float] = field(default_factory=list)  # when a process was killed
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    landing: dict[str, float] = field(default_factory=dict)  # credential -> until when something of it may land late
    phase_of: Callable[[str], str] = lambda name: "settled"
    _queue: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = field(default_factory=list)
    _seq: int = 0
    _until: float = 0.0  # how far time may go by itself
    _told: list[tuple[float, str, str, str]] = field(default_factory=list)
    _dates: dict[float, datetime] = field(default_factory=dict)  # that were asked for at `_dated`, by how far off
    _dated: float = -1.0
    _lineages: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed * 7919 + 1)

    def later(self, seconds: float, act: Callable[..., object], *args: Any) -> None:
        """Do it in a while."""
        self._seq += 1
        heapq.heappush(self._queue, (self.now + seconds, self._seq, act, args))

    def lands(self, seconds: float, name: str, act: Callable[..., object], *args: Any) -> None:
        """Do it in a while: it is the effect of a request for this credential that nobody waits for any more."""
        self.landing[name] = max(self.landing.get(name, 0.0), self.now + seconds)
        self.later(seconds, act, *args)

    def run(self, until: float) -> None:
        """Let everything happen that happens before `until`."""
        queue, self._until = self._queue, until
        while queue and queue[0][0] <= until:
            self.now, _, act, args = heapq.heappop(queue)
            act(*args)
        self.now = max(self.now, until)

    def idles(self, seconds: float) -> bool:
        """Let `seconds` pass at once, if nothing else happens within them."""
        then = self.now + seconds
        if then > self._until or (self._queue and self._queue[0][0] <= then):
            return False
        self.now = then
        return True

    def date(self, seconds: float = 0.0) -> datetime:
        """True time as a date, `seconds` off."""
        if self._dated != self.now:
            self._dates, self._dated = {}, self.now
        if (date := self._dates.get(seconds)) is None:
            date = self._dates[seconds] = EPOCH + timedelta(seconds=self.now + seconds)
        return date

    def chance(self, rate: float) -> bool:
        """Whether a fault of this rate strikes now."""
        return rate > 0 and not self.calm and self.rng.random() < rate

    def fault(self, kind: str, name: str, phase: str = "") -> None:
        """A fault struck while the credential was in some phase."""
        phase = phase or self.phase_of(name)
        self.pairs[phase, kind] += 1
        self.tell("*", f"{kind} in {phase}", name)

    def tell(self, who: str, what: str, name: str = "") -> None:
        """One line of the trace."""
        self._told.append((self.now, who, name, what))

    @property
    def lines(self) -> list[str]:
        """The trace. Nearly nobody reads it, so nothing is formatted before."""
        return [f"{at:10.3f} {who:<6} {name:<4} {what}" for at, who, name, what in self._told]

    def digest(self) -> str:
        """The hash of the whole trace."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def word(self) -> str:
        """Fresh randomness from the seed."""
        return f"{self.rng.getrandbits(48):012x}"

    def lineage(self) -> str:
        """A word that was not drawn before: short to be read, where the real one is too long to come again."""
        while (lineage := self.word()[:4]) in self._lineages:
            pass
        self._lineages.add(lineage)
        return lineage
