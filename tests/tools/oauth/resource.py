"""A resource server on loopback: what an access token opens, a client's key set, a relay that can lose answers."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.tools.oauth.journey import OPENER

Introspect = Callable[[str], dict[str, Any]]  # RFC 7662


class Resource:
    """`GET /me` with a token, `GET /jwks` without, `POST /token` relayed. Leaving the block ends it."""

    def __init__(self) -> None:
        self.introspect: Introspect = lambda token: {}
        self.key_set: dict[str, Any] = {"keys": []}
        self.token_url = ""  # of the server that the relay stands before
        self.swallow = threading.Event()  # the next answer of the relay is lost
        self.swallowed = threading.Event()  # ... and was
        self._server = _Server(("127.0.0.1", 0), _requests_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def relayed(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes] | None:
        """The server's answer; None when it is to be lost."""
        request = urllib.request.Request(self.token_url, body, headers)
        try:
            with OPENER.open(request, timeout=60) as answer:
                told = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                told = error.code, error.read()
        if self.swallow.is_set():
            self.swallow.clear()
            self.swallowed.set()
            return None
        return told


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # five are the default: a burst of consumers then waits for seconds


def _requests_of(resource: Resource) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer leaves in one piece

        def do_GET(self) -> None:
            if self.path == "/jwks":
                self.say(200, resource.key_set)
                return
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            told = resource.introspect(token) if token else {}
            self.say(200, {"name": told.get("sub", "")}) if told.get("active") else self.say(401, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            told = resource.relayed(body, kept)
            if told is None:
                self.close_connection = True
                threading.Event().wait(30)  # as if the network had lost it
                return
            self.say(told[0], json.loads(told[1] or b"{}"))

        def say(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Answers
