"""Owns the life of `rotate run`: start, signals, reload, stop; the composition is app.py's, the work the crew's."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.streams.memory import MemoryObjectSendStream

from rotator.app import App, opened
from rotator.clockwork import Alarms
from rotator.control import Control
from rotator.engine.visit import Happened
from rotator.logs import voice
from rotator.narrate import narrate
from rotator.now import demand, follow, select
from rotator.ports import Fault, Refused, Transient
from rotator.rotation.schedule import share
from rotator.settings import Settings, SettingsError, load
from rotator.vault.preflight import Level, preflight
from rotator.wiring import longest_need

_AGAIN = 5.0  # seconds until a Vault that could not be reached is tried again


class Daemon:
    """A running daemon."""

    def __init__(self, path: str | None, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._stop = anyio.Event()
        self._app: App | None = None
        self._listeners: list[MemoryObjectSendStream[Happened]] = []

    async def run(self) -> None:
        """Start, work until SIGTERM or SIGINT, stop. Raises Fault when it cannot start."""
        voice.say(
            "daemon.started", instance=self._settings.daemon.instance, credentials=len(self._settings.credentials)
        )
        async with anyio.create_task_group() as group:
            await group.start(self._signals)
            while not self._stop.is_set():
                try:
                    await self._work()
                except Transient as fault:
                    voice.warn("vault.missed", said=fault.reason, again_in=_AGAIN)
                    with anyio.move_on_after(_AGAIN):
                        await self._stop.wait()
            group.cancel_scope.cancel()
        voice.say("daemon.stopped")

    async def _work(self) -> None:
        """One stretch of work, from login to stop. Raises Transient when Vault cannot be reached at the start."""
        async with opened(self._settings, [narrate, self._broadcast]) as app:
            await _look_at_vault(app)
            self._app = app
            async with anyio.create_task_group() as group:
                await self._start(app, group)
                await self._stop.wait()
                await self._drain(app)
                group.cancel_scope.cancel()

    async def _start(self, app: App, group: TaskGroup) -> None:
        control = Control(self._settings.daemon.socket, self._verbs(app), _heard)
        await group.start(control.serve)
        group.start_soon(app.crew.run)
        app.crew.look_at(*app.settings.credentials)
        group.start_soon(self._alarms, app, group)
        group.start_soon(_say_ready, app)

    async def _alarms(self, app: App, group: TaskGroup) -> None:
        daemon = app.settings.daemon
        alarms = Alarms()
        alarms.every(daemon.tick, "tick", app.crew.tick)
        alarms.every(daemon.reconcile, "reconcile", lambda: app.crew.look_at(*app.settings.credentials))
        alarms.every(daemon.sweep, "sweep", lambda: group.start_soon(self._sweep, app))
        alarms.every(daemon.lease, "heartbeat", lambda: group.start_soon(_heartbeat, app))
        alarms.start()
        try:
            await anyio.sleep_forever()
        finally:
            alarms.stop()

    async def _sweep(self, app: App) -> None:
        for target in app.settings.targets:
            await app.clock.sleep(share(f"{app.holder}/{target}") * 10)
            with suppress(Fault):  # the next sweep makes up for it
                swept = await app.sweep(target)
                if swept.strays or swept.unclaimed:
                    voice.say("target.swept", target=target, reaped=swept.reaped, unclaimed=len(swept.unclaimed))

    # --- signals ----------------------------------------------------------------------------------------------------

    async def _signals(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for received in signals:
                if received is signal.SIGHUP:
                    await self._reload()
                else:
                    voice.say("daemon.stopping", signal=signal.Signals(received).name)
                    self._stop.set()

    async def _reload(self) -> None:
        try:
            settings = await anyio.to_thread.run_sync(load, self._path)
        except SettingsError as error:
            for fault in error.faults:
                voice.warn("settings.refused", file=fault.file, line=fault.line, key=fault.key, reason=fault.text)
            return
        before, self._settings = self._settings, settings
        if self._app:
            if settings.vault != before.vault or settings.daemon.socket != before.daemon.socket:
                voice.warn("settings.postponed", said="[vault] and the socket are read at start only: restart for them")
            await self._app.reload(settings)
        voice.say("settings.reloaded", credentials=len(settings.credentials), digest=settings.digest[:12])

    async def _drain(self, app: App) -> None:
        """Visits under way end at their next boundary, or lose nothing when they do not."""
        app.crew.stop()
        with anyio.move_on_after(app.settings.daemon.drain.total_seconds()):
            while not app.crew.idle:
                await app.clock.sleep(0.05)

    # --- verbs of the control socket --------------------------------------------------------------------------------

    def _verbs(self, app: App) -> dict[str, Any]:
        async def now(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
            wanted = demand(request)
            names, unknown = select(app.settings, wanted)
            if unknown:
                yield {"error": unknown, "exit": 2}
                return
            send, receive = anyio.create_memory_object_stream[Happened](256)
            self._listeners.append(send)
            try:
                async for line in follow(app, names, wanted, receive):
                    yield line
            finally:
                self._listeners.remove(send)
                send.close()
                receive.close()

        async def ping(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
            yield {"alive": True, "holder": app.holder}

        return {"now": now, "ping": ping}

    def _broadcast(self, happened: Happened) -> None:
        for listener in self._listeners:
            with suppress(anyio.WouldBlock, anyio.BrokenResourceError):
                listener.send_nowait(happened)


async def _look_at_vault(app: App) -> None:
    """Raises Refused when Vault would not keep our promises, with every reason."""
    places = [each.place for each in app.settings.credentials.values()]
    findings = await preflight(app.kv, places, longest_need(app.settings))
    for finding in findings:
        if finding.level is Level.WARNING:
            voice.warn("vault.doubted", subject=finding.subject, said=finding.text, remedy=finding.remedy)
    refusals = [f"{each.subject}: {each.text}; {each.remedy}" for each in findings if each.level is Level.REFUSAL]
    if refusals:
        raise Refused("Vault is not fit: " + " | ".join(refusals))


async def _heartbeat(app: App) -> None:
    with suppress(Fault):
        await app.kv.barrier()


async def _say_ready(app: App) -> None:
    """Ready: every name was looked at once."""
    while len(app.crew.seen) < len(app.settings.credentials):
        await app.clock.sleep(0.05)
    voice.say("daemon.readied", credentials=len(app.crew.seen))


def _heard(verb: str, uid: int, pid: int) -> None:
    voice.say("control.called", verb=verb, uid=uid, pid=pid)
