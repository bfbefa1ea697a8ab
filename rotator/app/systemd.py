"""sd_notify(3): what the service manager hears of a running daemon: ready, reloading, status line, signs of life.

Without $NOTIFY_SOCKET nothing is sent. Nothing here raises or waits for long: a service manager that does not listen is
no reason to stop.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import anyio

from rotator.app.composition import Actor
from rotator.engine.reconciler import Transition
from rotator.observe import logs
from rotator.observe.health import states
from rotator.observe.logs.redaction import redact
from rotator.ports import Fault
from rotator.rotation.credential_state import Headline, Severity, State
from rotator.rotation.replica_share import names_digest
from rotator.settings import Settings
from rotator.vault.shared_documents import remove_gone

_MOMENT = 0.2  # seconds that one datagram may wait for room in the manager's queue
_LONGEST = 400  # characters of a status line
_NAMED = 3  # names at most; the rest is counted
_WATCHED = (Headline.DOUBTED, Headline.PAUSED_BY_HAND, Headline.FAILING, Headline.LEFT_ALONE)
_UNDER_WAY = (Headline.ROTATING, Headline.IN_GRACE, Headline.RETIRING)
_LOOK = 5.0  # seconds between two status lines
_SOON = 0.05  # seconds between two looks whether all is looked at
_LOGGED = 10  # in one log line
_IN_FLIGHT = 100  # names in a heartbeat
_PATIENCE = 60.0  # seconds that we ask for, repeatedly, during a start or stop


class Notifier:
    """Sends messages to the service manager. `watchdog`: seconds between signs of life that it asks for, or None."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environ) if self._address else None

    @property
    def heard(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self) -> None:
        """Start-up, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it. Type=notify-reload waits for the timestamp."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The stop has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for more time for a start, reload or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`. Newlines become blanks, because they would begin another message."""
        self._send(f"STATUS={' '.join(text.split())[:_LONGEST]}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
                ear.settimeout(_MOMENT)
                ear.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return


def _address(given: str) -> str:
    """A path, or an abstract socket, written with `@` where the kernel wants a NUL; empty for anything else."""
    if given.startswith("@"):
        return "\0" + given[1:]
    return given if given.startswith("/") else ""


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """The period of the watchdog, see sd_watchdog_enabled(3): it is for the named process only."""
    try:
        period = int(environ.get("WATCHDOG_USEC", ""))
        meant = int(environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return period / 1_000_000 if period > 0 and meant == os.getpid() else None


class SignOfLife(StrEnum):
    """A sign of life, in the words of the log."""

    LOOP = "the scheduler's loop"
    WORKER = "a worker"
    VAULT = "an answer of Vault"


class Liveness:
    """The latest time of each sign of life, in monotonic seconds.

    A worker may wait for a target's deadlines. Vault may be away for long, and a restart does not help: only after a
    quarter of an hour without an answer a restart is tried, in case the fault is ours.
    """

    def __init__(self, now: float, *, tick: float = 1.0, lease: float = 30.0) -> None:
        """`tick`: seconds between two turns of the loop; `lease`: seconds between two heartbeats in Vault."""
        self._patience = {
            SignOfLife.LOOP: max(30.0, 3 * tick),
            SignOfLife.WORKER: 300.0,
            SignOfLife.VAULT: max(900.0, 3 * lease),
        }
        self._felt = dict.fromkeys(SignOfLife, now)

    def felt(self, sign: SignOfLife, at: float) -> None:
        """Record a sign of life; an older time is ignored."""
        self._felt[sign] = max(self._felt[sign], at)

    def still(self, now: float) -> str:
        """The signs that are missing, in words; empty when all is well."""
        silent = {sign: now - at for sign, at in self._felt.items() if now - at > self._patience[sign]}
        return "; ".join(f"no sign of {sign} for {seconds:.0f} s" for sign, seconds in silent.items())


def status_line(states: Sequence[State], now: datetime) -> str:
    """One line: number of credentials, those that need a person or attention, what is under way, and what is next."""
    count = len(states)
    parts = [f"{count} credential{'' if count == 1 else 's'}"]
    for word in Headline:
        found = [each for each in states if each.word is word]
        if found and (found[0].mark is Severity.ACT or word in _WATCHED):
            shown = word.upper() if found[0].mark is Severity.ACT else word
            parts.append(f"{len(found)} {shown} ({_some([each.name for each in found])})")
    under_way = sum(each.word in _UNDER_WAY for each in states)
    unseen = sum(not each.known for each in states)
    parts += [f"{under_way} under way"] if under_way else []
    parts += [f"{unseen} not looked at yet"] if unseen else []
    return ", ".join(parts) + _next(states, now)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _next(states: Iterable[State], now: datetime) -> str:
    ahead = [(each.next_at, each.name) for each in states if each.next_at]
    if not ahead:
        return ""
    until, name = min(ahead)
    return f"; next: {name} {_soon(until - now)}"


def _soon(left: timedelta) -> str:
    minutes = int(left.total_seconds() // 60)
    if minutes < 1:
        return "within a minute"
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= 2 * size:
            return f"in {minutes // size}{unit}"
    return f"in {minutes}m"


class Supervision:
    """The messages to the service manager, and its watchdog."""

    def __init__(self, settings: Settings, notifier: Notifier | None = None) -> None:
        self._ear = notifier or Notifier()
        self._blot = redact
        self._said = ""
        self._refused = self._ending = ""
        self._ready = self._stopping = self._starving = self._untidy = self._unforwarded = False
        self._moved = 0.0  # the worker pool's clock, which may differ from ours
        tick, lease = settings.daemon.tick.total_seconds(), settings.daemon.lease.total_seconds()
        self.pulse = Liveness(time.monotonic(), tick=tick, lease=lease)

    # --- told by the daemon -----------------------------------------------------------------------------------------

    def waiting(self, reason: str) -> None:
        """The daemon cannot start yet, because it waits for Vault."""
        self._ear.extend(_PATIENCE)
        self._say(f"Waiting for Vault: {reason}")

    async def await_ready(self, actor: Actor) -> None:
        """Report ready when every credential was reconciled once."""
        while len(actor.worker_pool.seen) < len(actor.settings.credentials):
            await actor.clock.sleep(_SOON)
        self.ready()
        logs.say("daemon.readied", credentials=len(actor.worker_pool.seen))

    def ready(self) -> None:
        """Start-up is complete."""
        self._ready = True
        self._ear.ready()

    def reloading(self) -> None:
        """The settings are being read again."""
        if self._ready:
            self._ear.reloading()

    def reloaded(self, refused: str = "") -> None:
        """The settings were read. `refused`: the first fault in words; the old settings stay in force."""
        self._refused = refused
        if refused:
            self._say(self._line())
        if self._ready:
            self._ear.ready()

    def stopping(self) -> None:
        """The stop has begun."""
        self._stopping = True
        self._ear.stopping()
        self._say("Stopping: steps under way end at their next boundary")

    # --- signs of life ----------------------------------------------------------------------------------------------

    def turned(self) -> None:
        """The scheduler's loop runs."""
        self._felt(SignOfLife.LOOP)

    def moved(self, _: Transition) -> None:
        """A worker has done a step."""
        self._felt(SignOfLife.WORKER)

    async def ask_vault(self, actor: Actor) -> None:
        """Write our heartbeat with the rotations in flight. An answer is a sign of life."""
        actor.kv.tells["work"] = partial(_about, actor)
        with actor.worker_pool.guard.asking_vault("heartbeat"):
            await actor.kv.beat()
            self._felt(SignOfLife.VAULT)
        if not actor.kv.session.forwards and not self._unforwarded:
            self._unforwarded = True
            logs.say(
                "vault.unforwarded",
                said="this Vault forwards no request that asks for it; lagging nodes are waited for",
            )
        end = actor.kv.session.login_end
        near = str(end) if end and end.is_near(actor.clock.now()) else ""
        if near and near != self._ending:
            logs.warn("login.ending", said=near, remedy="hand over a new one in time; nothing is rotated without it")
        self._ending = near

    async def remove_gone(self, actor: Actor) -> None:
        """Remove the heartbeats of daemons that were silent for a day; an older policy may forbid it."""
        try:
            removed = await remove_gone(actor.kv)
        except Fault as fault:
            if not self._untidy:
                logs.warn(
                    "nodes.kept", said=fault.reason, remedy="give the token the policy that `rotate policy` prints"
                )
            self._untidy = True
            return
        if removed:
            logs.say("nodes.removed", count=len(removed), names=removed[:_LOGGED])

    def _felt(self, sign: SignOfLife) -> None:
        self.pulse.felt(sign, time.monotonic())

    async def keep(self, actor: Actor) -> None:
        """Send the status line and, while no sign is missing, feed the watchdog at half its period. Never ends."""
        pause = min(_LOOK, (self._ear.watchdog or 2 * _LOOK) / 2)
        while True:
            missing = self._look(actor)
            if self._ear.heard and not self._stopping:
                line = await anyio.to_thread.run_sync(self._line, actor, missing)  # of thousands it takes its time
                if not self._stopping:
                    self._say(line)
            await actor.clock.sleep(pause)

    def missing(self) -> str:
        """The signs that are missing, in words; empty when all is well."""
        return self.pulse.still(time.monotonic())

    def _look(self, actor: Actor) -> str:
        """Feed the watchdog unless a sign of life is missing. Returns the missing ones in words."""
        if actor.worker_pool.idle or actor.worker_pool.moved > self._moved:
            self._moved = actor.worker_pool.moved
            self._felt(SignOfLife.WORKER)
        missing = self.missing()
        if not missing:
            self._thrive()
        elif not self._starving:
            logs.warn("watchdog.starved", said=missing)
        self._starving = bool(missing)
        return missing

    def _thrive(self) -> None:
        self._ear.alive()
        if self._stopping or not self._ready:
            self._ear.extend(_PATIENCE)

    def _line(self, actor: Actor | None = None, missing: str = "") -> str:
        words = "Settings refused, the old ones stay, the next start will fail"
        parts = [f"{words}: {self._refused}"] if self._refused else []
        if actor:
            trouble = actor.worker_pool.health.vault.reason
            parts += [missing] if missing else []
            parts += [f"Vault: {trouble}"] if trouble else []
            now = actor.clock.now()
            parts.append(status_line(states(actor.worker_pool, now), now))
        return ". ".join(parts)

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._ear.status(self._blot(line))


def _about(actor: Actor) -> dict[str, object]:
    """The content of a daemon's heartbeat document."""
    busy = sorted(actor.worker_pool.busy)
    told: dict[str, object] = {
        "holder": actor.holder,
        "in_flight": busy[:_IN_FLIGHT],
        "in_flight_count": str(len(busy)),
    }
    told["credentials"] = names_digest(actor.settings.credentials)
    return told | ({"only_looks": "true"} if actor.settings.daemon.read_only else {})
