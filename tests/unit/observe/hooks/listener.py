"""An address on loopback that hooks call in system tests: it answers as it is told, and keeps what came."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Listener:
    """Answers 204; the first calls get the statuses of `refusing`."""

    def __init__(self, *refusing: int) -> None:
        self.calls: list[Call] = []
        self._refusing = list(refusing)
        listener = self

        class Answer(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.calls.append(Call(self.command, self.path, headers, body))
                self.send_response(listener._refusing.pop(0) if listener._refusing else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = _answer  # noqa: N815 (the library's names)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
