"""The bad server: honest until armed, then it does one behaviour to every request. It counts its callers."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.hostile.behaviours import Behaviour, Case, Over
from tests.hostile.wire import GONE, Asked, Upstream, read_request
from tests.kit.certificates import Authority


class Hostile:
    """One address in front of an honest `upstream`. `armed` False: it only passes on; so it does with what it `spares`,
    for call sites that come after others."""

    def __init__(self, behaviour: Behaviour, authority: Authority) -> None:
        self.upstream: Upstream | None = None
        self.url = ""
        self.armed = False
        self.spares: Callable[[Asked], bool] = lambda asked: False
        self.requests = 0
        self.open = 0
        self.tls = behaviour.shake is not None
        self.posing = behaviour.posing
        self._behaviour = behaviour
        self.authority = authority

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hostile]:
        """Listen on loopback until the block is left."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        scheme = "https" if self._behaviour.shake else "http"
        self.url = f"{scheme}://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, self._serve)
            yield self
            group.cancel_scope.cancel()

    async def _serve(self, stream: SocketStream) -> None:
        self.open += 1
        try:
            async with stream, anyio.create_task_group() as group:
                group.start_soon(self._watch, stream, group.cancel_scope)
                await self._talk(stream)
                group.cancel_scope.cancel()
        except* (Over, *GONE, anyio.IncompleteRead, anyio.DelimiterNotFound):
            pass  # that is how it ends
        finally:
            self.open -= 1

    async def _watch(self, stream: SocketStream, scope: anyio.CancelScope) -> None:
        """Whoever hangs up is noticed, even while we drip or sleep: the kernel is asked, nothing is read."""
        raw = stream.extra(SocketAttribute.raw_socket)
        poll = select.poll()
        poll.register(raw, select.POLLRDHUP)
        while not poll.poll(0):  # noqa: ASYNC110 (the kernel sets no event)
            await anyio.sleep(0.02)
        scope.cancel()

    async def _talk(self, stream: SocketStream) -> None:
        link = await self._behaviour.shake(stream, self.authority) if self._behaviour.shake else stream
        buffered = BufferedByteReceiveStream(link)
        assert self.upstream
        while True:
            asked = await read_request(buffered)
            self.requests += 1
            case = Case(link, asked, self.upstream)
            if self.armed and not self.spares(asked):
                await self._behaviour.deed(case)
            else:
                await case.say((await case.honest()).raw)
