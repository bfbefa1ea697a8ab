"""Owns work without a daemon: `rotate now` and `rotate due` as their own short-lived actor, under the same leases."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from rotator import logs
from rotator.app import App, Observers, acting
from rotator.engine.visit import Happened, Seen
from rotator.now import BUSY, DONE, FAILED, HELD, Demand, follow, select
from rotator.operator import Order, obey
from rotator.rotation.record import Phase
from rotator.settings import Settings

_TICK = 0.1  # seconds
_LEAST = 1.0  # seconds for the work itself, when a login took nearly all that the caller gives
_NEAR = timedelta(minutes=1)  # a wait that ends this soon is worth staying for


@asynccontextmanager
async def working(
    settings: Settings, within: float, *, visits: bool = True, missed: Callable[[str], None] | None = None
) -> AsyncIterator[tuple[App, MemoryObjectReceiveStream[Happened]]]:
    """An actor at work, and what happens to it. Without `visits` it only does what it is told.

    `within`: seconds of patience with a Vault that gives no verdict at the login; `missed` hears why.
    """
    logs.configure("error", json=None)
    send, receive = anyio.create_memory_object_stream[Happened](1024)

    def hear(happened: Happened) -> None:
        with suppress(anyio.WouldBlock):
            send.send_nowait(happened)

    observers = Observers(settings)
    observers.add([hear])
    actor = acting(settings, observers, within=within, missed=missed)
    try:
        async with send, receive, actor as app, anyio.create_task_group() as group:
            if visits:
                group.start_soon(app.crew.run)
            group.start_soon(_tick, app)
            yield app, receive
            app.crew.stop()
            with anyio.move_on_after(settings.daemon.drain.total_seconds()):
                while not app.crew.idle:
                    await app.clock.sleep(_TICK)
            group.cancel_scope.cancel()
    finally:
        observers.close()


async def _tick(app: App) -> None:
    while True:
        await app.clock.sleep(_TICK)
        app.crew.tick()


async def rotate_alone(
    settings: Settings, wanted: Demand, missed: Callable[[str], None] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """`rotate now` without a daemon: progress lines, then the verdict. `missed` hears why Vault keeps us waiting."""
    names, unknown = select(settings, wanted)
    if unknown:
        yield {"error": unknown, "exit": 2}
        return
    end = anyio.current_time() + wanted.within
    async with working(settings, wanted.within, missed=missed) as (app, happenings):
        left = replace(wanted, within=max(end - anyio.current_time(), _LEAST))
        async with aclosing(follow(app, names, left, happenings)) as lines:
            async for line in lines:
                yield line


async def obey_alone(
    settings: Settings, wish: Order, missed: Callable[[str], None] | None = None
) -> AsyncGenerator[dict[str, Any]]:
    """An operator's verb without a daemon: progress lines, then the verdicts."""
    async with (
        working(settings, wish.wanted.within, visits=wish.verb == "undo", missed=missed) as (app, happenings),
        aclosing(obey(app, wish, happenings)) as lines,
    ):
        async for line in lines:
            yield line


async def one_pass(settings: Settings, within: float, missed: Callable[[str], None] | None = None) -> tuple[App, int]:
    """Look at every name, do what is due, stay while something comes within a minute. Returns the exit code, too.

    `within`: seconds after which the pass ends all the same.
    """
    end = anyio.current_time() + within
    async with working(settings, within, missed=missed) as (app, _):
        app.crew.look_at(*settings.credentials)
        while anyio.current_time() < end and not _rests(app):
            await app.clock.sleep(_TICK)
        return app, _code(app)


def _rests(app: App) -> bool:
    seen = app.crew.seen
    broken = app.crew.broken  # that mends itself too late for this pass
    names = (name for name in app.settings.credentials if name not in broken)
    return app.crew.idle and all(name in seen and _far(app, seen[name]) for name in names)


def _far(app: App, seen: Seen) -> bool:
    until = seen.wait.until
    return until is None or until - app.clock.now() > _NEAR


def _code(app: App) -> int:
    crew = app.crew
    records = [seen.record for seen in crew.seen.values() if seen.record]
    unseen = any(pause > _NEAR.total_seconds() for pause, _ in map(crew.pause, app.settings.credentials.values()))
    if crew.broken or unseen or any(record.phase is Phase.SETTLED and record.failure for record in records):
        return FAILED
    if any(record.phase in (Phase.HELD, Phase.AWAITING) for record in records):
        return HELD
    return DONE if _rests(app) else BUSY
