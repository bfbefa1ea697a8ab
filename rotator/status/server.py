"""Owns a small HTTP/1.1 server: GET and HEAD, no bodies, few connections, short patience. What it says is the site's.

It is no door for the wide internet: it listens where settings say, on loopback unless they insist.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import h11
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from rotator.settings import Listen
from rotator.status.site import HEADERS, Answer

_LARGEST = 8 * 1024  # bytes of a request's head
_CONNECTIONS = 32
_REQUESTS = 100  # on one connection
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a request to arrive whole, for the next to begin, for an answer to be taken."""

    arrive: float = 5.0
    idle: float = 75.0  # a scraper that calls once a minute may keep its connection
    leave: float = 10.0


class ServerError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


class Server:
    """Serves until cancelled. `failed` is told of a bug in an answer; the caller learns only that there was one."""

    def __init__(
        self,
        listen: Listen,
        answer: Callable[[str], Answer],
        failed: Callable[[Exception], None],
        patience: Patience | None = None,
    ) -> None:
        self._listen = listen
        self._answer = answer
        self._failed = failed
        self._patience = patience or Patience()
        self._open = 0
        self._one = anyio.CapacityLimiter(1)

    async def serve(self, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen; says the port when it does. Raises ServerError."""
        listener = await self._listener()
        try:
            async with listener:
                port = 0 if self._listen.path else listener.extra(SocketAttribute.local_port)  # noqa: S610 (not Django's)
                task_status.started(port)
                await listener.serve(self._converse)
        finally:
            if self._listen.path:
                _remove(self._listen.path)

    async def _answered(self, path: str) -> Answer:
        """The site's answer, made by a worker: a page of thousands of rows must not keep the daemon's loop waiting."""
        try:
            return await anyio.to_thread.run_sync(self._answer, path, limiter=self._one)
        except Exception as bug:  # noqa: BLE001 (a bug in a page must not end the daemon)
            self._failed(bug)
            return Answer(500, "text/plain", b"a bug; the daemon's log has it\n")

    async def _listener(self) -> Any:
        try:
            if not self._listen.path:
                return await anyio.create_tcp_listener(local_host=self._listen.host, local_port=self._listen.port)
            before = os.umask(0o117)
            try:
                return await anyio.create_unix_listener(self._listen.path, mode=0o660)
            finally:
                os.umask(before)
        except OSError as fault:
            words = fault.strerror or "unusable"
            remedy = "give it another in [status] listen or jwks_listen"
            raise ServerError(f"status address {self._listen}: {words}; {remedy}") from None

    async def _converse(self, stream: SocketStream) -> None:
        async with stream:
            if self._open >= _CONNECTIONS:
                return  # whoever holds the others will lose patience before we do
            self._open += 1
            try:
                await _Connection(stream, self._answered, self._patience).serve()
            except (TimeoutError, *_GONE):
                return
            finally:
                self._open -= 1


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


class _Connection:
    """One caller: requests are answered in turn until either side has enough."""

    def __init__(
        self,
        stream: SocketStream,
        answer: Callable[[str], Awaitable[Answer]],
        patience: Patience,
    ) -> None:
        self._stream = stream
        self._answer = answer
        self._patience = patience
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST)

    async def serve(self) -> None:
        """Answer until the connection ends."""
        try:
            for left in range(_REQUESTS, 0, -1):
                wait = self._patience.arrive if left == _REQUESTS else self._patience.idle
                if not await self._exchange(wait, last=left == 1):
                    return
                self._wire.start_next_cycle()
        except h11.RemoteProtocolError as fault:
            if self._wire.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self._send(Answer(fault.error_status_hint, "text/plain", b"not a request\n"), last=True)

    async def _exchange(self, wait: float, *, last: bool) -> bool:
        """One request and its answer; False when there will be no other."""
        request = await self._request(wait)
        if request is None:
            return False
        sized = {name: value for name, value in request.headers if name in (b"content-length", b"transfer-encoding")}
        if sized and sized != {b"content-length": b"0"}:
            await self._send(Answer(413, "text/plain", b"no bodies\n"), last=True)
            return False
        bare = request.method == b"HEAD"
        if request.method not in (b"GET", b"HEAD"):
            await self._send(Answer(405, "text/plain", b"only GET and HEAD\n"), last=True, allow=True)
            return False
        answer = await self._answer(request.target.decode("ascii", "replace"))
        await self._send(answer, last=last, bare=bare)
        self._wire.next_event()  # the end of a request without body; without this look there is no next one
        return self._wire.our_state is h11.DONE and self._wire.their_state is h11.DONE

    async def _request(self, wait: float) -> h11.Request | None:
        """The next request; None when none begins in time, or the caller goes away."""
        if not self._wire.trailing_data[0]:
            with anyio.move_on_after(wait) as waited:
                if not await self._receive():
                    return None
            if waited.cancelled_caught:
                return None
        with anyio.fail_after(self._patience.arrive):
            return await self._head()

    async def _head(self) -> h11.Request | None:
        while True:
            event = self._wire.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA or not await self._receive():
                return None

    async def _receive(self) -> bool:
        try:
            chunk = await self._stream.receive(_LARGEST)
        except anyio.EndOfStream:
            chunk = b""
        self._wire.receive_data(chunk)
        return bool(chunk)

    async def _send(self, answer: Answer, *, last: bool, bare: bool = False, allow: bool = False) -> None:
        headers = [("Content-Type", answer.kind), ("Content-Length", str(len(answer.body))), *HEADERS]
        headers += [("Cache-Control", answer.cache)]
        headers += [("Connection", "close")] if last else []
        headers += [("Allow", "GET, HEAD")] if allow else []
        parts = [self._wire.send(h11.Response(status_code=answer.status, headers=headers)) or b""]
        if not bare:
            parts.append(self._wire.send(h11.Data(data=answer.body)) or b"")
        parts.append(self._wire.send(h11.EndOfMessage()) or b"")
        with anyio.fail_after(self._patience.leave):
            await self._stream.send(b"".join(parts))
