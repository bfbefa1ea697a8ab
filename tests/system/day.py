"""An ordinary day as a black box: people, callers, settings, servers and processes at their worst, and one judge.

    python -m tests.system.day --minutes 60 --seed 1

A supervisor restarts the daemon when it ends. Consumers use each published value all the time; people type commands as
they come to mind, go away, close pipes, and type what was proposed to them. Who does what is drawn by the seed.
"""

from __future__ import annotations

import fcntl
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.sandbox.environment import World
from tests.system.campaign import CONVERGENCE, leaks, minutely, not_at_rest, parser, together, unrest, verdict, wired
from tests.system.daemon import Daemon, rotate, until
from tests.system.day_people import People
from tests.system.kinds import KINDS, Heard
from tests.system.nursery import Nursery
from tests.system.prober import Prober
from tests.system.proxy import Call, Loss
from tests.system.quick import LEASE
from tests.system.trouble import LONGEST_DELAY, Trouble
from tests.system.truth import journal, living

DRAIN, LAST_WORDS = 10, 15  # seconds: how long a stop waits for steps by these settings, and what else it may take
PEOPLE = 2
RATE = 10.0  # a second: how often a consumer uses each value
KIND_OF = {f"day-{number}": "halo-pat" for number in range(1, 5)} | {"day-key": "halo-api-key"}
RENAMED, REMOVED = "day-2", "day-3"
_SMALL = 4096  # bytes in a log's pipe


class Piped(Daemon):
    """A daemon whose log goes through a small pipe: to the file beside it, while somebody reads."""

    def __init__(self, path: Path, nursery: Nursery) -> None:
        self.read = threading.Event()
        self.read.set()
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SMALL)
        with os.fdopen(writing, "wb") as end:
            super().__init__(path, nursery=nursery, output=end)
        threading.Thread(target=self._pump, args=(reading,), daemon=True).start()

    def _pump(self, end: int) -> None:
        with self.log.open("ab", buffering=0) as log:
            while piece := os.read(end, 65536):
                log.write(piece)
                self.read.wait(30)
        os.close(end)


