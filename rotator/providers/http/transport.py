"""The sockets below httpx: that one is closed whose TLS handshake is given up. What is sent is left to client.py.

httpcore 1.0.9 closes it after a failure, but not after a cancellation, and a deadline is one: each handshake that a
target lets stall would leave a socket open for good (measured: one file per call).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import anyio
import httpcore

from rotator.host.threads import HostNames

_HEAD_START = 0.25  # seconds that an address has before the next one is tried as well (RFC 8305)


class Backend(httpcore.AnyIOBackend):
    """Where httpcore gets its sockets from, for one target: its names are looked up in its own threads."""

    def __init__(self) -> None:
        self._names = HostNames()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                addresses = await self._names.find(host)
                connect = partial(super().connect_tcp, local_address=local_address, socket_options=socket_options)
                stream: Any = _Stream(await _first(addresses, lambda address: connect(address, port)))
        except TimeoutError as late:
            raise httpcore.ConnectTimeout(str(late)) from late
        except OSError as fault:
            raise httpcore.ConnectError(str(fault)) from fault
        return cast(httpcore.AsyncNetworkStream, stream)


async def _first(
    addresses: Sequence[str], connect: Callable[[str], Awaitable[httpcore.AsyncNetworkStream]]
) -> httpcore.AsyncNetworkStream:
    """The first address that answers; each next one gets its try when the one before fails, or takes its time."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    streams: list[httpcore.AsyncNetworkStream] = []
    faults: list[Exception] = []

    async def attempt(address: str, failed: anyio.Event) -> None:
        try:
            stream = await connect(address)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
            faults.append(fault)
            failed.set()
            return
        streams.append(stream)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for address in addresses:
            failed = anyio.Event()
            group.start_soon(attempt, address, failed)
            with anyio.move_on_after(_HEAD_START):
                await failed.wait()
    if not streams:
        raise faults[0] if faults else OSError("the name has no address")
    for superfluous in streams[1:]:
        await superfluous.aclose()
    return streams[0]


class _Stream:
    """A stream of httpcore's, which does everything but the handshake by itself."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        try:
            inner: Any = _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
            return cast(httpcore.AsyncNetworkStream, inner)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise


def closing(transport: Any, backend: Backend | None = None) -> Any:
    """httpx's own transport, on these sockets: it has no parameter for them."""
    transport._pool._network_backend = backend or Backend()
    return transport
