"""Owns the crash campaign: a daemon is killed at every outgoing call of a rotation, before and after its effect.

    python -m tests.system.kill_anywhere --times 25 [--kind halo-api-key]

The product has no fail points: each call on the wire is one. The kinds of credentials are those of kinds.py; where one
has a single slot, the time in which what is published is refused is measured, through a kill and in fair weather.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from rotator.sandbox.world import World
from tests.system.daemon import Daemon, until
from tests.system.ear import Ear
from tests.system.kinds import KINDS, Heard, Kind
from tests.system.prober import Prober
from tests.system.proxy import Call, Loss, Proxy, Side
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import faults_of, settled

AT_ONCE = 10
HASTE = {"settle": "1s", "timeout": "1s", "deadline": "2s"}
RECOVERY = TAKEN_OVER + 20  # seconds
PIECE = 16  # characters of a secret that no log may show
Point = tuple[int, Side]


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


@dataclass(frozen=True)
class Crash:
    """One kill: where, how long until all was well again, and what was wrong then.

    `seconds` count from the moment the new daemon was ready: how fast a busy machine starts Python is not ours.
    `cut` and `fair` are how long consumers were cut off, through the kill and in the next rotation. `missed`: this
    rotation needed fewer calls than the one that was learned from.
    """

    kind: str
    call: Call
    side: Side
    seconds: float
    faults: tuple[str, ...] = ()
    cut: tuple[float, ...] = ()
    fair: tuple[float, ...] = ()
    missed: bool = False


class Campaign:
    """Kills of one kind, many at a time: each on a credential, a daemon and a line of its own."""

    def __init__(self, kind: Kind, world: World, prober: Prober) -> None:
        self.kind = kind
        self.world = world
        self.prober = prober
        self.daemons: list[Daemon] = []
        self.heard: dict[str, Heard] = {}
        self._numbers = count(1)

    @contextmanager
    def station(self) -> Iterator[tuple[str, Line, Daemon]]:
        """A credential at rotation 1, its daemon at work through a line."""
        name, line, heard = _name(self.kind, next(self._numbers)), Line(), Heard()
        self.heard[name] = heard
        with ExitStack() as stack:
            vault = Ear("vault", self.world.bao.address, line.judge, heard.vault, heard.denied)
            halo = stack.enter_context(Proxy("halo", self.world.halo.url, line.judge)).url
            self.kind.add(self.world, name)
            desk = self._desk(stack, line, heard)
            told = {"vault": stack.enter_context(vault).url, "halo": halo, **desk}
            daemon = stack.enter_context(self.start(quick(self.world, name, only=[name], **told)))
            self.rest(name, daemon, RECOVERY)
            self.prober.watch(name)
            stack.callback(self.prober.leave, name)
            yield name, line, daemon

    def _desk(self, stack: ExitStack, line: Line, heard: Heard) -> dict[str, Any]:
        """The service desk seen through the line; consumers know it by its own address."""
        desk = self.world.desk
        if desk is None:
            return {}
        ear = Ear("desk", desk.url, line.judge, heard.desk, heard.denied)
        url = stack.enter_context(ear).url
        return {"desk": {"url": url, "audience": f"{desk.url}/auth/token", **HASTE}}

    def start(self, path: Path) -> Daemon:
        """A daemon, remembered for its log."""
        self.daemons.append(Daemon(path))
        return self.daemons[-1]

    def learn(self) -> tuple[Call, ...]:
        """The calls of one rotation with a predecessor, from the look that finds it due to the settled record."""
        with self.station() as (name, line, daemon):
            line.arm(10**9, Loss())
            last = daemon.ask(name, patient=True)[-1]
            assert last["exit"] == 0, last
            self.rest(name, daemon, RECOVERY)
            return tuple(line.calls)

    def crash(self, point: Point) -> Crash:
        """Kill the daemon at one call, start it anew, wait for convergence, judge. A surprise is a fault, too."""
        number, side = point
        try:
            return self._crash(number, side)
        except (TimeoutError, AssertionError, OSError) as surprise:
            text = f"{self.kind.name}: kill {side} call {number}: {type(surprise).__name__}: {surprise}"
            return Crash(self.kind.name, Call("", "", ""), side, RECOVERY, (text,))

    def _crash(self, number: int, side: Side) -> Crash:
        with self.station() as (name, line, daemon):
            line.arm(number, Loss(side, then=daemon.kill, delay=1.5))
            daemon.ask(name, patient=True)
            if not line.sprung.is_set():
                return Crash(self.kind.name, Call("", "", ""), side, 0.0, missed=True)
            call = line.calls[number - 1]
            daemon.wait()
            with self.start(daemon.path) as second:
                seconds = self.rest(name, second, RECOVERY)
                faults = [f"{side} {call.method} {call.path}: {x}" for x in self.faults(name)]
                through = len(self.prober.windows.get(name, ()))
                again = second.ask(name, patient=True)[-1]
                if again.get("exit") != 0:
                    faults.append(f"{side} {call.method} {call.path}: {name}: the next rotation ended with {again}")
                self.rest(name, second, RECOVERY)
                faults += self.faults(name)
            seen = self.prober.windows.get(name, [])
            cut, fair = tuple(seen[:through]), tuple(seen[through:])
            return Crash(self.kind.name, call, side, seconds, tuple(faults), cut, fair)

    def faults(self, name: str) -> list[str]:
        """What is not as promised."""
        return faults_of(self.world, name, self.heard[name])

    def rest(self, name: str, daemon: Daemon, within: float) -> float:
        """Seconds from the daemon's readiness until the record rests; a TimeoutError tells what was said last."""
        try:
            daemon.ready()
            began = time.monotonic()
            until(f"{name} rests", lambda: settled(self.world, name), within, 0.1)
        except (TimeoutError, AssertionError) as late:
            words = f"{late}: {daemon.last_words()}; answered 403: {self.heard[name].denied}"
            raise TimeoutError(words) from None
        return time.monotonic() - began

    def leaks(self) -> list[str]:
        """Logs in which a piece of a published value stands, or a bug."""
        found, pieces = [], {piece for value in self.prober.values for piece in _pieces(value)}
        for daemon in self.daemons:
            text = daemon.log.read_text()
            found += [f"{daemon.log.name} holds a secret" for piece in pieces if piece in text]
            found += [f"{daemon.log.name} tells of a bug" for event in ("visit.failed", "Traceback") if event in text]
        return found