@dataclass
class Day:
    """Everything of one day. `allowed`: whether the daemon may end now; `away`: whether Vault may not answer."""

    world: World
    prober: Prober
    nursery: Nursery
    trouble: Trouble
    path: Path
    lone: Path
    rewrite: Callable[..., Path]
    urls: dict[str, str]
    random: random.Random
    heard: Heard = field(default_factory=Heard)
    daemons: list[Daemon] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)  # one change of settings, or of who runs, at a time
    allowed: bool = False
    started: float = 0.0
    broken: float = 0.0  # until when settings could not be read: they can not, while that is infinite
    away: int = 0  # how often Vault has been away
    paused: dict[str, int] = field(default_factory=dict)  # name -> rotation at which a pause was acknowledged
    doomed: dict[str, set[str]] = field(default_factory=dict)  # name -> tokens whose end was taken on
    out: float = 0.0  # until when REMOVED was out of the settings: it is, while that is infinite

    @property
    def daemon(self) -> Daemon:
        """The one that runs, or ran last."""
        return self.daemons[-1]

    # --- the supervisor ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """As a service manager does."""
        self.started = time.monotonic()
        self.daemons.append(Piped(self.path, self.nursery))

    def supervise(self) -> None:
        """Start it again when it has ended; nobody but us may end it."""
        while not self.over.wait(0.2):
            with self.lock:
                code = self.daemon.process.poll()
                if code is None:
                    continue
                if not self.allowed and not (code == 78 and self.broken > self.started):
                    self.errors.append(f"the daemon ended by itself with {code}: {self.daemon.last_words()[-400:]}")
                self.allowed = False
                self.counts["restarts"] += 1
                self.start()

    def end(self, number: signal.Signals) -> None:
        """End the daemon; it is started again. A polite word ends it within its time."""
        with self.lock:
            self.allowed = True
            self.daemon.send(number)
            if number is signal.SIGTERM:
                try:
                    self.daemon.wait(DRAIN + LAST_WORDS)
                except subprocess.TimeoutExpired:
                    self.errors.append(f"SIGTERM did not end the daemon within {DRAIN} s and {LAST_WORDS} s")
                    self.daemon.kill()

    # --- what happens to processes and servers ----------------------------------------------------------------------

    def kill(self, chance: random.Random) -> None:
        """kill -9."""
        self.end(signal.SIGKILL)

    def term(self, chance: random.Random) -> None:
        """systemctl restart."""
        self.end(signal.SIGTERM)

    def stop(self, chance: random.Random) -> None:
        """Standing still for a while."""
        daemon = self.daemon
        daemon.send(signal.SIGSTOP)
        self.over.wait(chance.choice((2.0, LEASE * 1.5)))
        daemon.send(signal.SIGCONT)

    def unread_log(self, chance: random.Random) -> None:
        """Nobody reads the log for a while; SIGTERM ends the daemon nevertheless."""
        daemon = self.daemon
        assert isinstance(daemon, Piped)
        daemon.read.clear()
        self.over.wait(8.0)
        if chance.random() < 0.5:
            self.end(signal.SIGTERM)
        daemon.read.set()

    def seal(self, chance: random.Random) -> None:
        """Vault is sealed for a while."""
        self.away += 1
        self.world.bao.seal()
        self.over.wait(chance.uniform(2.0, 6.0))
        self.world.bao.unseal()

    def overwrite(self, chance: random.Random) -> None:
        """Somebody writes over what is published; settings say that it is to be replaced."""
        name = "day-4"
        place = f"{self.world.mount}/data/{self.world.credentials[name]['path']}"
        self.prober.leave(name)
        self.world.bao.call("POST", place, {"data": {"token": "somebody-else-wrote-this"}})
        unseen = "nobody notices a consumer path that is not ours"
        self.await_anew(name, place, lambda held: "provider_id" in held, unseen)

    def await_anew(self, name: str, place: str, fine: Callable[[dict[str, Any]], bool], otherwise: str) -> None:
        """Wait until what consumers read is fine; from then on they use it again."""

        def seen() -> bool:
            return self.over.is_set() or fine(self.world.bao.call("GET", place)["data"]["data"])

        try:
            until(f"{name} is published anew", seen, CONVERGENCE, 0.5)
        except TimeoutError as late:
            self.errors.append(f"{otherwise}: {late}")
        if not self.over.is_set():
            self.prober.watch(name)

    # --- settings ---------------------------------------------------------------------------------------------------

    def rename(self, chance: random.Random) -> None:
        """The same path under another name, what is proposed then, and back. Consumers know the path only."""
        renamed = {"day-two" if name == RENAMED else name: each for name, each in self.world.credentials.items()}
        self.settle(renamed)
        self.over.wait(3.0)
        People(self).tidy(chance)
        self.settle()

    def remove(self, chance: random.Random) -> None:
        """Out of the settings, and back into them."""
        with self.lock:
            self.out = math.inf
            self.settle({name: each for name, each in self.world.credentials.items() if name != REMOVED})
        self.over.wait(chance.uniform(1.0, 4.0))
        with self.lock:
            self.settle()
            self.out = time.monotonic()

    def unclaimed(self, token: str, began: float) -> None:
        """Somebody has ended what REMOVED published while no settings claimed it: it is replaced once it is back."""
        place = f"{self.world.mount}/data/{self.world.credentials[REMOVED]['path']}"
        if f"-{REMOVED}-" not in token or self.out < began:
            return
        published = self.world.bao.call("GET", place)["data"]["data"]["provider_id"]
        if published != token:
            return
        self.prober.leave(REMOVED)
        self.counts["ended while out of the settings"] += 1
        kept = "a credential that is back in the settings keeps a value that was ended"
        self.await_anew(REMOVED, place, lambda held: held["provider_id"] != token, kept)

    def spoil(self, chance: random.Random) -> None:
        """A typing mistake in the settings, a reload, perhaps a restart; then it is mended."""
        with self.lock:
            self.broken = math.inf
            for path in (self.path, self.lone):
                path.write_text(path.read_text().replace("[vault]", "[valt]"))
            self.reload()
        self.over.wait(chance.uniform(0.5, 2.0))
        if chance.random() < 0.3:
            self.end(signal.SIGKILL)
            self.over.wait(2.0)
        with self.lock:
            self.settle()
            self.broken = time.monotonic()

    def settle(self, credentials: dict[str, Any] | None = None) -> None:
        """Settings with these credentials, or with all, and a reload."""
        with self.lock:
            self.rewrite(credentials)
            self.reload()

    def reload(self) -> None:
        """As `systemctl reload` does, once the daemon has said that it is ready. Files are not written in one piece."""
        self.broken = max(self.broken, time.monotonic())
        if self.daemon.heard("daemon.readied"):
            self.daemon.send(signal.SIGHUP)


