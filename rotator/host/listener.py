"""The loop that accepts connections: a cap, back-off, and a fence around each conversation.

Nothing that a peer does, no bug in a conversation and no lack of descriptors ends it. When there are as many
connections as are allowed, the one that has been idle for longest is closed, or the oldest one if all are busy: a
new caller, a probe perhaps, is always served.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketStream, TaskGroup, UNIXSocketStream

from rotator.host.endpoint import Endpoint

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, TimeoutError, OSError)
_SHORTEST, _LONGEST = 0.005, 1.0  # seconds of back-off; a probe waits for the shortest once per caller before it
_TOLD_AGAIN = 60.0  # seconds between two words about the same strain


@dataclass(slots=True, eq=False)
class Connection:
    """One caller. `idle`: nothing was asked yet, or everything was answered; `since`: monotonic seconds."""

    stream: SocketStream
    idle: bool = True
    since: float = field(default_factory=time.monotonic)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def busy(self) -> None:
        """A request arrived whole."""
        self.idle, self.since = False, time.monotonic()

    def rest(self) -> None:
        """It was answered."""
        self.idle, self.since = True, time.monotonic()


Converse = Callable[[Connection], Awaitable[None]]


class Listener:
    """Serves one endpoint. `failed` is told of bugs in conversations, `strained` of what keeps us from accepting."""

    def __init__(
        self,
        endpoint: Endpoint,
        limit: int,
        failed: Callable[[BaseException], None],
        strained: Callable[[str], None],
    ) -> None:
        """`limit`: connections at once."""
        self._endpoint = endpoint
        self._limit = limit
        self._failed = failed
        self._strained = strained
        self._open: set[Connection] = set()
        self._pause = 0.0
        self._told = float("-inf")
        self._spare = _spare()

    async def serve(self, converse: Converse) -> None:
        """Accept until cancelled; then every conversation ends and the endpoint is closed."""
        try:
            async with anyio.create_task_group() as group:
                while True:
                    if raw := await self._accept():
                        await self._admit(raw, converse, group)
        finally:
            self._endpoint.close()
            self._release()

    async def _accept(self) -> socket.socket | None:
        """The next connection; nothing when there is none after all, or none could be had."""
        await _readable(self._endpoint.raw)  # without descriptors accept(2) fails also when nobody calls
        try:
            raw, _ = self._endpoint.raw.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as fault:  # most likely no descriptors or memory are left
            self._strain(fault)
            self._release() if self._spare >= 0 else self._spare_one(idle=True)
            await anyio.sleep(self._pause)
            return None
        self._pause = 0.0
        if self._spare < 0:
            self._spare = _spare()
        return raw

    def _strain(self, fault: OSError) -> None:
        self._pause = min(max(_SHORTEST, 2 * self._pause), _LONGEST)
        if (now := time.monotonic()) > self._told + _TOLD_AGAIN:
            self._told = now
            self._strained((fault.strerror or type(fault).__name__).lower())

    def _release(self) -> None:
        """Give the spare descriptor back, so that one more caller can be heard."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    async def _admit(self, raw: socket.socket, converse: Converse, group: TaskGroup) -> None:
        raw.setblocking(False)
        stream: SocketStream
        try:
            if raw.family == socket.AF_UNIX:
                stream = await UNIXSocketStream.from_socket(raw)
            else:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream = await SocketStream.from_socket(raw)
        except (OSError, ValueError):  # it was gone before it was here
            raw.close()
            return
        while len(self._open) >= self._limit:
            self._spare_one()
        connection = Connection(stream)
        self._open.add(connection)
        group.start_soon(self._hold, connection, converse)

    def _spare_one(self, *, idle: bool = False) -> None:
        """End the conversation that can be spared best; with `idle`, only one in which nothing is under way."""
        able = (each for each in self._open if each.idle or not idle)
        if keep := min(able, key=lambda each: (not each.idle, each.since), default=None):
            self._open.discard(keep)
            keep.scope.cancel()

    async def _hold(self, connection: Connection, converse: Converse) -> None:
        """One conversation, and whatever comes of it, up to its end."""
        try:
            with connection.scope:
                try:
                    await converse(connection)
                except _GONE:
                    pass  # whoever asked is gone
                except (Exception, BaseExceptionGroup, GeneratorExit, SystemExit) as bug:  # noqa: BLE001 (its own end)
                    self._failed(bug)
        finally:
            self._open.discard(connection)
            with anyio.CancelScope(shield=True), suppress(*_GONE):
                await connection.stream.aclose()


async def _readable(raw: socket.socket) -> None:
    """Until there is something to accept. anyio's own wait trips over a cancellation at the same moment."""
    loop, ready = asyncio.get_running_loop(), anyio.Event()
    loop.add_reader(raw, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(raw)


def _spare() -> int:
    """A descriptor kept for the day when there are no others."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
