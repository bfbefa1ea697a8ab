"""A resource server on loopback: what an access token opens, a client's key set, a relay that can lose answers."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.kit.http_server import Heard, HttpServer, Reply
from tests.tools.oauth.journey import fetch

JSON = {"Content-Type": "application/json"}
Introspect = Callable[[str], dict[str, Any]]  # RFC 7662


class Resource(HttpServer):
    """`GET /me` with a token, `GET /jwks` without, `POST /token` relayed. Leaving the block ends it."""

    def __init__(self) -> None:
        self.introspect: Introspect = lambda token: {}
        self.key_set: dict[str, Any] = {"keys": []}
        self.token_url = ""  # of the server that the relay stands before
        self.ours = ""  # where our key sets are served; passed on at /jwks/NAME
        self.stale = threading.Event()  # a set is passed on as it was before, as by a cache
        self._sets: dict[str, object] = {}
        self.swallow = threading.Event()  # the next answer of the relay is lost
        self.swallowed = threading.Event()  # ... and was
        super().__init__()

    def answer(self, heard: Heard) -> Reply | None:
        if heard.target.startswith("/jwks"):
            return 200, self.key_set if heard.target == "/jwks" else self.passed_on(heard.target), JSON
        if heard.method == "GET":
            token = heard.headers.get("Authorization", "").removeprefix("Bearer ")
            told = self.introspect(token) if token else {}
            return (200, {"name": told.get("sub", "")}, JSON) if told.get("active") else (401, {}, JSON)
        kept = {name: heard.headers[name] for name in ("Authorization", "Content-Type") if name in heard.headers}
        answer = self.relayed(heard.raw, kept)
        if answer is None:
            threading.Event().wait(30)  # as if the network had lost it
            return None
        return (*answer, JSON)

    def passed_on(self, path: str) -> object:
        """A key set of ours."""
        if path not in self._sets or not self.stale.is_set():
            self._sets[path] = fetch(urllib.request.Request(self.ours + path))[1]
        return self._sets[path]

    def relayed(self, body: bytes, headers: dict[str, str]) -> tuple[int, Any] | None:
        """The server's answer; None when it is to be lost."""
        told = fetch(urllib.request.Request(self.token_url, body, headers))
        if self.swallow.is_set():
            self.swallow.clear()
            self.swallowed.set()
            return None
        return told
