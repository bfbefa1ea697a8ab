"""A real proxy on loopback, in a thread of its own: CONNECT and forwarding, a login, and every way to fail."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_STREAMS = {
    "drip": (b"HTTP/1.1 200 OK\r\nX-Word: ", 0.05, b"x"),
    "endless": (b"HTTP/1.1 200 OK\r\n", 0.001, b"X-Word: again\r\n" * 8),
    "hints": (b"", 0.01, b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}
SQUID = b"<html>The requested URL could not be retrieved</html>"


@dataclass
class Asked:
    """One request that a proxy got: its method, what for, and its whole head."""

    method: str
    target: str
    head: str


@dataclass
class ForwardProxy:
    """`deed` is what it does to a request: "" serves it. A number answers so; "hang", "reset", "garbage", "silence"
    (hangs up), "drip" (a byte at a time), "endless" (headers), "hints" (1xx for ever),
    "chatty" (says something in a fresh tunnel); of what it forwards: "lose" (sends it on and answers 502),
    "cut" (resets in the midst of the answer), "late" (before its first byte)."""

    login: tuple[str, str] | None = None
    deed: str | Callable[[Asked], str] = ""
    tls: ssl.SSLContext | None = None
    hosts: dict[str, int] = field(default_factory=dict)  # what only this proxy knows: a name, or "host:port", and where
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    heard: bytes = b""  # what clients said, all of it that is not a tunnel's content
    _loop: asyncio.AbstractEventLoop | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def await_open(self, most: int) -> None:
        """Wait until no more than so many connections are open."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.open <= most, 20)

    def abort(self) -> None:
        """Reset every connection of a client, whatever travels on it."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: [each.transport.abort() for each in self._writers])

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._admit, "127.0.0.1", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                while await self._one(reader, writer):
                    pass
        finally:
            with self._changed:
                self.open -= 1
                self._changed.notify_all()
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether there may be another on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard += head
        method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ")
        asked = Asked(method, target, head.decode("latin-1"))
        self.asked.append(asked)
        deed = self.deed(asked) if callable(self.deed) else self.deed
        if not self._knows(asked):
            deed = "407"
        if deed.isdecimal():
            asks = {"407": b"Proxy-Authenticate", "401": b"WWW-Authenticate"}.get(
                deed
            )  # the latter as Tinyproxy 1.11.1
            extra = asks + b': Basic realm="proxy"\r\n' if asks else b""
            writer.write(_page(int(deed), extra))
            await writer.drain()
            return method != "CONNECT" and await self._discard(head, reader)
        if await self._misbehaved(deed, writer):
            return False
        return await (self._tunnel if method == "CONNECT" else self._forward)(asked, deed, head, reader, writer)

    def _knows(self, asked: Asked) -> bool:
        if self.login is None:
            return True
        wanted = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        return f"proxy-authorization: {wanted.lower()}" in asked.head.lower() and wanted in asked.head

    async def _discard(self, head: bytes, reader: asyncio.StreamReader) -> bool:
        self.heard += await reader.readexactly(_length(head))
        return True

    async def _misbehaved(self, deed: str, writer: asyncio.StreamWriter) -> bool:
        if deed == "hang":
            await self._end.wait()
        elif deed == "reset":
            writer.transport.abort()
        elif deed == "garbage":
            writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
            await writer.drain()
        elif deed in _STREAMS:
            first, pause, again = _STREAMS[deed]
            writer.write(first)
            while not self._end.is_set():
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(pause)
        return deed in ("hang", "reset", "garbage", "silence")

    async def _tunnel(
        self, asked: Asked, deed: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        host, _, port = asked.target.rpartition(":")
        up = await self._reached(host, int(port), writer)
        if up is None:
            return False
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + (b"well then" if deed == "chatty" else b""))
        there, back = up
        sent = asyncio.ensure_future(_copied(reader, back))
        try:
            await _copied(there, writer)
        finally:
            sent.cancel()
            back.transport.abort()
        return False

    async def _forward(
        self, asked: Asked, deed: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        url = urlsplit(asked.target)
        body = await reader.readexactly(_length(head))
        self.heard += body
        up = await self._reached(url.hostname or "", url.port or 80, writer)
        if up is None:
            return False
        there, back = up
        lines = [
            line for line in asked.head.split("\r\n")[1:-2] if not line.lower().startswith(("proxy-", "connection"))
        ]
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        back.write(
            "\r\n".join([f"{asked.method} {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode() + body
        )
        try:
            answer = await _whole(there)
        finally:
            back.transport.abort()
        if deed == "lose":
            writer.write(_page(502))
        elif deed == "cut":
            writer.write(answer[: max(1, len(answer) - 1)])
        elif deed != "late":
            writer.write(answer)
        await writer.drain()
        if deed in ("cut", "late"):
            writer.transport.abort()
        return deed in ("", "lose")

    async def _reached(
        self, host: str, port: int, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        known = self.hosts.get(f"{host}:{port}") or self.hosts.get(host)
        try:
            return await asyncio.open_connection("127.0.0.1" if known else host.strip("[]"), known or port)
        except OSError:
            writer.write(_page(502))
            await writer.drain()
            return None


async def _whole(reader: asyncio.StreamReader) -> bytes:
    """An answer, however its end is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"content-length" in head.lower():
        return head + await reader.readexactly(_length(head))
    if b"chunked" not in head.lower():
        return head + await reader.read(-1)
    while not head.endswith(b"\r\n0\r\n\r\n"):
        head += await reader.readuntil(b"\r\n")
    return head


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)


def _page(status: int, extra: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} Of the proxy\r\nContent-Type: text/html\r\nContent-Length: {len(SQUID)}\r\n".encode()
    return head + extra + b"\r\n" + SQUID


@contextmanager
def forward_proxy(
    login: tuple[str, str] | None = None, deed: str | Callable[[Asked], str] = "", tls: ssl.SSLContext | None = None
) -> Iterator[ForwardProxy]:
    """A running proxy. `login`: the name and password that it asks for."""
    proxy = ForwardProxy(login, deed, tls)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


class _Front(ForwardProxy):
    """Speaks TLS in front of a plain server."""

    behind = 0  # a port on loopback

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        there, back = await asyncio.open_connection("127.0.0.1", self.behind)
        sent = asyncio.ensure_future(_copied(reader, back))
        try:
            await _copied(there, writer)
        finally:
            sent.cancel()
            back.transport.abort()
        return False


@contextmanager
def tls_front(url: str, context: ssl.SSLContext) -> Iterator[int]:
    """A port on which TLS is spoken for a plain server."""
    front = _Front(tls=context)
    front.behind = urlsplit(url).port or 80
    front.start()
    try:
        yield front.port
    finally:
        front.stop()
