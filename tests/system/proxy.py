"""A place on the wire between a daemon and a server: it counts whole calls and can lose any of them.

What to lose, and what happens at that moment, is the judge's; a proxy only carries it out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE = 15.0  # seconds for the server behind
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, slots=True)
class Call:
    """One whole request, as it reached the proxy and nothing behind it."""

    edge: str
    method: str
    path: str


class Side(StrEnum):
    """On which side of the call's effect it is lost."""

    BEFORE = "before"
    AFTER = "after"
    LATE = "late"  # the client is left alone first, and the request lands `delay` seconds afterwards


@dataclass(frozen=True, slots=True)
class Loss:
    """A call to lose: `then` runs at that moment, before the client notices. `status`: refuse it instead."""

    side: Side = Side.BEFORE
    then: Callable[[], None] = lambda: None
    delay: float = 0.0
    status: int = 0


Judge = Callable[[Call], Loss | None]


class Proxy:
    """Listens on loopback for as long as the block lasts. `judge` may be replaced at any time."""

    def __init__(self, edge: str, upstream: str, judge: Judge = lambda _: None) -> None:
        self.edge = edge
        self.judge = judge
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.5,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        """One call to the server behind, on a connection of its own. Raises OSError or HTTPException."""
        connection = HTTPConnection(*self.upstream, timeout=PATIENCE)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in mid-sentence is what this is for."""


class Exchange(BaseHTTPRequestHandler):
    """One client connection: each request is read whole, judged, and then forwarded or lost."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server.proxy
        loss = proxy.judge(Call(proxy.edge, self.command, self.path))
        if loss is None:
            self._relay(body)
        elif loss.status:
            self._answer(loss.status, {"Content-Type": "application/json", "Retry-After": "1"}, b"{}")
        else:
            self._lose(loss, body)

    def _relay(self, body: bytes) -> None:
        try:
            answer, content = self._ask(body)
        except (OSError, HTTPException):
            self.close_connection = True  # the server hung up, and so do we
            return
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        self._answer(answer.status, kept, content)

    def _lose(self, loss: Loss, body: bytes) -> None:
        self.close_connection = True
        if loss.side is Side.AFTER:
            with suppress(OSError, HTTPException):
                self._ask(body)
        loss.then()
        if loss.side is Side.LATE:
            threading.Timer(loss.delay, self._land, (body,)).start()

    def _land(self, body: bytes) -> None:
        with suppress(OSError, HTTPException):
            self._ask(body)

    def _ask(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        return self.server.proxy.forward(self.command, self.path, headers, body)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is served alike; the standard library asks for it by its name."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)
