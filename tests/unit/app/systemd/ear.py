"""The service manager's side of sd_notify for tests: a real datagram socket, and what was heard on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self


class Ear:
    """Listens on a path, or on an abstract socket when the name begins with `@`."""

    def __init__(self, name: Path | str) -> None:
        self.name = str(name)
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def listen(self, seconds: float = 0.0) -> list[str]:
        """Every line so far; waits for the next message when `seconds` are given."""
        self._socket.settimeout(seconds or 0.01)
        try:
            while True:
                self.heard += self._socket.recv(65536).decode().split("\n")
                self._socket.settimeout(0.01)
        except TimeoutError:
            return self.heard

    def until(self, true: Callable[[list[str]], object], seconds: float = 20.0) -> list[str]:
        """Listen until what was heard fulfils `true`. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not true(self.heard):
            if time.monotonic() > end:
                raise TimeoutError(f"heard only {self.heard[-20:]}")
            self.listen(0.2)
        return self.heard

    def forget(self) -> None:
        """Start anew."""
        self.listen()
        self.heard.clear()
