"""The crash campaign: a daemon is killed at every outgoing call of a rotation, before and after its effect.

    python -m tests.system.kill_anywhere --times 25 [--kind halo-api-key]

The product has no fail points: each call on the wire is one. The kinds of credentials are those of kinds.py; where one
has a single slot, the time in which what is published is refused is measured, through a kill and in fair weather.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from tests.sandbox.environment import World
from tests.system.campaign import leaks, parser, verdict, wired
from tests.system.daemon import Daemon, until
from tests.system.kinds import KINDS, Heard, Kind
from tests.system.nursery import Nursery
from tests.system.outcome import Crash, Outcome
from tests.system.prober import RATE, Prober
from tests.system.progress import Progress, Tell
from tests.system.proxy import Call, Loss, Side
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import faults_of, settled

A_WORLD = 240  # kills: the tokens of many more would make every listing slow
RECOVERY = TAKEN_OVER + 20  # seconds
Point = tuple[int, Side]
Task = tuple[str, Point]
Choose = Callable[[Sequence[Call]], list[Point]]


@dataclass(frozen=True)
class Pace:
    """How many credentials are killed at a time, and how often in a second consumers use each of them."""

    at_once: int = 24
    probes: float = RATE


PACE = Pace()


@dataclass
class Line:
    """What passes between one daemon and its servers. Armed, it strikes at the N-th call from then on."""

    calls: list[Call] = field(default_factory=list)
    sprung: threading.Event = field(default_factory=threading.Event)
    _armed: tuple[int, Loss] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, number: int, loss: Loss) -> None:
        """Strike at call `number`, counted from 1."""
        with self._lock:
            self.calls.clear()
            self._armed = (number, loss)

    def judge(self, call: Call) -> Loss | None:
        """See `proxy.Judge`. Signs of life come when they come, and are no part of a rotation."""
        if "/node/" in call.path:
            return None
        with self._lock:
            self.calls.append(call)
            if self._armed is None or len(self.calls) != self._armed[0]:
                return None
            loss, self._armed = self._armed[1], None
        self.sprung.set()
        return loss


@dataclass
class Station:
    """A credential of its own, with its line, what was heard there, and every daemon that worked on it."""

    name: str
    line: Line = field(default_factory=Line)
    heard: Heard = field(default_factory=Heard)
    daemons: list[Daemon] = field(default_factory=list)


class Campaign:
    """Kills of one kind, many at a time: each at a station of its own."""

    def __init__(self, kind: Kind, world: World, prober: Prober, nursery: Nursery) -> None:
        self.kind = kind
        self.world = world
        self.prober = prober
        self.nursery = nursery
        self._numbers = count(1)

    @contextmanager
    def manned(self, at: Station) -> Iterator[None]:
        """Bring it to rotation 1, its daemon at work."""
        with ExitStack() as stack:
            self.kind.add(self.world, at.name)
            told = wired(stack, self.world, at.heard, at.line.judge)
            stack.enter_context(
                self.start(at, quick(self.world, at.name, only=[at.name], revokes=self.kind.revokes, **told))
            )
            self.rest(at)
            self.prober.watch(at.name)
            stack.callback(self.prober.leave, at.name)
            yield

    def start(self, at: Station, path: Path) -> Daemon:
        """A daemon for this station."""
        at.daemons.append(Daemon(path, nursery=self.nursery))
        return at.daemons[-1]

    def station(self) -> Station:
        """The next one."""
        return Station(_name(self.kind, next(self._numbers)))

    def learn(self) -> tuple[Call, ...]:
        """The calls of one rotation with a predecessor, from the look that finds it due to the settled record."""
        at = self.station()
        with self.manned(at):
            at.line.arm(10**9, Loss())
            last = at.daemons[-1].ask(at.name, patient=True)[-1]
            assert last["exit"] == 0, last
            self.rest(at)
            return tuple(at.line.calls)

    def crash(self, point: Point) -> Crash:
        """Kill the daemon at one call, start it anew, wait for convergence, judge. A surprise is a fault, too."""
        at = self.station()
        number, side = point
        try:
            with self.manned(at):
                crash = self._crash(at, number, side)
        except Exception as surprise:  # noqa: BLE001 (it must not cost the hours of the other kills)
            text = f"{at.name}: kill {side} call {number}: {type(surprise).__name__}: {surprise}"
            crash = Crash(self.kind.name, Call("", "", ""), side, RECOVERY, (text,))
        return replace(crash, faults=(*crash.faults, *leaks(at.daemons, self.prober.values.copy())))

    def _crash(self, at: Station, number: int, side: Side) -> Crash:
        first = at.daemons[-1]
        at.line.arm(number, Loss(side, then=first.kill, delay=1.5))
        first.ask(at.name, patient=True)
        if not at.line.sprung.is_set():
            return Crash(self.kind.name, Call("", "", ""), side, 0.0, missed=True)
        call = at.line.calls[number - 1]
        first.wait()
        with self.start(at, first.path) as second:
            seconds = self.rest(at)
            faults = self.faults(at)
            through = len(self.prober.windows.get(at.name, ()))
            # A Vault that takes longer than its second on a busy machine is asked again.
            until(f"{at.name} once more", lambda: second.ask(at.name, patient=True)[-1].get("exit") == 0, RECOVERY)
            self.rest(at)
            faults += self.faults(at)
        seen = self.prober.windows.get(at.name, [])
        cut, fair = tuple(seen[:through]), tuple(seen[through:])
        wrong = tuple(f"{side} {call.method} {call.path}: {text}" for text in faults)
        return Crash(self.kind.name, call, side, seconds, wrong, cut, fair)

    def faults(self, at: Station) -> list[str]:
        """What is not as promised."""
        return faults_of(self.world, at.name, at.heard)

    def rest(self, at: Station) -> float:
        """Seconds from the newest daemon's readiness until the record rests; a TimeoutError has its last words."""
        daemon = at.daemons[-1]
        try:
            daemon.ready()
            began = time.monotonic()
            until(f"{at.name} rests", lambda: settled(self.world, at.name), RECOVERY, 0.25)
        except (TimeoutError, AssertionError) as late:
            words = f"{late}: {daemon.last_words()}; answered 403: {at.heard.denied}"
            raise TimeoutError(words) from None
        return time.monotonic() - began


