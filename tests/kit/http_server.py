"""The server on loopback that tests play: one method answers every request, or passes it on to a real server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Reply = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]  # status, body (bytes, or what becomes JSON), headers
PATIENCE = 15.0  # seconds for a server behind
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    target: str  # with the query
    headers: Mapping[str, str]
    raw: bytes

    @property
    def path(self) -> str:
        """Below /v1/, where Vault is asked."""
        return self.target.removeprefix("/v1/")

    @property
    def body(self) -> Any:
        """The JSON that was sent, None for none."""
        return json.loads(self.raw) if self.raw else None

    def carries(self, header: str) -> bool:
        return any(name.lower() == header.lower() for name in self.headers)


class HttpServer:
    """Serves from its making until `close`. `answer` is called by several threads at once; None cuts the connection."""

    poll = 0.02  # seconds between two looks whether it is over

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Quiet(("127.0.0.1", 0), type("Talk", (_Talk,), {"asked": self}))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.address = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(self.poll,), daemon=True).start()

    @property
    def url(self) -> str:
        return self.address

    def answer(self, heard: Heard) -> Reply | None:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Listener(HttpServer):
    """Answers 204; the first calls get the statuses of `refusing`. `calls`: what came, names of headers in small."""

    def __init__(self, *refusing: int) -> None:
        self.calls: list[Heard] = []
        self._refusing = list(refusing)
        super().__init__()

    def answer(self, heard: Heard) -> Reply:
        small = {name.lower(): value for name, value in heard.headers.items()}
        self.calls.append(replace(heard, headers=small))
        return self._refusing.pop(0) if self._refusing else 204, b""


def forwarded(upstream: str, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
    """What the server behind answers, on a connection of its own. Raises OSError or HTTPException."""
    link = HTTPConnection(urlsplit(upstream).netloc, timeout=PATIENCE)
    try:
        link.request(heard.method, heard.target, heard.raw or None, _without_hops(heard.headers.items()))
        found = link.getresponse()
        return found.status, found.read(), _without_hops(found.getheaders())
    finally:
        link.close()


def _without_hops(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _HOP}


class _Talk(BaseHTTPRequestHandler):
    """One connection."""

    asked: HttpServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.asked.answer(Heard(self.command, self.path, dict(self.headers), raw))
        if said is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, body, headers = (*said, {})[:3]
        payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is served alike; the standard library asks for it by its name."""
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        return


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # five are the default: a burst of callers then waits for seconds

    def handle_error(self, *_: object) -> None:
        """Who was killed in mid-sentence is what this is for."""
