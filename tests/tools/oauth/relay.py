"""The HTTP relay before a server or a Vault: it loses answers, and kills whoever calls."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Protocol
from urllib.parse import urlsplit

from tests.kit.http_server import Heard, HttpServer, Reply, forwarded

Own = Callable[[Heard], Reply]


class Killed(Protocol):
    """A process that may be killed."""

    pid: int


class Gate:
    """Counts the calls of one process, and kills it when the call number `at` has taken effect; its answer is lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known = threading.Event()
        self._victim: Killed | None = None
        self.count, self.at, self.last = 0, 0, ""

    def arm(self, at: int) -> None:
        """For the next process. `at` = 0 only counts."""
        self._known.clear()
        self.count, self.at, self.last = 0, at, ""

    def names(self, victim: Killed) -> None:
        """Who calls from now on."""
        self._victim = victim
        self._known.set()

    def ends(self, what: str) -> bool:
        """Whether the caller was killed now, by its id."""
        with self._lock:
            self.count += 1
            if self.count != self.at or not self._known.wait(10) or self._victim is None:
                return False
            self.last = what
            with suppress(ProcessLookupError):
                os.kill(self._victim.pid, signal.SIGKILL)
            return True


class Relay(HttpServer):
    """Passes every call on to `upstream`. `own`: what is answered here, by the beginning of its path.

    `twist`: what becomes of an answer on its way; whoever sets it speaks in the server's name. `passed`: the paths of
    all calls, in their order.
    """

    def __init__(
        self,
        upstream: str = "",
        gate: Gate | None = None,
        own: dict[str, Own] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.upstream = upstream
        self.gate = gate
        self.own: dict[str, Own] = {} if own is None else own
        self.twist: Callable[[Heard, Reply], Reply] | None = None
        self.passed: list[str] = []
        self._losing: Callable[[Heard], bool] | None = None
        self.lost = threading.Event()
        super().__init__(tls)

    def lose(self, which: Callable[[Heard], bool]) -> None:
        """The answer to the next call of this sort is lost; the call itself is not. `lost` is set when it was."""
        self.lost.clear()
        self._losing = which

    def answer(self, heard: Heard) -> Reply | None:
        path = urlsplit(heard.target).path
        self.passed.append(path)
        own = next((told for begin, told in self.own.items() if path.startswith(begin)), None)
        try:
            told: Reply = own(heard) if own else forwarded(self.upstream, heard)
        except (OSError, HTTPException):
            return None
        told = self.twist(heard, told) if self.twist else told
        if self._losing and self._losing(heard):
            self._losing = None
            self.lost.set()
            return None
        return None if self.gate and self.gate.ends(f"{heard.method} {path}") else told
