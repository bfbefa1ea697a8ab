"""A server on loopback that tests play: one method answers every request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Reply = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]  # status, body (bytes, or what becomes JSON), headers


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    path: str  # below /v1/, with the query
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The JSON that was sent, None for none."""
        return json.loads(self.raw) if self.raw else None

    def carries(self, header: str) -> bool:
        return any(name.lower() == header.lower() for name in self.headers)


class HttpServer:
    """Serves from its making until `close`. `answer` is called by several threads at once; None cuts the connection."""

    def __init__(self) -> None:
        self._server = _Quiet(("127.0.0.1", 0), type("Talk", (_Talk,), {"asked": self}))
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, heard: Heard) -> Reply | None:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Talk(BaseHTTPRequestHandler):
    asked: HttpServer
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.asked.answer(Heard(self.command, self.path.removeprefix("/v1/"), dict(self.headers), raw))
        if said is None:
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

    do_GET = do_POST = do_PUT = do_LIST = do_DELETE = handle_any  # noqa: N815  # the base class's words

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
        return


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        return
