"""The race: daemons and a shell loop on the same credentials, killed, stopped and cut off at random, by a seed.

python -m tests.system.race --minutes 10 --daemons 6 --shells 2

The clocks of the daemons differ, and so do the kinds of credentials: those that consumers must never notice.
"""

from __future__ import annotations

import argparse
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
from tests.system.daemon import Daemon, until
from tests.system.ear import Ear
from tests.system.kinds import KINDS, Heard
from tests.system.nursery import Nursery
from tests.system.prober import Prober
from tests.system.proxy import Proxy
from tests.system.quick import LEASE, TAKEN_OVER, quick
from tests.system.trouble import LONGEST_DELAY, Trouble
from tests.system.truth import faults_of, journal, settled

CONVERGENCE = LEASE + 60  # seconds
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
        while not self.over.wait(self.random.uniform(1.0, 4.0)):
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
            with _rotate(self.shell_path, *command) as process:
                self.counts["shells"] += 1
                try:
                    process.wait(chance.uniform(0.5, 1.5) if chance.random() < 0.2 else 60)
                except subprocess.TimeoutExpired:
                    self.counts["shells killed"] += 1
                    process.kill()
                said = process.communicate()[0]
            if process.returncode not in (0, 1, 75, -9) or b"Traceback" in said:
                self.errors.append(f"rotate {' '.join(command)} ended with {process.returncode}: {said[-1500:]!r}")

    def knock(self, seed: float) -> None:
        """Ask the daemons as well, over their sockets."""
        chance = random.Random(seed)
        while not self.over.wait(chance.uniform(0.1, 0.4)):
            daemon = self.running[chance.choice(self.paths)]
            with suppress(OSError):  # it is being killed
                daemon.ask(chance.choice(NAMES), within=2.0, emergency=chance.random() < 0.5)


def _rotate(path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rotator", "-c", str(path), *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def settings(world: World, name: str, vault: str, halo: str, desk: str) -> Path:
    """Settings of one actor, due every minute."""
    defaults = {"every": "1m", "lifetime": "10m", "retire": {"after": "1s"}, "limits": {"mints_per_day": 10000}}
    hurry = {"daemon": {"sweep": "60s", "reconcile": "10s"}, "target": {"settle": "4s"}}
    assert world.desk is not None
    known = {"url": desk, "audience": f"{world.desk.url}/auth/token", "settle": "4s", "timeout": "1s", "deadline": "2s"}
    return quick(world, name, vault=vault, halo=halo, defaults=defaults, desk=known, **hurry)


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
        assert world.desk is not None
        servers = {"vault": (world.bao.address, heard.vault), "desk": (world.desk.url, heard.desk)}
        ears = {edge: Ear(edge, url, trouble.judge, hear) for edge, (url, hear) in servers.items()}
        proxies = {**ears, "halo": Proxy("halo", world.halo.url, trouble.judge)}
        urls = {edge: stack.enter_context(proxy).url for edge, proxy in proxies.items()}
        paths = [settings(world, f"daemon-{number}", **urls) for number in range(daemons)]
        nursery, shell = stack.enter_context(Nursery()), settings(world, "shell", **urls)
        work = Race(world, trouble, paths, shell, random.Random(seed), nursery, heard)
        stack.callback(_end, work)
        for path in paths:
            work.start(path)
        prober.watch(*NAMES)
        _run(work, seconds, shells)
        convergence = _converge(work)
        return _judge(work, prober, convergence)


def _applications() -> tuple[str, ...]:
    return tuple(name + ending for name, kind in KIND_OF.items() for ending in KINDS[kind].applications)


def _run(work: Race, seconds: float, shells: int) -> None:
    """Everybody at once."""
    seeds = [work.random.random() for _ in range(shells)]
    tasks = [work.strike, *(partial(each, seed) for seed in seeds for each in (work.ask, work.knock))]
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    work.over.set()
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive(), "an actor of the race does not end"


def _converge(work: Race) -> float:
    """Faults off, one daemon left. Returns the seconds until every name was once as promised; then all rotate again."""
    work.trouble.quiet = True
    for path in work.paths[1:]:
        work.running[path].kill()
        work.running[path].wait()
    time.sleep(LONGEST_DELAY)  # what is still on its way lands
    began, waiting = time.monotonic(), set(NAMES)

    def rest() -> bool:
        waiting.difference_update([name for name in waiting if not _unrest(work, name)])
        return not waiting

    try:
        until("rest", rest, CONVERGENCE, 0.2)
    except TimeoutError:
        work.errors += [f"does not come to rest: {_unrest(work, name)}" for name in waiting]
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


def _unrest(work: Race, name: str) -> list[str]:
    """What is not as promised; a record in flight is told by its own words."""
    if settled(work.world, name):
        return faults_of(work.world, name, work.heard)
    record = journal(work.world, name)
    told = ("phase", "rotation", "failures", "retry_at", "failure", "held", "slot_full", "lease", "candidate")
    return [f"{name}: {key} {record.get(key)}" for key in (*told, "current", "predecessor") if record.get(key)]


def _judge(work: Race, prober: Prober, convergence: float) -> Outcome:
    wrong = list(work.errors)
    for name in NAMES:
        with suppress(TimeoutError):  # a scheduled rotation may begin while we look
            until(f"{name} rests", lambda name=name: not _unrest(work, name), CONVERGENCE, 0.5)
        wrong += _unrest(work, name)
    rotations = sum(int(journal(work.world, name)["rotation"]) for name in NAMES)
    wrong += prober.violations
    for daemon in work.daemons:
        text = daemon.log.read_text()
        wrong += [f"{daemon.log.name} holds a secret" for value in prober.values if value in text]
        wrong += [f"{daemon.log.name}: {x['exception'][-800:]}" for x in daemon.heard("visit.failed")]
        wrong += [f"{daemon.log.name} ends in a trace" for _ in range("Traceback" in text)]
    losses = sum(work.trouble.done.values())
    return Outcome(rotations, work.counts, losses, prober.probes, prober.superseded, convergence, tuple(wrong))


def _end(work: Race) -> None:
    for daemon in work.running.values():
        daemon.kill()
        daemon.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--daemons", type=int, default=2, choices=range(1, 13), metavar="1..12")
    parser.add_argument("--shells", type=int, default=1, choices=range(1, 7), metavar="1..6")
    parser.add_argument("--seed", type=int, default=1)
    wishes = parser.parse_args()
    outcome = race(min(wishes.minutes, 120) * 60, wishes.daemons, wishes.shells, wishes.seed)
    sys.stdout.write(f"{outcome}\n" + "".join(f"  {text}\n" for text in outcome.violations))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
