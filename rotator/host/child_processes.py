"""Child processes: those that somebody here waits for, and those that others leave behind.

What a hook's command leaves behind becomes the child of process 1, which we are in a container.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class Children:
    """Of this process. Nobody else waits for a child of `own`."""

    own: set[int] = field(default_factory=set)
    _starting: int = 0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """While a child is started nobody knows yet that it is waited for."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1

    def ended(self, number: int) -> None:
        """A child of ours was waited for."""
        self.own.discard(number)
        self.reap()

    def reap(self) -> list[int]:
        """Take leave of all that have ended and that nobody waits for; returns them."""
        gone: list[int] = []
        with suppress(ChildProcessError):
            while not self._starting:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in self.own:  # the latter hides others: see `ended`
                    break
                os.waitpid(found.si_pid, os.WNOHANG)
                gone.append(found.si_pid)
        return gone

    async def reap_forever(self) -> None:
        """Whenever a child ends."""
        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            self.reap()
            async for _ in signals:
                self.reap()


children = Children()
