"""Owns the race: daemons and a shell loop on the same credentials, killed, stopped and cut off at random, by a seed.

python -m tests.system.race --minutes 10 --daemons 6 --shells 2
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
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rotator.sandbox.world import World
from tests.system.daemon import Daemon, until
from tests.system.prober import Prober
from tests.system.proxy import Call, Loss, Proxy, Side
from tests.system.truth import faults_of, journal, settled

LEASE = 9.0  # seconds
CONVERGENCE = LEASE + 60  # seconds
NAMES = tuple(f"race-{number}" for number in range(1, 7))
# One call in seven to Halo goes wrong, one in thirty to Vault.
_HALO = (Side.BEFORE, Side.BEFORE, Side.AFTER, Side.AFTER, Side.LATE, 429, 503)
_VAULT = (Side.BEFORE, Side.AFTER, Side.LATE)
_ODDS = {"halo": (1 / 7, _HALO), "vault": (1 / 30, _VAULT)}


class Trouble:
    """What goes wrong on the wire. Quiet: nothing any more."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{seed}/wire")
        self._lock = threading.Lock()
        self.quiet = False
        self.done: Counter[str] = Counter()

    def judge(self, call: Call) -> Loss | None:
        """See `proxy.Judge`."""
        odds, kinds = _ODDS[call.edge]
        with self._lock:
            if self.quiet or self._random.random() > odds:
                return None
            kind = self._random.choice(kinds)
            self.done[f"{call.edge} {kind}"] += 1
            delay = self._random.uniform(0.3, 3.0)
        return Loss(status=kind) if isinstance(kind, int) else Loss(kind, delay=delay)


@dataclass
class Race:
    """One race. `kills`, `stops` and `shells` count what was done; `daemons` are all that ever ran."""

    world: World
    trouble: Trouble
    paths: list[Path]
    shell_path: Path
    random: random.Random
    daemons: list[Daemon] = field(default_factory=list)
    running: dict[Path, Daemon] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)
    errors: list[str] = field(default_factory=list)

    def start(self, path: Path) -> None:
        """Let a daemon run on these settings."""
        self.running[path] = Daemon(path)
        self.daemons.append(self.running[path])

    def strike(self) -> None:
        """Kill daemons, or stop them for longer than a lease, until it is over."""
        while not self.over.wait(self.random.uniform(1.0, 4.0)):
            path = self.random.choice(self.paths)
            daemon = self.running[path]
            if self.random.random() < 0.25:
                self.counts["stops"] += 1
                daemon.send(signal.SIGSTOP)
                self.over.wait(self.random.uniform(LEASE * 1.25 + 0.5, LEASE * 1.25 + 2))
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
            command = ["now", *whom, *urgent, "--within", "6"]
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


def settings(world: World, name: str, vault: str, halo: str) -> Path:
    """Settings of one actor: the shortest times that are accepted."""
    world.vault_address, world.halo_url = vault, halo
    return world.write_settings(
        file={"name": f"{name}.toml"},
        daemon={"lease": f"{LEASE:g}s", "instance": name, "sweep": "60s", "socket": str(world.folder / f"{name}.sock")},
        vault={"connect_timeout": "1s", "read_timeout": "1s"},
        target={"settle": "4s", "timeout": "1s", "deadline": "2s", "calls": 6000},
        defaults={"every": "1m", "lifetime": "10m", "retire": {"after": "1s"}, "limits": {"mints_per_day": 10000}},
    )


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
        world = stack.enter_context(World())
        prober = stack.enter_context(Prober(world))
        trouble = Trouble(seed)
        for name in NAMES:
            world.add(name)
        vault = stack.enter_context(Proxy("vault", world.bao.address, trouble.judge)).url
        halo = stack.enter_context(Proxy("halo", world.halo.url, trouble.judge)).url
        paths = [settings(world, f"daemon-{number}", vault, halo) for number in range(daemons)]
        work = Race(world, trouble, paths, settings(world, "shell", vault, halo), random.Random(seed))
        stack.callback(_end, work)
        for path in paths:
            work.start(path)
        prober.watch(*NAMES)
        _run(work, seconds, shells)
        convergence = _converge(work)
        return _judge(work, prober, convergence)


def _run(work: Race, seconds: float, shells: int) -> None:
    """Everybody at once."""
    tasks: list[Callable[[], None]] = [work.strike]
    for _ in range(shells):
        tasks.append(lambda seed=work.random.random(): work.ask(seed))
        tasks.append(lambda seed=work.random.random(): work.knock(seed))
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    work.over.set()
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive(), "an actor of the race does not end"


def _converge(work: Race) -> float:
    """Faults off, one daemon left. Returns the seconds until every name rests as promised, or all the time it had."""
    work.trouble.quiet = True
    for path in work.paths[1:]:
        work.running[path].kill()
        work.running[path].wait()
    began = time.monotonic()
    with suppress(TimeoutError):
        until("rest", lambda: all(settled(work.world, name) for name in NAMES), CONVERGENCE, 0.2)
    return time.monotonic() - began


def _judge(work: Race, prober: Prober, convergence: float) -> Outcome:
    wrong = list(work.errors)
    for name in NAMES:
        # A scheduled rotation may begin while we look, and a mint that landed late waits for the sweep.
        with suppress(TimeoutError):
            until(f"{name} rests", lambda name=name: not faults_of(work.world, name), CONVERGENCE, 0.5)
        wrong += faults_of(work.world, name)
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
