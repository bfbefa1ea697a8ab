"""The life of `rotate run`: start, signals, reload, stop. actor.py composes the engine, which does the work."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from rotator.app.composition import READ_ONLY, Actor, acting
from rotator.app.control import Control
from rotator.app.factories import Tried, postponed_keys
from rotator.app.failure_stops import FailureStops
from rotator.app.monitoring import Monitoring
from rotator.app.settings_watch import SettingsWatch
from rotator.app.strays import note_unmanaged, sweep
from rotator.app.systemd import Supervision
from rotator.app.vault_fitness import UnfitDocuments, refuse_unfit, why_unfit
from rotator.commands import queries
from rotator.commands.operator_commands import verbs
from rotator.commands.requests import look_for_requests
from rotator.commands.rotate import chosen, now
from rotator.commands.status import verbs as shows
from rotator.engine.probe import Prober
from rotator.host.cron import Alarms
from rotator.host.exit_codes import Exit
from rotator.host.shutdown import Part, StopBudget
from rotator.host.threads import BoundedCalls, Threads, first_exception
from rotator.observe import logs
from rotator.observe.event_log import TransitionListeners, failed_call, heard_call, strained
from rotator.observe.observers import Observers
from rotator.ports import Fault, Transient
from rotator.rotation.schedule import share
from rotator.rotation.wording import counted
from rotator.settings import Settings, SettingsError, load
from rotator.settings.files import digest, main_file, writable
from rotator.vault.login import REFUSED_PAUSE, LoginRefused

_REQUESTS = timedelta(seconds=5)  # between two looks for requests: a single listing where there are none
_FITNESS = timedelta(seconds=5)  # between two looks whether it is time to look at Vault's limits
_LOGIN = timedelta(minutes=5)  # between two checks when our login ends: each command of another process takes a use
_WATCH = 2.0  # seconds between two looks at the files of the settings, where `[daemon] watch` is on
_AGAIN = 5.0  # seconds until a Vault that could not be reached is tried again
_LAST_WORDS = 2.0  # seconds for telling callers that another process will finish their request
_LOOK = 0.05  # seconds between two checks whether a part of the stop is done
_AT_START = "read at start only, restart for it"
_SOONER = "when the secret changes, or at a SIGHUP (systemctl kill -s HUP rotator)"  # no socket is served yet


class Daemon:
    """A running daemon."""

    _prober: Prober | None = None
    _fit_in: tuple[bool, float] | None = None

    def __init__(
        self, path: str | None, settings: Settings, stopping: Callable[[StopBudget], None] = lambda budget: None
    ) -> None:
        """`stopping` is called when a stop begins, with the seconds that it has."""
        self._path = path
        self._stopping = stopping
        self._settings = settings
        self._stop = anyio.Event()
        self._budget: StopBudget | None = None
        self._actor: Actor | None = None

        self._supervision = Supervision(settings)
        self._observers = Observers(settings, self._called, self._unwell)
        self._lookout = Monitoring(settings, self._supervision.missing, self._observers.receipts)
        self._start_up = anyio.CancelScope()
        self._one_reload = anyio.Lock()
        self._chores: set[str] = set()
        self._audience = TransitionListeners()
        self._failure_stops = FailureStops()
        failing = self._failure_stops.observe
        self._observers.add([*self._lookout.observers, self._supervision.moved, failing, self._audience])

    async def run(self) -> None:
        """Start, work until SIGTERM or SIGINT, stop. Raises Fault when it cannot start."""
        logs.say("daemon.started", instance=self._settings.daemon.instance, credentials=len(self._settings.credentials))
        async with anyio.create_task_group() as group:
            await group.start(self._signals, group)
            group.start_soon(_tell_exposed, self._settings)
            group.start_soon(self._watch)
            await group.start(self._lookout.serve)
            tried = Tried()
            while not self._stop.is_set():
                await tried.begins(self._settings)
                try:
                    with anyio.CancelScope() as self._start_up:
                        await self._work()
                except* Transient as missed:  # task groups wrap it
                    await self._wait_for_vault(str(first_exception(missed)))
                except* LoginRefused as refused:  # a restart would log in again at once, and lock others out
                    await self._wait_for_login(str(first_exception(refused)), tried)
            group.cancel_scope.cancel()
        if self._budget:
            self._budget.begin(Part.LOG)
        self._observers.close()
        logs.say("daemon.stopped")

    def _called(self, hook: str, outcome: str) -> None:
        self._lookout.called(hook, outcome)

    def _unwell(self) -> str:
        return self._lookout.unwell()

    async def _wait_for_vault(self, reason: str) -> None:
        self._lookout.wait(reason)
        self._supervision.waiting(reason)
        logs.warn("vault.missed", said=reason, again_in=_AGAIN)
        with anyio.move_on_after(_AGAIN):
            await self._stop.wait()

    async def _wait_for_login(self, reason: str, tried: Tried) -> None:
        """Wait for another login secret, or a quarter of an hour."""
        self._lookout.wait(reason)
        logs.tell("login.refused", "error", said=reason, again_in=REFUSED_PAUSE, sooner=_SOONER)
        with anyio.move_on_after(REFUSED_PAUSE):
            while not self._stop.is_set() and await tried.stands(self._settings):
                self._supervision.waiting(reason)
                with anyio.move_on_after(_AGAIN):
                    await self._stop.wait()

    async def _work(self) -> None:
        """Work from login to stop. Raises Transient when Vault cannot be reached at the start."""
        async with acting(self._settings, self._observers, node=self._settings.daemon.instance) as actor:
            await refuse_unfit(actor)
            self._fit_in, self._lookout.fleet.unfit = None, ""
            actor.worker_pool.guard.reconciler.unfit = UnfitDocuments(actor)
            async with anyio.create_task_group() as group:
                await self._start(actor, group)
                await self._stop.wait()
                await self._drain(actor)
                group.cancel_scope.cancel()

    async def _start(self, actor: Actor, group: TaskGroup) -> None:
        control = Control(self._settings.daemon.socket, self._verbs(actor), heard_call, failed_call, strained)
        await group.start(control.serve)
        self._lookout.attend(actor.worker_pool)
        self._lookout.fleet.login_end = lambda: actor.kv.session.login_end
        self._lookout.jwks_endpoint.attend(actor)
        group.start_soon(actor.worker_pool.run)
        await actor.note_replicas()
        actor.worker_pool.meet(actor.settings.credentials)
        self._actor = actor
        if actor.settings is not self._settings:  # a reload came while starting
            await actor.reload(self._settings)
        group.start_soon(self._chore, "unmanaged", note_unmanaged, actor)
        group.start_soon(self._alarms, actor, group)
        group.start_soon(self._supervision.keep, actor)
        group.start_soon(self._supervision.await_ready, actor)

    async def _alarms(self, actor: Actor, group: TaskGroup) -> None:
        daemon = actor.settings.daemon
        alarms = Alarms()
        alarms.every(daemon.tick, "tick", actor.worker_pool.tick)
        alarms.every(daemon.tick, "pulse", self._supervision.turned)

        def chore(every: timedelta, name: str, work: Callable[[Actor], Awaitable[None]]) -> None:
            alarms.every(every, name, lambda: group.start_soon(self._chore, name, work, actor))

        chore(daemon.sweep, "sweep", self._sweep)
        chore(daemon.tick, "probe", self._probe)
        chore(daemon.lease, "heartbeat", self._supervision.ask_vault)
        chore(_FITNESS, "fitness", self._fitness)
        chore(daemon.lease, "replicas", lambda actor: actor.note_replicas())
        chore(daemon.sweep, "nodes", self._supervision.remove_gone)
        chore(_REQUESTS, "requests", look_for_requests)
        chore(daemon.tick, "failures", self._failures)
        chore(_LOGIN, "login", lambda actor: actor.kv.session.look_at_login())
        if self._observers.receipts:
            chore(daemon.lease, "receipts", self._recorded)
        if every := self._observers.every:
            chore(every, "ping", self._ping)
        alarms.start()
        try:
            await anyio.sleep_forever()
        finally:
            alarms.stop()

    async def _chore(self, name: str, work: Callable[[Actor], Awaitable[None]], actor: Actor) -> None:
        """Run a chore regularly, one at a time per kind. A bug in it is logged, and the next run tries again."""
        if name in self._chores:
            return
        self._chores.add(name)
        try:
            await work(actor)
        except Exception as bug:  # noqa: BLE001 (what is done in passing must not end the daemon)
            logs.tell("chore.failed", "error", chore=name, exc_info=bug)
        finally:
            self._chores.discard(name)

    async def _probe(self, actor: Actor) -> None:
        if self._prober is None or self._prober.worker_pool is not actor.worker_pool:
            self._prober = Prober(actor.worker_pool, lambda: actor.settings.daemon.probe, self._lookout.probed)
        await self._prober.turn()

    async def _fitness(self, actor: Actor) -> None:
        """Look again whether Vault keeps what is written: each sweep, each reload, when heartbeats begin to vanish."""
        if (era := _era(actor)) == self._fit_in or actor.worker_pool.unread:
            return
        with suppress(Fault):  # the next look is soon
            unfit, fleet = await why_unfit(actor), self._lookout.fleet
            self._fit_in = era
            if unfit and unfit != fleet.unfit:
                logs.tell("vault.unfit", "error", said=unfit)
            fleet.unfit = unfit

    async def _failures(self, actor: Actor) -> None:
        with actor.worker_pool.guard.asking_vault("stops"):
            await self._failure_stops.look(actor)

    async def _recorded(self, actor: Actor) -> None:
        await self._observers.recorded()

    async def _ping(self, actor: Actor) -> None:
        await self._observers.ping(actor.fetch)

    async def _sweep(self, actor: Actor) -> None:
        await note_unmanaged(actor)
        for target in tuple(actor.settings.targets):
            await actor.clock.sleep(share(f"{actor.holder}/{target}") * 10)
            try:
                swept = await sweep(actor, target)
            except Fault as fault:  # the next sweep makes up for it
                logs.warn("sweep.missed", target=target, said=fault.reason)
                continue
            for name, reason in swept.skipped.items():
                logs.warn("sweep.missed", target=target, credential=name, said=reason)
            if swept.strays or swept.unclaimed:
                logs.say("target.swept", target=target, reaped=swept.reaped, unclaimed=len(swept.unclaimed))

    # --- signals ----------------------------------------------------------------------------------------------------

    async def _signals(self, group: TaskGroup, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for received in signals:
                if received is signal.SIGHUP:
                    group.start_soon(self._reload)  # in the background: a stop must not wait for it
                    continue
                logs.say("daemon.stopping", signal=signal.Signals(received).name)
                if self._budget:
                    self._budget.hurry()
                    continue
                self._budget = self._observers.budget = StopBudget(self._settings.daemon.drain.total_seconds())
                self._stopping(self._budget)
                self._stop.set()
                self._supervision.stopping()
                if self._actor is None:
                    self._start_up.cancel()

    async def _reload(self) -> list[str]:
        async with self._one_reload:
            self._supervision.reloading()
            faults = await self._read_again()
            self._lookout.fleet.refused = faults[0] if faults else ""
            self._supervision.reloaded(self._lookout.fleet.refused)
            return faults

    async def _watch(self) -> None:
        """Take changed settings as a SIGHUP would, while they say so."""
        watch, files = SettingsWatch(self._settings.digest), BoundedCalls("files of the settings", _AGAIN)
        while True:
            await anyio.sleep(_WATCH)
            if not self._settings.daemon.watch:
                continue
            with suppress(Transient):  # files on a drive that hangs
                found = await files.run(partial(digest, main_file(self._path)))
                if watch.tells(found, "" if self._lookout.fleet.refused else self._settings.digest):
                    await self._reload()

    async def _read_again(self) -> list[str]:
        """Bring new settings into force, or keep the old ones and return the faults in words."""
        settings = await read_settings_again(self._path)
        if isinstance(settings, list):
            return settings
        before, self._settings = self._settings, settings
        logs.say("settings.reloaded", credentials=len(settings.credentials), digest=settings.digest[:12])
        await _tell_exposed(settings)
        if self._actor:
            if postponed := postponed_keys(before, settings):
                logs.warn("settings.postponed", keys=postponed, said=_AT_START)
            await self._actor.reload(settings)
            self._fit_in = None
            self._actor.tasks.begin("unmanaged", partial(self._chore, "unmanaged", note_unmanaged, self._actor))
        return []

    async def _drain(self, actor: Actor) -> None:
        """Let reconciles end after their step (a kill loses nothing either), and tell waiting callers."""
        actor.worker_pool.stop()
        await self._wait_for(Part.STEPS, lambda: actor.worker_pool.idle)
        with anyio.move_on_after(_LAST_WORDS):
            await self._wait_for(Part.CALLERS, lambda: not self._audience.listeners)

    async def _wait_for(self, part: Part, over: Callable[[], bool]) -> None:
        budget = self._budget
        while budget and budget.begin(part) and not over():  # noqa: ASYNC110 (time, and a second signal, end it)
            await anyio.sleep(_LOOK)

    # --- verbs of the control socket --------------------------------------------------------------------------------

    def _verbs(self, actor: Actor) -> dict[str, Any]:
        async def ping(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
            missing = self._supervision.missing()
            digest = actor.settings.digest
            yield {"alive": not missing, "holder": actor.holder, "missing": missing, "digest": digest}

        async def look(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
            _, names, wrong = chosen(actor.settings, request)
            refused(names)
            yield {"error": wrong, "exit": 2} if wrong else {"looking": names}

        def select(settings: Settings, request: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
            return chosen(settings, request)[1:]

        def refused(names: Sequence[str]) -> None:
            actor.worker_pool.look_at(*names)
            if self._prober:
                self._prober.ask_soon(names)

        async def reload(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
            yield reload_verdict(await self._reload(), len(self._settings.credentials))

        hearing, looking = self._audience.hearing, shows(actor, actor.worker_pool, lambda: self._lookout.fleet.refused)
        mine = {"ping": ping, "look": look, "reload": reload}
        taken = queries.verbs(actor, select, refused)
        looking |= {verb: each for verb, each in taken.items() if verb not in queries.ACTS}
        acts = {"now": partial(now, actor, hearing), **verbs(actor, hearing)}
        acts |= {verb: each for verb, each in taken.items() if verb in queries.ACTS}
        if actor.settings.daemon.read_only:
            acts = dict.fromkeys(acts, _read_only)
        return {**acts, **mine, **looking}


async def _read_only(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """The answer to every verb that acts, in a read-only daemon."""
    yield {"error": READ_ONLY, "exit": 2}


def _era(actor: Actor) -> tuple[bool, float]:
    """Changes with each sweep, and when Vault begins or ceases to delete our heartbeats by itself."""
    return actor.kv.vanishing, actor.clock.monotonic() // actor.settings.daemon.sweep.total_seconds()


async def _tell_exposed(settings: Settings) -> None:
    with suppress(Transient):  # files on a drive that hangs
        for path, text in await BoundedCalls("files of the settings", _AGAIN).run(lambda: list(writable(settings))):
            logs.open_to_others(path, text)


async def read_settings_again(path: str | None) -> Settings | list[str]:
    """The settings as they are on disk, or the faults for which they are refused, in words. Raises nothing."""
    try:
        return await Threads("settings", 1).run(partial(load, path))  # a drive that hangs must not hold up a stop
    except SettingsError as error:
        for fault in error.faults:
            logs.warn("settings.refused", file=fault.file, line=fault.line, key=fault.key, reason=fault.text)
        return [str(fault) for fault in error.faults]
    except Exception as bug:  # noqa: BLE001 (whatever is in the file, the old settings stay in force)
        logs.tell("settings.refused", "error", file=path or "", exc_info=bug)
        return [f"a bug, the log has it: {type(bug).__name__}"]


def reload_verdict(faults: list[str], credentials: int) -> dict[str, Any]:
    """The answer to `rotate reload`."""
    if faults:
        said = "refused: the settings before stay in force, and the next start will fail until this is mended"
        return {"faults": faults, "said": said, "exit": Exit.SETTINGS}
    return {"said": f"reloaded: {counted(credentials, 'credential')}", "exit": Exit.DONE}
