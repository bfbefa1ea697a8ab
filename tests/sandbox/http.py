"""A small HTTP/1.1 server on loopback that serves one site and performs injected faults on the wire.

What is answered is left to the site; which calls are struck to `faults`.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSListener

from tests.sandbox.calls import CallFeed
from tests.sandbox.faults import FaultPanel, Kind, Rule, Strike, When
from tests.sandbox.messages import Request, Response, Site
from tests.sandbox.panel import PREFIX, Panel

_LARGEST_BODY = 4 * 1024 * 1024
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError)


class Server:
    """Serves a site. `faults` and `calls` are also reachable over HTTP, under `/_sandbox/`."""

    def __init__(self, site: Site, seed: int = 0) -> None:
        """`seed` decides the even-odds faults."""
        self.server = site
        self.faults = FaultPanel(seed)
        self.calls = CallFeed()
        self.panel = Panel(self.faults, self.calls)

    @asynccontextmanager
    async def running(self, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Listen on 127.0.0.1 (port 0: any free one); yields the URL. Leaving closes every connection.

        Raises OSError when the port is taken.
        """
        inner = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
        url = f"http{'s' if tls else ''}://127.0.0.1:{inner.extra(SocketAttribute.local_port)}"
        listener = TLSListener(inner, tls, standard_compatible=False) if tls else inner
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, self._serve)
            yield url
            group.cancel_scope.cancel()

    async def _serve(self, stream: ByteStream) -> None:
        async with stream:
            await Connection(self, stream).serve()


class Connection:
    """One client connection: requests are read and answered in turn until either side closes."""

    def __init__(self, server: Server, stream: ByteStream) -> None:
        """Takes the stream over; closing it is left to the caller."""
        self._server = server
        self._stream = stream
        self._wire = h11.Connection(h11.SERVER)
        self._bodiless = False

    async def serve(self) -> None:
        """Answer until the connection ends."""
        try:
            while (request := await self._read()) is not None and await self._exchange(request):
                if self._wire.our_state is not h11.DONE or self._wire.their_state is not h11.DONE:
                    return
                self._wire.start_next_cycle()
        except h11.RemoteProtocolError as fault:
            await self._complain(fault.error_status_hint)
        except _GONE:
            return

    async def _read(self) -> Request | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        self._bodiless = head.method == b"HEAD"
        if self._wire.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > _LARGEST_BODY:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        path, _, query = head.target.decode("ascii").partition("?")
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        shown = self._stream.extra(TLSAttribute.peer_certificate_binary, None) or b""
        return Request(head.method.decode("ascii"), path, query, headers, bytes(body), shown)

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._receive())
        return event

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except (anyio.EndOfStream, *_GONE):
            return b""

    async def _send(self, *events: h11.Event) -> None:
        parts = [self._wire.send(event) or b"" for event in events]
        await self._stream.send(b"".join(parts))

    async def _complain(self, status: int) -> None:
        if self._wire.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [("Content-Length", "0"), ("Connection", "close")]
        try:
            await self._send(h11.Response(status_code=status, headers=headers), h11.EndOfMessage())
        except _GONE:
            return

    async def _exchange(self, request: Request) -> bool:
        """Answer one request; False when the connection must not be used again."""
        if request.path.startswith(PREFIX):
            await self._reply(self._server.panel.answer(request))
            return True
        strike = self._server.faults.strike(request.method, request.target)
        if strike is None:
            response = self._server.server.answer(request)
            self._note(request, response, effect=True)
            await self._reply(response)
            return True
        return await self._struck(request, strike)

    async def _struck(self, request: Request, strike: Strike) -> bool:
        rule, early = strike.armed.rule, strike.when is When.BEFORE
        spoils = rule.kind not in (Kind.HOLD, Kind.SLOW)
        here = await self._await(rule, lambda: anyio.sleep(rule.delay)) if rule.delay else True
        if here and early and rule.kind is Kind.HOLD:
            here = await self._hold(strike)
        if not here:
            self._note(request, None, effect=False, rule=rule)
            return False
        if early and spoils:
            return await self._spoil(request, rule, None)
        response = self._server.server.answer(request)
        if spoils:
            return await self._spoil(request, rule, response)
        if not early and rule.kind is Kind.HOLD:
            here = await self._hold(strike)
        self._note(request, response if here else None, effect=True, rule=rule, caller=response.caller)
        await self._reply(response)
        return True

    async def _spoil(self, request: Request, rule: Rule, response: Response | None) -> bool:
        """Answer wrongly or not at all; `response` is the true answer if the effect has taken place."""
        effect, caller = response is not None, response.caller if response else ""
        if rule.kind is Kind.STATUS:
            wrong = self._server.server.stand_in(request, rule.status, rule.retry_after)
            self._note(request, wrong, effect=effect, rule=rule, caller=caller)
            await self._reply(wrong)
            return True
        self._note(request, None, effect=effect, rule=rule, caller=caller)
        if rule.kind is Kind.TRUNCATE and response is not None:
            await self._reply(response, missing=max(1, len(response.body) // 2))
        elif rule.kind is Kind.RESET:
            self._reset()
        return False

    async def _hold(self, strike: Strike) -> bool:
        """Wait for the release; False when the client left first."""
        strike.armed.reached.set()
        return await self._await(strike.armed.rule, strike.armed.released.wait)

    async def _await(self, rule: Rule, operation: Callable[[], Awaitable[object]]) -> bool:
        """Wait for something; whether the client stayed, as far as the rule cares."""
        if rule.lands:
            await operation()
            return True
        left = False

        async def watch() -> None:
            nonlocal left
            chunk = await self._receive()
            self._wire.receive_data(chunk)
            if not chunk:
                left = True
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await operation()
            group.cancel_scope.cancel()
        return not left

    async def _reply(self, response: Response, missing: int = 0) -> None:
        """Send an answer; with `missing`, declare it whole and keep that many bytes back."""
        body = response.body or (b" " * missing)
        headers = [*response.headers]
        if response.status not in (204, 304):
            headers.append(("Content-Length", str(len(body))))
        head = h11.Response(status_code=response.status, headers=headers)
        if self._bodiless:
            await self._send(head, h11.EndOfMessage())
        elif missing:
            await self._send(head, h11.Data(data=body[: len(body) - missing]))
        else:
            await self._send(head, h11.Data(data=body), h11.EndOfMessage())

    def _reset(self) -> None:
        """Close with a TCP reset: linger 0, and no orderly shutdown before it."""
        raw = self._stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The public aclose() sends a FIN first, which clients report as a plain close.
        self._stream._transport.abort()  # type: ignore[attr-defined]  # asyncio backend only; no public way to abort

    def _note(
        self, request: Request, response: Response | None, *, effect: bool, rule: Rule | None = None, caller: str = ""
    ) -> None:
        self._server.calls.record(
            request.method,
            request.target,
            status=response.status if response else None,
            caller=caller or (response.caller if response else ""),
            effect=effect,
            fault=rule.kind if rule else None,
        )
