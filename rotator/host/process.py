"""This process: standard streams, unreadable memory, an end within a time, the proof of its end, and its children.

In a container we are process 1, and whatever a hook's command leaves behind becomes our child.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import IO

_SET_DUMPABLE, _GET_DUMPABLE = 4, 3  # prctl(2)
_FILTER = Path("/proc/self/coredump_filter")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOT_VARIABLE = "ROTATOR_BOOT_ID"  # systemd's %b: with ProcSubset=pid a service cannot read the file
_NAMESPACE = Path("/proc/self/ns/net")
_LOCK = re.compile(r"(?P<place>[0-9a-f]{32}/[0-9]+)/(?P<name>[0-9a-f]{32})")


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


class ProcessLock:
    """A name that the kernel frees when this process ends, by which others of the host prove that it has ended.

    `lock` is what a lease carries; "": no proof. The name is an abstract unix socket: no file, no folder, no
    permission. All processes of one network namespace see it, also those that a hidden /proc or a PID namespace keeps
    apart. Asking is one connect: "connection refused" says that nobody has the name. Any other answer proves nothing,
    and neither does a name from another host, boot or network namespace.
    """

    def __init__(self) -> None:
        self.lock = ""
        self._held: int | None = None  # a bare descriptor: it ends with `close` or the process, with nothing in between
        place = _whereabouts()
        if not place:
            return
        name = token_hex(16)
        # Without a descriptor left, or in a sandbox without unix sockets, others wait, as ever.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
            held.bind(_socket_name(name))
            self._held, self.lock = held.detach(), f"{place}/{name}"

    def close(self) -> None:
        """Free the name: whoever holds it works no more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def has_ended(lock: str) -> bool:
    """Whether it is proven that the process which holds this lock has ended."""
    found = _LOCK.fullmatch(lock)
    if found is None or found["place"] != _whereabouts():
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(_socket_name(found["name"]))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _whereabouts() -> str:
    """This boot of this host, and our network namespace; "" where one of them is unknown."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        boot = BOOT_ID.read_text()
    except (OSError, ValueError):
        boot = os.environ.get(BOOT_VARIABLE, "")
    boot = boot.strip().replace("-", "").lower()
    try:
        namespace = _NAMESPACE.stat().st_ino
    except OSError:
        return ""
    return f"{boot}/{namespace}" if re.fullmatch("[0-9a-f]{32}", boot) else ""


def _socket_name(name: str) -> str:
    return f"\0rotator-{name}"
