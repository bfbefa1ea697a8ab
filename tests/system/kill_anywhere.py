"""Owns the crash campaign: a daemon is killed at every outgoing call of a rotation, before and after its effect.

    python -m tests.system.kill_anywhere --times 25

The product has no fail points: each call on the wire is one.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from rotator.sandbox.world import World
from tests.system.daemon import Daemon, until
from tests.system.prober import Prober
from tests.system.proxy import Call, Loss, Proxy, Side
from tests.system.quick import TAKEN_OVER, quick
from tests.system.truth import faults_of, settled

AT_ONCE = 10
RECOVERY = TAKEN_OVER + 20  # seconds
_numbers = count(1)


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
    """

    name: str
    call: Call
    side: Side
    seconds: float
    faults: tuple[str, ...]


class Campaign:
    """Kills in one world, many at a time: each on a credential, a daemon and a line of its own."""

    def __init__(self, world: World, prober: Prober) -> None:
        self.world = world
        self.prober = prober
        self.daemons: list[Daemon] = []

    @contextmanager
    def station(self) -> Iterator[tuple[str, Line, Daemon]]:
        """A credential at rotation 1, its daemon at work through a line."""
        name, line = f"kill-{next(_numbers):04}", Line()
        with ExitStack() as stack:
            vault = stack.enter_context(Proxy("vault", self.world.bao.address, line.judge))
            halo = stack.enter_context(Proxy("halo", self.world.halo.url, line.judge))
            self.world.add(name)
            path = quick(self.world, name, only=[name], vault=vault.url, halo=halo.url)
            daemon = stack.enter_context(self.start(path))
            self.rest(name, daemon, RECOVERY)
            self.prober.watch(name)
            stack.callback(self.prober.leave, name)
            yield name, line, daemon

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
            return tuple(line.calls)

    def crash(self, number: int, side: Side) -> Crash:
        """Kill the daemon at one call, start it anew, wait for convergence, judge. A surprise is a fault, too."""
        try:
            return self._crash(number, side)
        except (TimeoutError, AssertionError, OSError) as surprise:
            text = f"kill {side} call {number}: {type(surprise).__name__}: {surprise}"
            return Crash("", Call("", "", ""), side, RECOVERY, (text,))

    def _crash(self, number: int, side: Side) -> Crash:
        with self.station() as (name, line, daemon):
            line.arm(number, Loss(side, then=daemon.kill, delay=1.5))
            replies = daemon.ask(name, patient=True)
            if not line.sprung.is_set():
                raise AssertionError(f"call {number} never came: {replies[-1:]}")
            call = line.calls[number - 1]
            daemon.wait()
            with self.start(daemon.path) as second:
                seconds = self.rest(name, second, RECOVERY)
                faults = faults_of(self.world, name)
                again = second.ask(name, patient=True)[-1]
                if again.get("exit") != 0:
                    faults.append(f"{name}: the next rotation ended with {again}")
                faults += faults_of(self.world, name)
            return Crash(name, call, side, seconds, tuple(faults))

    def rest(self, name: str, daemon: Daemon, within: float) -> float:
        """Seconds from the daemon's readiness until the record rests; a TimeoutError tells what was said last."""
        daemon.ready()
        began = time.monotonic()
        try:
            until(f"{name} rests", lambda: settled(self.world, name), within, 0.1)
        except TimeoutError as late:
            raise TimeoutError(f"{late}: {daemon.last_words()}") from None
        return time.monotonic() - began

    def leaks(self) -> list[str]:
        """Logs in which a published value stands, or a bug."""
        found = []
        for daemon in self.daemons:
            text = daemon.log.read_text()
            found += [f"{daemon.log.name} holds a secret" for value in self.prober.values if value in text]
            found += [f"{daemon.log.name} tells of a bug" for event in ("visit.failed", "Traceback") if event in text]
        return found


@dataclass(frozen=True)
class Outcome:
    """A whole campaign."""

    calls: tuple[Call, ...]
    crashes: tuple[Crash, ...]
    probes: int
    violations: tuple[str, ...]

    def percentile(self, share: float) -> float:
        """Recovery in seconds."""
        times = sorted(crash.seconds for crash in self.crashes)
        return times[min(len(times) - 1, int(len(times) * share))]

    def __str__(self) -> str:
        edges = {edge: sum(call.edge == edge for call in self.calls) for edge in ("vault", "halo")}
        return (
            f"{len(self.crashes)} kills at {len(self.calls)} calls ({edges['vault']} Vault, {edges['halo']} Halo),"
            f" recovery p50 {self.percentile(0.5):.1f} s, p99 {self.percentile(0.99):.1f} s,"
            f" {self.probes} probes, {len(self.violations)} violations"
        )


def campaign(times: int = 1, sides: tuple[Side, ...] = (Side.BEFORE, Side.AFTER)) -> Outcome:
    """Learn the calls, then kill at each of them on each side, so many times."""
    with World() as world, Prober(world) as prober:
        work = Campaign(world, prober)
        calls = work.learn()
        points = [(number, side) for _ in range(times) for number in range(1, len(calls) + 1) for side in sides]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            crashes = tuple(pool.map(lambda point: work.crash(*point), points))
        wrong = [fault for crash in crashes for fault in crash.faults] + prober.violations + work.leaks()
        return Outcome(calls, crashes, prober.probes, tuple(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, choices=range(1, 101), metavar="1..100")
    parser.add_argument("--late", action="store_true", help="let every lost request land 1.5 s later as well")
    wishes = parser.parse_args()
    outcome = campaign(wishes.times, tuple(Side) if wishes.late else (Side.BEFORE, Side.AFTER))
    sys.stdout.write(f"{outcome}\n" + "".join(f"  {text}\n" for text in outcome.violations))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
