"""A status server on loopback for a test, and a client that says exactly what it is told to say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Any

import anyio

from rotator.observe.health import Fleet
from rotator.observe.metrics import Metrics
from rotator.observe.status import Patience, StatusResponse, StatusRoutes, StatusServer, Timeline
from rotator.settings import Listen

SHORT = Patience(arrive=0.3, idle=0.3, leave=0.5)


@dataclass
class Heard:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def site(looked: Fleet, timeline: Timeline | None = None) -> StatusRoutes:
    """A site over a fleet."""
    return StatusRoutes(looked, timeline or Timeline(), Metrics(looked, "1.2.3").scrape, "host-a", "1.2.3")


@asynccontextmanager
async def serving(
    answer: Callable[[str], StatusResponse | Awaitable[StatusResponse]],
    patience: Patience = SHORT,
    failed: Callable[[BaseException], None] = print,
    **options: Any,
) -> AsyncIterator[int]:
    """A server on a free port of loopback. What answers at once does so in a worker, as the daemon's site does."""

    async def respond(path: str) -> StatusResponse:
        found = answer(path) if iscoroutinefunction(answer) else await anyio.to_thread.run_sync(answer, path)
        return await found if isawaitable(found) else found

    async with anyio.create_task_group() as group:
        yield await group.start(StatusServer(Listen("127.0.0.1", 0), respond, failed, patience, **options).serve)
        group.cancel_scope.cancel()


async def say(port: int, raw: bytes, *, then_wait: bool = True) -> bytes:
    """Send bytes; everything that comes back until the server closes."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(raw)
        return await rest(stream) if then_wait else b""


async def rest(stream: anyio.abc.ByteStream) -> bytes:
    """Everything until the end."""
    heard = b""
    try:
        with anyio.fail_after(10):
            while True:
                heard += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return heard


async def get(port: int, path: str, method: str = "GET", host: str = "localhost") -> Heard:
    """One request on a connection of its own."""
    raw = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    return parsed(await say(port, raw))


def parsed(raw: bytes) -> Heard:
    """An answer taken apart."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Heard(int(first.split()[1]), headers, body)
