"""Child processes: the ones that we started, and the ones that hooks leave behind.

In a container we are process 1, and whatever a hook's command leaves behind becomes our child.
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
    """The children of this process. `own`: those that some task waits for; they are not reaped here."""

    own: set[int] = field(default_factory=set)
    _starting: int = 0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Do not reap while a child is being started: it is not in `own` yet."""
        self._starting += 1
        try:
            yield
        finally:
            self._starting -= 1

    def ended(self, number: int) -> None:
        """A child of ours has ended and was waited for."""
        self.own.discard(number)
        self.reap()

    def reap(self) -> list[int]:
        """Reap all children that have ended and that no task waits for; return them."""
        gone: list[int] = []
        with suppress(ChildProcessError):
            while not self._starting:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in self.own:  # our own child hides later ones: `ended` reaps them
                    break
                os.waitpid(found.si_pid, os.WNOHANG)
                gone.append(found.si_pid)
        return gone

    async def reap_forever(self) -> None:
        """Reap whenever a child ends."""
        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            self.reap()
            async for _ in signals:
                self.reap()


children = Children()
