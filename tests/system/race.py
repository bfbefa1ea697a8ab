"""The race: daemons and a shell loop on the same credentials, killed, stopped and cut off at random, by a seed.

python -m tests.system.race --minutes 10 --daemons 6 --shells 2

The clocks of the daemons differ, and so do the kinds of credentials: those that consumers must never notice.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.sandbox.environment import World
from tests.system.campaign import CONVERGENCE, leaks, minutely, not_at_rest, parser, together, unrest, verdict, wired
from tests.system.daemon import Daemon, rotate
from tests.system.kinds import KINDS, Heard
from tests.system.nursery import Nursery
from tests.system.prober import Prober
from tests.system.quick import TAKEN_OVER
from tests.system.trouble import LONGEST_DELAY, Trouble
from tests.system.truth import journal

KIND_OF = {f"race-{number}": "halo-pat" for number in range(1, 7)} | {
    "race-token": "oauth-token",
    "race-key": "halo-api-key",
    "race-two": "halo-client-secret-two",
}
NAMES = tuple(KIND_OF)
SKEWS = (0.0, 20.0, -20.0, 5.0, -5.0, 12.0)  # seconds that each daemon's clock is ahead


@dataclass
class Race:
    """One race. `kills`, `stops` and `shells` count what was done; `daemons` are all that ever ran."""

    world: World
    trouble: Trouble
    paths: list[Path]
    shell_path: Path
    random: random.Random
    nursery: Nursery
    heard: Heard = field(default_factory=Heard)
    daemons: list[Daemon] = field(default_factory=list)
    running: dict[Path, Daemon] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)
    errors: list[str] = field(default_factory=list)

    def start(self, path: Path) -> None:
        """Let a daemon run on these settings."""
        self.running[path] = Daemon(path, SKEWS[self.paths.index(path) % len(SKEWS)], self.nursery)
        self.daemons.append(self.running[path])

    def strike(self) -> None:
        """Kill daemons, or stop them for longer than a lease, until it is over."""
        while not self.over.wait(self.random.uniform(0.7, 2.7)):
            path = self.random.choice(self.paths)
            daemon = self.running[path]
            if self.random.random() < 0.25:
                self.counts["stops"] += 1
                daemon.send(signal.SIGSTOP)
                self.over.wait(self.random.uniform(TAKEN_OVER + 0.5, TAKEN_OVER + 2))
                daemon.send(signal.SIGCONT)
            else:
                self.counts["kills"] += 1
                daemon.kill()
                daemon.wait()
                self.start(path)

    def ask(self, seed: float) -> None:
        """`rotate now` on random names, again and again, some of them killed half-way."""
        chance = random.Random(seed)
        while not self.over.is_set():
            whom = chance.choice([["--all"], *([name] for name in NAMES)])
            urgent = ["--emergency"] if chance.random() < 0.5 else []
            command = ["now", *whom, *urgent, "--within", "6s"]
            self.counts["shells"] += 1
            patience = chance.uniform(0.5, 1.5) if chance.random() < 0.2 else 60
            try:
                done = rotate(self.shell_path, *command, seconds=patience)
            except subprocess.TimeoutExpired:
                self.counts["shells killed"] += 1
                continue
            if done.returncode not in (0, 1, 75) or "Traceback" in (said := done.stdout + done.stderr):
                self.errors.append(f"rotate {' '.join(command)} ended with {done.returncode}: {said[-1500:]}")

    def knock(self, seed: float) -> None:
        """Ask the daemons as well, over their sockets."""
        chance = random.Random(seed)
        while not self.over.wait(chance.uniform(0.1, 0.4)):
            daemon = self.running[chance.choice(self.paths)]
            with suppress(OSError):  # it is being killed
                daemon.ask(chance.choice(NAMES), within=2.0, emergency=chance.random() < 0.5)


@dataclass(frozen=True)
class Outcome:
    """A finished race."""

    rotations: int
    counts: Counter[str]
    losses: int
    probes: int
    superseded: int
    convergence: float
    violations: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.rotations} rotations, {dict(self.counts)}, {self.losses} faults on the wire, {self.probes} probes"
            f" ({self.superseded} of a value just replaced), converged in {self.convergence:.1f} s,"
            f" {len(self.violations)} violations"
        )


def race(seconds: float, daemons: int = 2, shells: int = 1, seed: int = 1) -> Outcome:
    """Race for so long, then let one daemon tidy up, and judge."""
    with ExitStack() as stack:
        world = stack.enter_context(World(applications=_applications()))
        prober = stack.enter_context(Prober(world))
        trouble, heard = Trouble(seed), Heard()
        for name, kind in KIND_OF.items():
            KINDS[kind].add(world, name)
        urls = wired(stack, world, heard, trouble.judge)
        paths = [minutely(world, f"daemon-{number}", urls) for number in range(daemons)]
        nursery, shell = stack.enter_context(Nursery()), minutely(world, "shell", urls)
        work = Race(world, trouble, paths, shell, random.Random(seed), nursery, heard)
        stack.callback(_end, work)
        for path in paths:
            work.start(path)
        prober.watch(*NAMES)
        seeds = [work.random.random() for _ in range(shells)]
        tasks = [work.strike, *(partial(each, seed) for seed in seeds for each in (work.ask, work.knock))]
        together(tasks, seconds, work.over, work.errors)
        convergence = _converge(work)
        return _judge(work, prober, convergence)


def _applications() -> tuple[str, ...]:
    return tuple(name + ending for name, kind in KIND_OF.items() for ending in KINDS[kind].applications)


def _converge(work: Race) -> float:
    """Faults off, one daemon left. Returns the seconds until every name was once as promised; then all rotate again."""
    work.trouble.quiet = True
    for path in work.paths[1:]:
        work.running[path].kill()
        work.running[path].wait()
    time.sleep(LONGEST_DELAY)  # what is still on its way lands
    began = time.monotonic()
    work.errors += not_at_rest(NAMES, lambda name: unrest(work.world, name, work.heard))
    seconds = time.monotonic() - began
    work.errors += _once_more(work)
    return seconds


def _once_more(work: Race) -> list[str]:
    """Nothing is held, paused or forgotten: each name can be rotated, and its predecessor retired. One that is in the
    grace of a rotation by schedule says so, and is asked again."""
    names, end = NAMES, time.monotonic() + CONVERGENCE
    while True:
        last = work.running[work.paths[0]].ask(*names, patient=True, within=CONVERGENCE)[-1]
        wrong = [each for each in last["verdicts"] if each["exit"] != 0]
        names = tuple(each["credential"] for each in wrong if each["answer"] == "in_grace")
        if len(names) < len(wrong) or not names or time.monotonic() > end:
            return [str(each) for each in wrong]
        time.sleep(1)


def _judge(work: Race, prober: Prober, convergence: float) -> Outcome:
    wrong = list(work.errors)
    for name in NAMES:  # a scheduled rotation may begin while we look
        wrong += not_at_rest([name], lambda name: unrest(work.world, name, work.heard))
    rotations = sum(int(journal(work.world, name)["rotation"]) for name in NAMES)
    wrong += [*prober.violations, *leaks(work.daemons, prober.values)]
    losses = sum(work.trouble.done.values())
    return Outcome(rotations, work.counts, losses, prober.probes, prober.superseded, convergence, tuple(wrong))


def _end(work: Race) -> None:
    for daemon in work.running.values():
        daemon.kill()
        daemon.wait()


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=1.0)
    options.add_argument("--daemons", type=int, default=2, choices=range(1, 13), metavar="1..12")
    options.add_argument("--shells", type=int, default=1, choices=range(1, 7), metavar="1..6")
    options.add_argument("--seed", type=int, default=1)
    wishes = options.parse_args()
    outcome = race(min(wishes.minutes, 120) * 60, wishes.daemons, wishes.shells, wishes.seed)
    return verdict(outcome, outcome.violations)


if __name__ == "__main__":
    sys.exit(main())
