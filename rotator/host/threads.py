"""Threads for calls that may hang: a name server, a network drive, a server that drips.

No part of the daemon waits for the others' threads, a call that hangs keeps its own thread and nobody else's, and the
end of the process waits for none of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import anyio

from rotator.ports import Transient

_IDLE = 10.0  # seconds for which a thread waits for the next call

T = TypeVar("T")


class Threads:
    """At most `limit` calls that somebody waits for, and `most` threads with those that were given up and hang on."""

    def __init__(self, name: str, limit: int, most: int | None = None) -> None:
        """`most`: four times `limit` unless it is said."""
        self._name = name
        self._waited = anyio.Semaphore(limit)
        self._alive = anyio.Semaphore(most or 4 * limit)
        self._queue: deque[_Call] = deque()
        self._news = threading.Condition()
        self._idle = 0

    async def run(self, call: Callable[[], T]) -> T:
        """What the call comes to. Who is cancelled leaves it to itself. Raises Transient when there is no thread."""
        async with self._waited:
            await self._alive.acquire()
            return await self._started(call)

    def start(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Begin a call that is answered whoever waits for it: `await asyncio.shield(...)`. Raises Transient."""
        try:
            self._alive.acquire_nowait()
        except anyio.WouldBlock:
            raise Transient(f"{self._name}: everything that was asked before hangs still") from None
        return self._started(call)

    def _started(self, call: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        try:
            self._begin(_Call(call, loop, answer, self._alive.release))
        except RuntimeError:
            self._alive.release()
            raise Transient("no thread can be started: this host's limit is reached (TasksMax=, ulimit -u)") from None
        return answer

    def _begin(self, call: _Call) -> None:
        with self._news:
            if self._idle > len(self._queue):
                self._queue.append(call)
                self._news.notify()
                return
        threading.Thread(target=self._work, args=(call,), name=self._name, daemon=True).start()

    def _work(self, call: _Call | None) -> None:
        while call:
            answer = call.made()
            with self._news:
                self._idle += 1  # before the answer: whoever hears it may ask again
            answer()
            call = self._next()

    def _next(self) -> _Call | None:
        with self._news:
            if not self._queue:
                self._news.wait(_IDLE)
            self._idle -= 1
            return self._queue.popleft() if self._queue else None


class _Call:
    """One call, made by a thread and answered in the loop."""

    def __init__(
        self,
        call: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[Any],
        over: Callable[[], None],
    ) -> None:
        self._call = call
        self._loop = loop
        self._answer = answer
        self._over = over
        self._context = copy_context()

    def made(self) -> Callable[[], None]:
        """Make it. Returns how its answer is given."""
        try:
            return partial(self._answered, self._context.run(self._call), None)
        except BaseException as fault:  # noqa: BLE001 (it is the caller's)
            return partial(self._answered, None, fault)

    def _answered(self, result: Any, fault: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._end, result, fault)
        except RuntimeError:
            return  # the loop is gone, and everybody with it

    def _end(self, result: Any, fault: BaseException | None) -> None:
        self._over()
        if self._answer.done():
            return
        if fault is None:
            self._answer.set_result(result)
        else:
            self._answer.set_exception(RuntimeError(*fault.args) if isinstance(fault, StopIteration) else fault)
