"""Commands without a daemon: each has a short-lived actor of its own, under the same leases."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from rotator.app.composition import Actor, acting, reading
from rotator.app.vault_fitness import refuse_unfit_for
from rotator.commands.operator_commands import OperatorCommand, obey
from rotator.commands.outcomes import failed_line
from rotator.commands.requests import give_up
from rotator.commands.rotate import DONE, RotateCommand, follow, heard, select
from rotator.commands.verify import ShownValue, ShowValues
from rotator.engine.probe import note_refusal
from rotator.engine.reconciler import Transition
from rotator.host.exit_codes import Exit, gravest
from rotator.host.shutdown import heed, patience
from rotator.host.threads import first_exception
from rotator.observe import logs
from rotator.observe.health import states
from rotator.observe.observers import Observers
from rotator.ports import Fault, Rejected
from rotator.rotation import events as ev
from rotator.rotation.credential_state import pass_exit
from rotator.rotation.record import Phase, PublishedValue
from rotator.settings import Settings

Refusals = Mapping[str, tuple[PublishedValue, Rejected]]

_TICK = 0.1  # seconds
_LEAST = 1.0  # seconds for the work itself, when a login took nearly all that the caller gives
_FOR_NOTES = 10.0  # seconds for a login of an actor that writes what `verify` found
_OVER = "its time is over"
_DONE = {"value.published", "predecessor.retired", "predecessor.left", "predecessor.unended", "predecessor.ended"}
_NEAR = timedelta(minutes=1)  # a wait that ends this soon is worth staying for


@asynccontextmanager
async def working(
    settings: Settings, within: float, *, visits: bool = True, missed: Callable[[str], None] | None = None
) -> AsyncIterator[tuple[Actor, MemoryObjectReceiveStream[Transition]]]:
    """An actor at work, and its transitions. Without `visits` it only handles requests.

    `within`: seconds to wait for a Vault without verdict at the login; `missed` gets the reason.
    """
    logs.configure("error", json=None)
    send, receive = anyio.create_memory_object_stream[Transition](1024)

    def hear(transition: Transition) -> None:
        with suppress(anyio.WouldBlock):
            send.send_nowait(transition)

    observers = Observers(settings)
    observers.add([hear])
    composed = acting(settings, observers, within=within, missed=missed)
    try:
        async with send, receive, composed as actor, anyio.create_task_group() as group:
            actor.passing = True
            actor.hooks_failed = observers.failed
            group.start_soon(_heed, actor)
            if visits:
                group.start_soon(actor.worker_pool.run)
            group.start_soon(_tick, actor)
            yield actor, receive
            actor.worker_pool.stop(_OVER)
            with anyio.move_on_after(patience(settings.daemon.drain.total_seconds())):
                while not actor.worker_pool.idle:
                    await actor.clock.sleep(_TICK)
            group.cancel_scope.cancel()
    finally:
        observers.close()


async def _heed(actor: Actor) -> None:
    """Bring the work to a safe point after a signal: a reconcile ends between two steps and releases its lease."""
    interruption = heed()
    if interruption is not None:
        await interruption.asked.wait()
        actor.worker_pool.stop(f"cut short by {interruption.signal}")


async def _tick(actor: Actor) -> None:
    while True:
        await actor.clock.sleep(_TICK)
        actor.worker_pool.tick()


async def rotate_alone(
    settings: Settings, wanted: RotateCommand, missed: Callable[[str], None] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """`rotate now` without a daemon: progress lines, then the verdict. `missed`: why Vault is waited for."""
    names, unknown = select(settings, wanted)
    if unknown:
        yield {"error": unknown, "exit": 2}
        return
    end, code = anyio.current_time() + wanted.within, DONE
    async with working(settings, wanted.within, missed=missed) as (actor, transitions):
        if not wanted.emergency:  # a leak does not wait for a better mount
            await refuse_unfit_for(actor, names)
        left = replace(wanted, within=max(end - anyio.current_time(), _LEAST))
        async with aclosing(follow(actor, names, left, transitions)) as lines:
            async for line in lines:
                code = line.get("exit", code)
                yield line
    if actor.hooks_failed:
        yield hooks_failed(actor, code)


async def obey_alone(
    settings: Settings, wish: OperatorCommand, missed: Callable[[str], None] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """An operator's verb without a daemon: progress lines, then the verdicts."""
    code = DONE
    async with (
        working(settings, wish.wanted.within, visits=wish.verb == "undo", missed=missed) as (actor, transitions),
        aclosing(obey(actor, wish, transitions)) as lines,
    ):
        async for line in lines:
            code = line.get("exit", code)
            yield line
    if actor.hooks_failed:
        yield hooks_failed(actor, code)


async def verify_alone(settings: Settings, names: Sequence[str], say: Callable[[str], None]) -> list[ShownValue]:
    """`rotate verify` without a daemon. A refusal goes into the record, as the probe of a daemon writes it there.

    `say`: gets what becomes of refusals, in sentences. An actor that may change things is composed for them alone.
    """
    logs.configure("error", json=None)
    async with reading(settings) as reader:
        first = ShowValues(reader)
        shown = await first.all(names)
    if not first.refusals or settings.daemon.read_only:
        return shown
    left = list(first.refusals)
    try:
        async with working(settings, _FOR_NOTES, visits=False, missed=partial(_missed, say)) as (actor, _):
            again = {each.credential: each for each in await noted(actor, first.refusals, say)}
            shown, left = [again.get(each.credential, each) for each in shown], []
        if actor.hooks_failed:
            say(str(hooks_failed(actor, DONE)["said"]))
    except* Fault as faults:
        reason = str(first_exception(faults))
        say(_unnoted(left, reason) if left else reason)
    return shown


