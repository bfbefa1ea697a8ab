"""Calls about one file or folder, on a drive that may hang: one at a time, in a thread, given up after a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio

from rotator.host.threads import Threads
from rotator.ports import Transient

T = TypeVar("T")


class BoundedCalls:
    """The calls about one thing. While one hangs that was given up, further ones fail at once: nothing piles up."""

    def __init__(self, what: str, seconds: float) -> None:
        self._what, self._seconds = what, seconds
        self._threads = Threads(what, 1, 2)
        self._pending: asyncio.Future[Any] | None = None
        self._hangs = False  # the pending one was given up

    async def run(self, call: Callable[[], T]) -> T:
        """What the call comes to. Raises Transient when that takes too long."""
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
    """The same where no event loop runs, or is to wait. Raises TimeoutError."""
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
    """Perhaps nobody waits for it any more."""
    with suppress(asyncio.CancelledError):
        answer.exception()