def _name(kind: Kind, number: int) -> str:
    return f"{kind.name}-{number:04}"


def everywhere(calls: Sequence[Call]) -> list[Point]:
    """Before and after each call."""
    return [(number, side) for number in range(1, len(calls) + 1) for side in (Side.BEFORE, Side.AFTER)]


def at_effects(calls: Sequence[Call]) -> list[Point]:
    """After each write but the journal's: it is done, and nobody knows."""
    return [(number, Side.AFTER) for number, call in enumerate(calls, 1) if _writes(call)]


def late(calls: Sequence[Call]) -> list[Point]:
    """The daemon dies first, and the request lands 1.5 s later."""
    return [(number, Side.LATE) for number in range(1, len(calls) + 1)]


def _writes(call: Call) -> bool:
    if "/auth/revoke" in call.path:
        return True
    return call.method != "GET" and not any(part in call.path for part in ("/journal/", "/auth/", "/destroy/"))


def campaign(kinds: Mapping[str, Choose], times: int = 1, tell: Tell = lambda text: None, pace: Pace = PACE) -> Outcome:
    """Learn the calls of each kind, then kill at the chosen ones, so many times. `tell` is told how it goes."""
    with Nursery() as nursery:
        calls = _learned([KINDS[name] for name in kinds], nursery, pace)
        tasks = [(name, point) for _ in range(times) for name, choose in kinds.items() for point in choose(calls[name])]
        with Progress(", ".join(kinds), len(tasks), tell) as progress:
            batches = [tasks[at : at + A_WORLD] for at in range(0, len(tasks), A_WORLD)]
            probes = sum(_struck(batch, nursery, progress, pace) for batch in batches)
    return Outcome(calls, tuple(progress.crashes), probes, tuple(progress.violations))


def _learned(rows: Sequence[Kind], nursery: Nursery, pace: Pace) -> dict[str, tuple[Call, ...]]:
    with _world(rows, 1) as world, Prober(world) as prober, ThreadPoolExecutor(pace.at_once) as pool:
        return dict(pool.map(lambda row: (row.name, Campaign(row, world, prober, nursery).learn()), rows))


def _struck(tasks: Sequence[Task], nursery: Nursery, progress: Progress, pace: Pace) -> int:
    """Kill at these points in a world of their own. Returns the number of probes."""
    many = Counter(name for name, _ in tasks)
    rows = [KINDS[name] for name in many]
    with (
        _world(rows, max(many.values())) as world,
        Prober(world, pace.probes) as prober,
        ThreadPoolExecutor(pace.at_once) as pool,
    ):
        prober.violations = progress.violations
        work = {row.name: Campaign(row, world, prober, nursery) for row in rows}
        list(pool.map(lambda task: progress.add(work[task[0]].crash(task[1])), tasks))
        return prober.probes


def _world(kinds: Iterable[Kind], many: int) -> World:
    """A world with the applications for so many credentials of each kind."""
    pairs = [(kind, number) for kind in kinds for number in range(1, many + 1)]
    return World(applications=tuple(_name(kind, at) + ending for kind, at in pairs for ending in kind.applications))


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--times", type=int, default=1, choices=range(1, 101), metavar="1..100")
    options.add_argument("--kind", action="append", choices=list(KINDS), help="these only; may be given again")
    options.add_argument("--late", action="store_true", help="let every lost request land 1.5 s later as well")
    options.add_argument("--effects", action="store_true", help="after each write but the journal's only")
    options.add_argument("--at-once", type=int, default=PACE.at_once, help="credentials that are killed at a time")
    options.add_argument("--probes", type=float, default=PACE.probes, help="of each credential, a second")
    wishes = options.parse_args()
    pace = Pace(wishes.at_once, wishes.probes)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way its servers end with it
    sys.setswitchinterval(0.0005)  # seconds: the consumers' thread is one among hundreds that pass bytes on
    bad = 0
    for name in wishes.kind or KINDS:  # one after another, so that a rotation is measured among its like
        for choose in (at_effects if wishes.effects else everywhere, *([late] if wishes.late else [])):
            outcome = campaign({name: choose}, wishes.times, _tell, pace)
            bad |= verdict(outcome, outcome.violations)
    return bad


if __name__ == "__main__":
    sys.exit(main())
