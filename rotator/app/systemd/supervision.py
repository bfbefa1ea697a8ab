"""What the service manager hears of a running daemon: ready, reloading, one line of status, signs of life.

How it is said is sd_notify.py's, whether we count as alive liveness.py's; a manager that asks for nothing hears
nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial

import anyio

from rotator.app.actor import App
from rotator.app.systemd.liveness import Liveness, SignOfLife
from rotator.app.systemd.sd_notify import Notifier
from rotator.app.systemd.status_line import status_line
from rotator.engine.reconciler import Transition
from rotator.observe.health import states
from rotator.observe.logs import log
from rotator.observe.logs.redaction import redact
from rotator.ports import Fault
from rotator.settings import Settings
from rotator.vault.shared_documents import remove_gone

_LOOK = 5.0  # seconds between two status lines
_SOON = 0.05  # seconds between two looks whether all is looked at
_NAMED = 10  # in one log line
_IN_FLIGHT = 100  # names in a heartbeat
_PATIENCE = 60.0  # seconds we ask for, again and again, while a start or a stop takes its time


class Supervision:
    """What the manager is told, and what its watchdog is fed with."""

    def __init__(self, settings: Settings, notifier: Notifier | None = None) -> None:
        self._ear = notifier or Notifier()
        self._blot = redact
        self._said = ""
        self._refused = self._ending = ""
        self._ready = self._stopping = self._starving = self._untidy = self._unforwarded = False
        self._moved = 0.0  # the clock of the worker pool, which need not be ours
        tick, lease = settings.daemon.tick.total_seconds(), settings.daemon.lease.total_seconds()
        self.pulse = Liveness(time.monotonic(), tick=tick, lease=lease)

    # --- told by the daemon -----------------------------------------------------------------------------------------

    def waiting(self, reason: str) -> None:
        """It cannot start yet, through no fault of its own."""
        self._ear.extend(_PATIENCE)
        self._say(f"Waiting for Vault: {reason}")

    async def await_ready(self, app: App) -> None:
        """Ready is who has looked at every name once."""
        while len(app.worker_pool.seen) < len(app.settings.credentials):
            await app.clock.sleep(_SOON)
        self.ready(app)
        log.say("daemon.readied", credentials=len(app.worker_pool.seen))

    def ready(self, app: App) -> None:
        """Start-up is complete."""
        self._ready = True
        self._say(self._line(app))
        self._ear.ready()

    def reloading(self) -> None:
        """The settings are being read again."""
        if self._ready:
            self._ear.reloading()

    def reloaded(self, refused: str = "") -> None:
        """They were read. `refused`: the first fault in words, when the old ones stay in force."""
        self._refused = refused
        if refused:
            self._say(self._line())
        if self._ready:
            self._ear.ready()

    def stopping(self) -> None:
        """The end has begun."""
        self._stopping = True
        self._ear.stopping()
        self._say("Stopping: steps under way end at their next boundary")

    # --- signs of life ----------------------------------------------------------------------------------------------

    def turned(self) -> None:
        """An alarm has rung: the scheduler's loop goes round."""
        self._felt(SignOfLife.LOOP)

    def moved(self, _: Transition) -> None:
        """A step was taken: a worker works."""
        self._felt(SignOfLife.WORKER)

    async def ask_vault(self, app: App) -> None:
        """Write our heartbeat and what we have in flight; an answer is the sign, a fault is none."""
        app.kv.tells["work"] = partial(_about, app)
        with suppress(Fault):  # every visit says the same
            await app.kv.beat()
            self._felt(SignOfLife.VAULT)
        if not app.kv.session.forwards and not self._unforwarded:
            self._unforwarded = True
            log.say(
                "vault.unforwarded",
                said="this Vault forwards no request that asks for it; lagging nodes are waited for",
            )
        end = app.kv.session.login_end
        near = str(end) if end and end.is_near(app.clock.now()) else ""
        if near and near != self._ending:
            log.warn("login.ending", said=near, remedy="hand over a new one in time; nothing is rotated without it")
        self._ending = near

    async def remove_gone(self, app: App) -> None:
        """Remove the heartbeats of daemons that have been gone for a day; an older policy may not allow it."""
        try:
            removed = await remove_gone(app.kv)
        except Fault as fault:
            if not self._untidy:
                log.warn(
                    "nodes.kept", said=fault.reason, remedy="give the token the policy that `rotate policy` prints"
                )
            self._untidy = True
            return
        if removed:
            log.say("nodes.removed", count=len(removed), names=removed[:_NAMED])

    def _felt(self, sign: SignOfLife) -> None:
        self.pulse.felt(sign, time.monotonic())

    async def keep(self, app: App) -> None:
        """Tell how the fleet is and, while all signs are felt, feed the watchdog at half its period. Never ends."""
        pause = min(_LOOK, (self._ear.watchdog or 2 * _LOOK) / 2)
        while True:
            missing = self._look(app)
            if self._ear.heard and not self._stopping:
                line = await anyio.to_thread.run_sync(self._line, app, missing)  # of thousands it takes its time
                if not self._stopping:
                    self._say(line)
            await app.clock.sleep(pause)

    def missing(self) -> str:
        """The signs that are missing, in words; empty when all is well."""
        return self.pulse.still(time.monotonic())

    def _look(self, app: App) -> str:
        """Feed the watchdog, unless a sign of life is missing; which, in words."""
        if app.worker_pool.idle or app.worker_pool.moved > self._moved:
            self._moved = app.worker_pool.moved
            self._felt(SignOfLife.WORKER)
        missing = self.missing()
        if not missing:
            self._thrive()
        elif not self._starving:
            log.warn("watchdog.starved", said=missing)
        self._starving = bool(missing)
        return missing

    def _thrive(self) -> None:
        self._ear.alive()
        if self._stopping or not self._ready:
            self._ear.extend(_PATIENCE)

    def _line(self, app: App | None = None, missing: str = "") -> str:
        words = "Settings refused, the old ones stay, the next start will fail"
        parts = [f"{words}: {self._refused}"] if self._refused else []
        if app:
            trouble = app.worker_pool.health.vault.reason
            parts += [missing] if missing else []
            parts += [f"Vault: {trouble}"] if trouble else []
            now = app.clock.now()
            parts.append(status_line(states(app.worker_pool, now), now))
        return ". ".join(parts)

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._ear.status(self._blot(line))


def _about(app: App) -> dict[str, object]:
    """What a daemon's document in Vault says beside its heartbeat."""
    busy = sorted(app.worker_pool.busy)
    return {"holder": app.holder, "in_flight": busy[:_IN_FLIGHT], "in_flight_count": str(len(busy))}
