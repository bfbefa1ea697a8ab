"""What the show is played with, and the waiting; the order of events is script.py's."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rotator.settings import load
from tests.sandbox.demo.cast import LIVELY, NAMES, write_settings
from tests.sandbox.demo.consumer import Consumer
from tests.sandbox.demo.daemon import Daemon, command
from tests.sandbox.demo.lines import Face
from tests.sandbox.demo.watch import View, Watch
from tests.sandbox.demo.words import told
from tests.sandbox.environment import World
from tests.sandbox.itsm_process import Desk
from tests.sandbox.openbao import OpenBaoError

_SLOWNESS = 0.4  # seconds by which the sandbox Halo delays what the daemon asks of it
_GLANCE = 0.25  # seconds between two looks


class ShowError(Exception):
    """The show cannot go on; the text says why."""


class Stage:
    """Everything that is running."""

    def __init__(self, world: World, desk: Desk, face: Face) -> None:
        self.world = world
        self.desk = desk
        self.face = face
        self.settings = write_settings(world, LIVELY)
        self.watch = Watch(world, load(str(self.settings)))
        self.daemon = Daemon(self.settings, self._hear)
        self.consumer = Consumer(world)
        self.view = self.watch.look()
        self.note: Callable[[], str] = str
        self.close_up: set[str] = set()
        self.heard: set[tuple[str, str]] = set()  # (credential, event)
        self.disagreed: dict[str, float] = {}  # seconds, of the last publication, as the daemon tells
        self._slow: list[int] = []
        self._stop = threading.Event()
        self._glancing = threading.Thread(target=self._glance, daemon=True)

    # --- life -------------------------------------------------------------------------------------------------------

    @contextmanager
    def lit(self) -> Iterator[None]:
        """While the table is kept up to date. Whatever runs is ended at the end."""
        self._glancing.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """End the daemon and the consumer; the servers are the world's."""
        try:
            self.darken()
        finally:  # a terminal that is gone must not keep the daemon alive
            self.daemon.stop()

    def darken(self) -> None:
        """The table stays as it is, and the consumer rests."""
        self._stop.set()
        self._glancing.join(15)
        self.consumer.stop()
        self.face.close()

    def _glance(self) -> None:
        while not self._stop.wait(_GLANCE):
            with suppress(OpenBaoError, OSError):
                self.look()

    def look(self) -> View:
        """Look at the world, and show it. Raises OpenBaoError or OSError when a server does not answer."""
        self.view = self.watch.look()
        pid = self.daemon.pid
        self.face.draw(self.watch.rows(self.view, pid), self._status(pid), self.note())
        return self.view

    def _status(self, pid: int) -> str:
        daemon = f"daemon: pid {pid}" if pid else "daemon: dead"
        consumer = self.consumer
        used = f"a consumer used its secrets {consumer.probes} times, {consumer.refused} refused"
        cut_off = f", {len(consumer.cut_off)} cut off" if consumer.cut_off else ""
        return f"{daemon}  ·  {used}{cut_off}" if consumer.probes else daemon

    def _hear(self, event: dict[str, Any]) -> None:
        name = event.get("credential")
        self.heard.add((str(name), str(event.get("event"))))
        if "disagreed_seconds" in event:
            self.disagreed[str(name)] = event["disagreed_seconds"]
        if name and (sentence := told(event, close_up=name in self.close_up)):
            self.face.tell(name, sentence, event.get("level", "info"))

    # --- the sandbox ------------------------------------------------------------------------------------------------

    def slow_down(self) -> None:
        """Let Halo take its time with what the daemon asks, so that the eye can follow; consumers are not slowed."""
        halo = self.world.halo
        tokens = "personalaccesstokens"
        self._slow = [
            halo.fault(kind="slow", method="POST", path=f"{tokens}$", delay=_SLOWNESS, times=None),
            halo.fault(kind="slow", path=f"{tokens}/", delay=_SLOWNESS, times=None),
        ]

    def speed_up(self) -> None:
        """Take that back."""
        for number in self._slow:
            self.clear_fault(number)
        self._slow = []

    def clear_fault(self, number: int) -> None:
        """Take a rule of the fault panel out of force."""
        self.world.halo.call("DELETE", f"/_sandbox/faults/{number}")

    def struck(self, number: int) -> bool:
        """Whether a rule of the fault panel has struck a call."""
        rules = self.world.halo.call("GET", "/_sandbox/faults")[1]
        return any(rule["number"] == number and rule["struck"] for rule in rules)

    # --- doing and waiting ------------------------------------------------------------------------------------------

    def reschedule(self, schedules: dict[str, dict[str, Any]]) -> None:
        """Other schedules, by a reload if a daemon runs."""
        self.settings = write_settings(self.world, schedules)
        self.watch.settings = load(str(self.settings))
        self.daemon.reload()

    def rotate(self, *words: str) -> subprocess.Popen[str]:
        """Type a `rotate` command, in a process of its own."""
        self.face.say(f"$ rotate {' '.join(words)}")
        return subprocess.Popen(
            command(self.settings, *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def done(self, *words: str) -> None:
        """Type a `rotate` command and wait for its end. Raises ShowError unless it succeeds."""
        asked = self.rotate(*words)
        self.until(lambda: asked.poll() is not None, f"rotate {words[0]} came to its verdict")
        asked.communicate()
        self.face.say(f"`rotate {words[0]}` ends with exit {asked.returncode}: done, what was before is proven dead.")
        if asked.returncode != 0:
            raise ShowError(f"rotate {' '.join(words)} did not succeed")

    def until(self, true: Callable[[], bool], what: str, within: float = 30.0, every: float = 0.1) -> None:
        """Wait. Raises ShowError when it takes longer than `within` seconds."""
        end = time.monotonic() + within
        while not true():
            if time.monotonic() > end:
                raise ShowError(f"waited {within:.0f} s in vain for this: {what}")
            time.sleep(every)

    def until_settled(self, *names: str, rotation: int = 1) -> None:
        """Wait until these have a published value of this rotation or a later one, and nothing in flight."""
        chosen = names or NAMES

        def settled() -> bool:
            view = self.view
            return all(view.settled(name) and view.record(name).rotation >= rotation for name in chosen)

        self.until(settled, f"{', '.join(chosen)} settled")
