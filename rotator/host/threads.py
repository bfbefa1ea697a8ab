"""Threads and tasks for work that may hang: a name server, a network drive, a server that drips.

No part of the daemon waits for another part's threads. A call that hangs keeps its own thread and no other, and the
end of the process waits for none.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from rotator.ports import Transient

_IDLE = 10.0  # seconds for which a thread waits for the next call
T = TypeVar("T")
_NAMES = 4  # looked up at once for one target; it has one or two


class Threads:
    """At most `limit` calls that are waited for, and `most` threads including those given up that still hang."""

    def __init__(self, name: str, limit: int, most: int | None = None) -> None:
        """`most`: four times `limit` unless it is said."""
        self._name = name
        self._waited = anyio.Semaphore(limit, fast_acquire=True)
        self._alive = anyio.Semaphore(most or 4 * limit, fast_acquire=True)
        self._queue: SimpleQueue[_Call] = SimpleQueue()
        self._one_at_a_time = threading.Lock()
        self._idle = 0  # threads that wait for a call, without those that one was queued for

    async def run(self, call: Callable[[], T]) -> T:
        """The result of the call. If cancelled, the call goes on alone. Raises Transient when there is no thread."""
        async with self._waited:
            await self._alive.acquire()
            return await self._started(call)

    def start(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Begin a call that goes on even if its waiter is cancelled: `await asyncio.shield(...)`. Raises Transient."""
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
        with self._one_at_a_time:
            free = self._idle > 0
            self._idle -= free
        if free:
            self._queue.put(call)
        else:
            threading.Thread(target=self._work, args=(call,), name=self._name, daemon=True).start()

    def _work(self, call: _Call | None) -> None:
        while call:
            answer = call.made()
            with self._one_at_a_time:
                self._idle += 1  # before the answer: its receiver may call again at once
            answer()
            call = self._next()

    def _next(self) -> _Call | None:
        with suppress(Empty):
            return self._queue.get(timeout=_IDLE)
        with self._one_at_a_time:
            if self._idle:
                self._idle -= 1
                return None
        return self._queue.get()  # every waiting thread has a call by now, this one too


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
        """Make the call. Returns a function that delivers the answer."""
        try:
            return partial(self._answered, self._context.run(self._call), None)
        except BaseException as fault:  # noqa: BLE001 (it is the caller's)
            return partial(self._answered, None, fault)

    def _answered(self, result: Any, fault: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._end, result, fault)
        except RuntimeError:
            return  # the loop has ended, and with it every waiter

    def _end(self, result: Any, fault: BaseException | None) -> None:
        self._over()
        if self._answer.done():
            return
        if fault is None:
            self._answer.set_result(result)
        else:
            self._answer.set_exception(RuntimeError(*fault.args) if isinstance(fault, StopIteration) else fault)


class BoundedCalls:
    """Calls about one file or folder, on a drive that may hang: one at a time, given up after a time.

    While a call that was given up hangs, further calls fail at once, so that nothing piles up.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self._what, self._seconds = what, seconds
        self._threads = Threads(what, 1, 2)
        self._pending: asyncio.Future[Any] | None = None
        self._hangs = False  # the pending call was given up

    async def run(self, call: Callable[[], T]) -> T:
        """The result of the call. Raises Transient when it takes too long."""
        with anyio.move_on_after(self._seconds):
            while (before := self._pending) is not None and not before.done():
                if self._hangs:
                    break
                await asyncio.wait([before])
            else:
                mine = self._threads.start(call)
                self._pending, self._hangs = mine, False
                mine.add_done_callback(_heard)
                return await asyncio.shield(mine)
        self._hangs = True
        raise Transient(f"{self._what}: no answer within {self._seconds:g} s; is it on a drive that hangs?")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of the call, for code without an event loop. Raises TimeoutError."""
    results: list[T] = []
    faults: list[BaseException] = []

    def made() -> None:
        try:
            results.append(call())
        except BaseException as fault:  # noqa: BLE001 (it is the caller's)
            faults.append(fault)

    thread = threading.Thread(target=made, name="a bounded call", daemon=True)
    thread.start()
    thread.join(seconds)
    if faults:
        raise faults[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s; is it on a drive that hangs?")
    return results[0]


def _heard(answer: asyncio.Future[Any]) -> None:
    """Retrieve the exception: the waiter may be gone."""
    with suppress(asyncio.CancelledError):
        answer.exception()


class HostNames:
    """Host name look-ups of one target, in threads of their own: one per name, shared by all who wait for it.

    The event loop's own look-ups share one small pool: a few names whose servers do not answer (40 s each) would block
    the look-up of every other host.
    """

    def __init__(self) -> None:
        self._threads = Threads("look-ups of names", _NAMES, _NAMES)
        self._asked: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def find(self, host: str) -> tuple[str, ...]:
        """The host's addresses, the best first. Raises OSError (socket.gaierror), Transient when there is no thread.

        A cancelled caller leaves the look-up to those who still wait or ask later.
        """
        if is_ip_address(host):
            return (host,)
        answer = self._asked.get(host)
        if answer is None:
            answer = self._asked[host] = self._threads.start(partial(_addresses, host))
            answer.add_done_callback(partial(self._done, host))
        return await asyncio.shield(answer)

    def _done(self, host: str, answer: asyncio.Future[Any]) -> None:
        del self._asked[host]
        if not answer.cancelled():
            answer.exception()  # the waiter may be gone


def _addresses(host: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def is_ip_address(host: str) -> bool:
    """Whether a host is written as an address, which needs no look-up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class BackgroundTasks:
    """Tasks of an actor, which end with it and not with the caller. `failed` gets a task's name and exception."""

    failed: Callable[[str, BaseException], None]
    group: TaskGroup | None = None

    def begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a task. A bug in it is reported and ends nothing else. Raises RuntimeError before there is a group."""
        if self.group is None:
            raise RuntimeError("an actor is opened before it is asked for anything")
        self.group.start_soon(self._done, name, work)

    async def _done(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (Exception, BaseExceptionGroup) as bug:  # noqa: BLE001 (it must not end the others)
            self.failed(name, bug)


def first_exception(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception in a group of groups."""
    inner = group.exceptions[0]
    return first_exception(inner) if isinstance(inner, BaseExceptionGroup) else inner
