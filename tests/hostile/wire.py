"""The bytes between us and a server that means no good: requests taken apart, answers put together.

What is done to a request is behaviours.py's.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    head: bytes
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer; what it would take to send it wrongly is open to everybody."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def head(self, **more: str) -> bytes:
        """The status line and the headers, with the true length unless another is given; "" leaves one out."""
        lines = {**self.headers}
        if self.status != 204:
            lines["Content-Length"] = str(len(self.body))
        lines |= {name.replace("_", "-"): value for name, value in more.items()}
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"HTTP/1.1 {self.status} Word\r\n{text}\r\n".encode("latin-1")

    @property
    def raw(self) -> bytes:
        """As an honest server sends it."""
        return self.head() + (b"" if self.status == 204 else self.body)

    @property
    def document(self) -> Any:
        """The JSON in it; an object for an answer without any."""
        return json.loads(self.body) if self.body else {"data": {}}

    def saying(self, document: Any) -> Reply:
        """The same with another document."""
        return replace(self, status=200 if self.status == 204 else self.status, body=json.dumps(document).encode())


Upstream = Callable[[Asked], Awaitable[Reply]]


async def read_request(stream: BufferedByteReceiveStream) -> Asked:
    """The next request of a connection. Raises EndOfStream or IncompleteRead at its end."""
    head = await stream.receive_until(b"\r\n\r\n", 1 << 20)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await stream.receive_exactly(int(headers.get("content-length") or 0))
    method, path, _ = first.split(" ", 2)
    return Asked(method, path, head, body)


def forwarded_to(url: str) -> Upstream:
    """Asks an honest server on loopback."""
    host, _, port = url.removeprefix("http://").partition(":")

    async def ask(asked: Asked) -> Reply:
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(asked.head + b"\r\nConnection: close\r\n\r\n" + asked.body)
            whole = b""
            try:
                while True:
                    whole += await stream.receive()
            except GONE:
                head, _, body = whole.partition(b"\r\n\r\n")
        if not body and not head:
            raise anyio.EndOfStream  # the cell is over, and its sandbox with it
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.title(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        kept = {name: value for name, value in headers.items() if name not in ("Content-Length", "Connection")}
        return Reply(int(first.split(" ")[1]), body, kept)

    return ask


def reset(link: ByteStream) -> None:
    """End a connection with a TCP reset."""
    raw = link.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link._transport.abort()  # type: ignore[attr-defined]  # asyncio only; there is no public way