async def noted(actor: Actor, refused: Refusals, say: Callable[[str], None]) -> list[ShownValue]:
    """Write to the records which refusals count: final ones, and those repeated after the target's time to settle.

    Returns what the second look showed.
    """
    known, shows = actor.settings.credentials, ShowValues(actor)
    shown: list[ShownValue] = []
    if doubted := [name for name, (_, verdict) in refused.items() if not verdict.final]:
        settle = max(known[name].limits.settle for name in doubted)
        say(f"refused: {', '.join(doubted)}; asked once more in {settle.total_seconds():g} s")
        end = actor.clock.monotonic() + settle.total_seconds()
        while actor.clock.monotonic() < end and not actor.worker_pool.stopping:
            await actor.clock.sleep(_TICK)
        if actor.worker_pool.stopping:
            say(_unnoted(doubted, actor.worker_pool.stopping))
        else:
            shown = await shows.all(doubted)
    for name, (current, verdict) in refused.items():
        value, _ = shows.refusals.get(name, (None, None))
        if not verdict.final and (value is None or value.token.id != current.token.id):
            continue
        try:
            dependencies = actor.dependencies(known[name])
            if (await note_refusal(actor.worker_pool, known[name], dependencies, current, verdict)).refused_at:
                say(f"{name}: written to its record, for `rotate status` and the next `rotate due`")
        except Fault as fault:
            say(_unnoted([name], fault.reason))
    return shown


def _missed(say: Callable[[str], None], reason: str) -> None:
    say(f"waiting for Vault: {reason}")


def _unnoted(names: Iterable[str], reason: str) -> str:
    return f"not written to the record of {', '.join(names)}, so `rotate status` does not know of it: {reason}"


def hooks_failed(actor: Actor, code: int) -> dict[str, Any]:
    """The verdict for hooks that failed after the work was done."""
    return failed_line(code, sorted(actor.hooks_failed))


async def one_pass(settings: Settings, within: float, missed: Callable[[str], None] | None = None) -> SinglePass:
    """Reconcile every credential, do what is due, once each; stay while something comes due within a minute.

    `within`: seconds after which the pass ends all the same.
    """
    end = anyio.current_time() + within
    async with working(settings, within, missed=missed) as (actor, transitions):
        await refuse_unfit_for(actor, settings.credentials)
        made = SinglePass(actor)
        with suppress(Fault):
            await give_up(actor)
        actor.worker_pool.look_at(*settings.credentials)
        while anyio.current_time() < end and not made.rests() and not actor.worker_pool.stopping:
            await actor.clock.sleep(_TICK)
            made.hear(transitions)
        rests = made.rests()
        made.code = pass_exit(states(actor.worker_pool, actor.clock.now()), rests=rests)
        made.cut = actor.worker_pool.stopping or ("" if rests else _OVER)
    if actor.hooks_failed:
        made.code = gravest([made.code, Exit.HOOK_FAILED])
    return made


@dataclass(slots=True)
class SinglePass:
    """The state of one pass. `begun`: credentials whose rotation began in it; `told`: the events of each credential."""

    actor: Actor
    begun: set[str] = field(default_factory=set)
    told: dict[str, list[str]] = field(default_factory=dict)
    code: int = DONE
    cut: str = ""  # why it ended before its end

    def hear(self, transitions: MemoryObjectReceiveStream[Transition]) -> None:
        """Record a transition. A credential that was rotated is left alone until the next pass."""
        for transition in heard(transitions):
            name = transition.credential.name
            self.told.setdefault(name, []).append(transition.told.name)
            if isinstance(transition.event, ev.Requested):
                self.begun.add(name)
        for name in self.begun:
            if self._settled(name):
                self.actor.worker_pool.timers.drop(name)

    @property
    def done(self) -> list[str]:
        """Credentials whose value or predecessor has changed."""
        return sorted(name for name, told in self.told.items() if _DONE & set(told))

    def said(self) -> str:
        """A line about what was done, what was not begun, and who continues a pass that was cut short."""
        failed = sorted(self.told.keys() - set(self.done))
        missed = sorted(self.actor.settings.credentials.keys() - self.actor.worker_pool.seen.keys())
        parts = [f"done: {', '.join(self.done)}"] if self.done else []
        parts += [f"tried in vain, or not at an end: {', '.join(failed)}"] if failed else []
        if self.cut:
            skipped = f", not looked at: {', '.join(missed)}" if missed else ""
            parts += [f"{self.cut}{skipped}; a daemon or the next `rotate due` goes on"]
        parts += [str(hooks_failed(self.actor, DONE)["said"])] if self.actor.hooks_failed else []
        return "; ".join(parts) or "nothing was due"

    def rests(self) -> bool:
        """Whether nothing is left to do in this pass."""
        seen = self.actor.worker_pool.seen
        broken = self.actor.worker_pool.broken  # that mends itself too late for this pass
        names = [name for name in self.actor.settings.credentials if name not in broken]
        return self.actor.worker_pool.idle and all(
            name in seen and (self._settled(name) or self._far(name)) for name in names
        )

    def _settled(self, name: str) -> bool:
        """Whether its turn in this pass is over, however soon it is due again."""
        seen = self.actor.worker_pool.seen.get(name)
        at_rest = seen is not None and seen.record is not None and seen.record.phase is Phase.SETTLED
        return name in self.begun and at_rest

    def _far(self, name: str) -> bool:
        until = self.actor.worker_pool.seen[name].wait.until
        return until is None or until - self.actor.clock.now() > _NEAR