def day(seconds: float, seed: int = 1) -> tuple[Day, str]:
    """Live through it; returns it with what it came to, in words. What is wrong is in its errors."""
    with ExitStack() as stack:
        world = stack.enter_context(
            World(applications=tuple(n for n, kind in KIND_OF.items() if KINDS[kind].applications))
        )
        prober = stack.enter_context(Prober(world, RATE))
        work = _set_up(stack, world, prober, seed)
        stack.callback(lambda: [daemon.kill() for daemon in work.daemons])
        work.start()
        work.daemon.ready()
        prober.watch(*KIND_OF)
        seeds = [work.random.random() for _ in range(1 + PEOPLE)]
        crowd = (partial(People(work).person, each) for each in seeds[1:])
        tasks = [work.supervise, partial(_troubles, work, seeds[0]), *crowd]
        together(tasks, seconds, work.over, work.errors)
        converged = _rest(work)
        work.errors += _judged(work)
        return work, told(work, converged)


def _set_up(stack: ExitStack, world: World, prober: Prober, seed: int) -> Day:
    trouble, heard = Trouble(seed), Heard()
    for name, kind in KIND_OF.items():
        KINDS[kind].add(world, name, **({"on_foreign": "overwrite"} if name == "day-4" else {}))
    urls = wired(stack, world, heard, _rarely(trouble))

    def rewrite(credentials: dict[str, Any] | None = None) -> Path:
        there = copy(world)
        there.credentials = credentials or world.credentials
        minutely(there, "lone", urls, drain=f"{DRAIN}s")
        return minutely(there, "daemon", urls, drain=f"{DRAIN}s")

    path, nursery = rewrite(), stack.enter_context(Nursery())
    chance, lone = random.Random(seed), path.with_name("lone.toml")
    return Day(world, prober, nursery, trouble, path, lone, rewrite, urls, chance, heard)


def _rarely(trouble: Trouble) -> Callable[[Call], Loss | None]:
    """A fifth of what goes wrong in a race."""
    chance = random.Random(7)
    return lambda call: trouble.judge(call) if chance.random() < 0.2 else None


def _troubles(work: Day, seed: float) -> None:
    """One thing after another, as the seed says."""
    chance = random.Random(seed)
    every = [work.kill, work.term, work.stop, work.unread_log, work.seal, work.overwrite, work.rename, work.remove]
    while not work.over.wait(chance.uniform(0.5, 3.0)):
        deed = chance.choice((*every, work.kill, work.spoil))
        work.counts[deed.__name__] += 1
        deed(chance)


def _rest(work: Day) -> float:
    """Faults off, pauses over. Returns the seconds until every name was once as promised."""
    work.trouble.quiet = True
    if work.daemon.process.poll() is not None:
        work.start()
    time.sleep(LONGEST_DELAY)
    began = time.monotonic()
    until("every pause is over", lambda: rotate(work.path, "resume", "--all").returncode != 75, CONVERGENCE)
    People(work).tidy(work.random)  # a hold says what to type

    work.errors += not_at_rest(KIND_OF, lambda name: _unrest(work, name))
    return time.monotonic() - began


def _unrest(work: Day, name: str) -> list[str]:
    wrong = unrest(work.world, name, work.heard)
    return [text for text in wrong if name != RENAMED or "living tokens" not in text]  # another name's are its own


def _judged(work: Day) -> list[str]:
    """What consumers met while Vault was there, what was taken on and not done, what the logs show."""
    gone = ("was answered 503", "was out of reach")  # of Vault, which we have sealed
    wrong = [text for text in work.prober.violations if not any(word in text for word in gone)]
    for name, tokens in work.doomed.items():
        left = tokens & set(living(work.world, journal(work.world, name)["stem"]))
        wrong += [f"{name}: {sorted(left)} live, and rotate revoke said that it goes on"] if left else []
    return wrong + leaks(work.daemons, work.prober.values)


def told(work: Day, converged: float) -> str:
    """What it came to, for people."""
    rotations = sum(int(journal(work.world, name).get("rotation", 0)) for name in KIND_OF)
    losses, uses = sum(work.trouble.done.values()), work.prober.probes
    deeds = ", ".join(f"{name} {count}" for name, count in sorted(work.counts.items()))
    end = f"at rest after {converged:.1f} s, {len(work.errors)} violations"
    return f"{rotations} rotations; {deeds}; {losses} faults on the wire, {uses} uses, {end}"


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=1)
    wishes = options.parse_args()
    work, said = day(wishes.minutes * 60, wishes.seed)
    return verdict(said, work.errors)


if __name__ == "__main__":
    sys.exit(main())