def _name(kind: Kind, number: int) -> str:
    return f"{kind.name}-{number:04}"


def _pieces(value: str) -> tuple[str, str]:
    """Of the middle and near the end: what a private key begins and ends with is no secret."""
    middle, end = len(value) // 2, -3 * PIECE
    return value[middle : middle + PIECE].replace("\n", "\\n"), value[end : end + PIECE].replace("\n", "\\n")


def percentiles(times: Sequence[float], unit: float = 1.0) -> str:
    """p50, p99 and the longest, or nothing."""
    if not times:
        return "none seen"
    shown = [quantile(times, share) * unit for share in (0.5, 0.99, 1.0)]
    return "p50 {:.1f}, p99 {:.1f}, longest {:.1f}".format(*shown) + f" of {len(times)}"


def quantile(times: Sequence[float], share: float) -> float:
    """One of the times."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


@dataclass(frozen=True)
class Outcome:
    """A whole campaign. `calls` are those of one rotation, by kind."""

    calls: dict[str, tuple[Call, ...]]
    crashes: tuple[Crash, ...]
    probes: int
    violations: tuple[str, ...]

    def percentile(self, share: float) -> float:
        """Recovery in seconds."""
        return quantile([crash.seconds for crash in self.crashes], share)

    @property
    def missed(self) -> int:
        """Kills that were not made, since the rotation was over before."""
        return sum(crash.missed for crash in self.crashes)

    def __str__(self) -> str:
        told = [self._told(name, [crash for crash in self.crashes if crash.kind == name]) for name in self.calls]
        many = [f"{self.probes} probes, {len(self.violations)} violations"]
        return "\n".join(told + many)

    def _told(self, name: str, crashes: list[Crash]) -> str:
        calls, struck = self.calls[name], [crash for crash in crashes if not crash.missed]
        edges = ", ".join(f"{sum(call.edge == edge for call in calls)} {edge}" for edge in ("vault", KINDS[name].edge))
        text = f"{name}: {len(struck)} kills at {len(calls)} calls ({edges}), recovery s"
        text += f" {percentiles([crash.seconds for crash in struck])}"
        if len(struck) < len(crashes):
            text += f", {len(crashes) - len(struck)} came too late"
        if KINDS[name].overlap:
            return text
        cut, fair = [x for crash in crashes for x in crash.cut], [x for crash in crashes for x in crash.fair]
        return text + f"; consumers cut off, ms: {percentiles(fair, 1000)}; through a kill: {percentiles(cut, 1000)}"


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
    return call.method != "GET" and not any(part in call.path for part in ("/journal/", "/auth/", "/destroy/"))


def campaign(kinds: Iterable[str] = ("halo-pat",), times: int = 1, choose: Any = everywhere) -> Outcome:
    """Learn the calls of each kind, then kill at the chosen ones, so many times."""
    rows = [KINDS[name] for name in kinds]
    with _world(rows, 1) as world, Prober(world) as prober, ThreadPoolExecutor(AT_ONCE) as pool:
        learned = pool.map(lambda row: (row.name, Campaign(row, world, prober).learn()), rows)
        calls = dict(learned)
    points = {name: times * choose(each) for name, each in calls.items()}
    with _world(rows, max(map(len, points.values()))) as world, Prober(world) as prober:
        work = {row.name: Campaign(row, world, prober) for row in rows}
        tasks = [(work[name], point) for name, each in points.items() for point in each]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            crashes = tuple(pool.map(lambda task: task[0].crash(task[1]), tasks))
        wrong = [fault for crash in crashes for fault in crash.faults] + prober.violations
        wrong += [leak for each in work.values() for leak in each.leaks()]
        return Outcome(calls, crashes, prober.probes, tuple(wrong))


def _world(kinds: Iterable[Kind], many: int) -> World:
    """A world with the applications for so many credentials of each kind."""
    pairs = [(kind, number) for kind in kinds for number in range(1, many + 1)]
    return World(applications=tuple(_name(kind, at) + ending for kind, at in pairs for ending in kind.applications))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, choices=range(1, 101), metavar="1..100")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="these only; may be given again")
    parser.add_argument("--late", action="store_true", help="let every lost request land 1.5 s later as well")
    parser.add_argument("--effects", action="store_true", help="after each write but the journal's only")
    wishes = parser.parse_args()
    bad = 0
    for name in wishes.kind or KINDS:  # one after another, so that a rotation is measured among its like
        for choose in (at_effects if wishes.effects else everywhere, *([late] if wishes.late else [])):
            outcome = campaign([name], wishes.times, choose)
            sys.stdout.write(f"{outcome}\n" + "".join(f"  {text}\n" for text in outcome.violations))
            sys.stdout.flush()
            bad += len(outcome.violations)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
