"""Owns the sockets below httpx: that one is closed whose TLS handshake is given up. What is sent is left to http.py.

httpcore 1.0.9 closes it after a failure, but not after a cancellation, and a deadline is one: each handshake that a
target lets stall would leave a socket open for good (measured: one file per call).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any, cast

import anyio
import httpcore


class _Backend(httpcore.AnyIOBackend):
    """Where httpcore gets its sockets from."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream: Any = _Stream(await super().connect_tcp(host, port, timeout, local_address, socket_options))
        return cast(httpcore.AsyncNetworkStream, stream)


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
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise


def closing(transport: Any) -> Any:
    """httpx's own transport, on these sockets: it has no parameter for them."""
    transport._pool._network_backend = _Backend()
    return transport
