"""A place on the wire between a daemon and a server: it counts whole calls and can lose any of them.

What to lose, and what happens at that moment, is the judge's; a proxy only carries it out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException

from tests.kit.http_server import Heard, HttpServer, Reply, forwarded


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


class Proxy(HttpServer):
    """Listens on loopback until the block is left. `judge` may be replaced at any time.

    `hear` is told the body of every request that reaches the server. `denied`: the calls that were answered 403.
    """

    poll = 0.5  # there are many of them

    def __init__(
        self,
        edge: str,
        upstream: str,
        judge: Judge = lambda _: None,
        hear: Callable[[bytes], None] | None = None,
        denied: list[str] | None = None,
    ) -> None:
        self.edge, self.upstream, self.judge = edge, upstream, judge
        self.hear, self.denied = hear, [] if denied is None else denied
        super().__init__()

    def answer(self, heard: Heard) -> Reply | None:
        """Each request is read whole, judged, and then forwarded or lost."""
        loss = self.judge(Call(self.edge, heard.method, heard.target))
        if loss is None:
            return self._landed(heard)  # a server that hangs up: so do we
        if loss.status:
            return loss.status, b"{}", {"Content-Type": "application/json", "Retry-After": "1"}
        if loss.side is Side.AFTER:
            self._landed(heard)
        loss.then()
        if loss.side is Side.LATE:
            threading.Timer(loss.delay, self._landed, (heard,)).start()
        return None

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        """One call to the server behind. Raises OSError or HTTPException."""
        if self.hear:
            self.hear(heard.raw)
        answer = forwarded(self.upstream, heard)
        if answer[0] == 403:
            self.denied.append(f"{heard.method} {heard.target}")
        return answer

    def _landed(self, heard: Heard) -> Reply | None:
        with suppress(OSError, HTTPException):
            return self.forward(heard)
        return None
