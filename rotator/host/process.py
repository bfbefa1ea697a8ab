"""This process (standard streams, memory that no other process can read, an end within a time) and its children.

In a container we are process 1, and whatever a hook's command leaves behind becomes our child.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_SET_DUMPABLE, _GET_DUMPABLE = 4, 3  # prctl(2)
_FILTER = Path("/proc/self/coredump_filter")


def open_standard_streams() -> None:
    """Open the null device in place of closed standard streams: otherwise a socket would get their number, and log
    lines would go into it."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            stream: IO[str] = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 (for good)
            setattr(sys, name, stream)


def end_within(seconds: float, last: Callable[[], int]) -> None:
    """End the process after this time even if something hangs, with the exit code that `last` returns."""

    def end() -> None:
        code = 1
        try:
            code = last()
        finally:
            os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    with suppress(RuntimeError):  # no thread left on this host
        timer.start()


def shut_memory() -> None:
    """Keep secrets out of core dumps, and our memory from other processes of the user (ptrace, /proc/PID/mem)."""
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):
        _FILTER.write_text("0")
    with suppress(Exception):
        _prctl(_SET_DUMPABLE, 0)


def open_to() -> str:
    """The users who can still read our memory, in words; empty when only root can."""
    try:
        return "processes of the same user may read our memory, and a core dump may hold it" if _dumpable() else ""
    except Exception as fault:  # noqa: BLE001 (a libc without it, a policy against calling it)
        return f"cannot be found out: {type(fault).__name__}"


def _dumpable() -> bool:
    return _prctl(_GET_DUMPABLE, 0) != 0


def _prctl(option: int, value: int) -> int:
    import ctypes  # only here: it takes a while to load

    result = int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))
    if result < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return result


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
        import anyio  # only here: `rotate --help` needs none of it

        with anyio.open_signal_receiver(signal.SIGCHLD) as signals:
            self.reap()
            async for _ in signals:
                self.reap()


children = Children()
