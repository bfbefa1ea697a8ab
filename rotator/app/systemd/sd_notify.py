"""The word with the service manager: sd_notify(3) datagrams. When to say what is left to supervision.py.

Without $NOTIFY_SOCKET nothing is said. Nothing here raises, and nothing waits longer than a moment: a service manager
that does not listen is no reason to stop keeping credentials fresh.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_MOMENT = 0.2  # seconds that one datagram may wait for room in the manager's queue
_LONGEST = 400  # characters of a status line


class Notifier:
    """One ear of the service manager. `watchdog`: seconds between signs of life it asks for; None when it asks none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environ) if self._address else None

    @property
    def heard(self) -> bool:
        """Whether there is anybody to talk to."""
        return bool(self._address)

    def ready(self) -> None:
        """Start-up, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The settings are being read again; `ready` ends it. The stamp is what Type=notify-reload waits for."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Start, reload or stop goes on: do not give up on us for so long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; line ends in it would begin another message, so they become blanks."""
        self._send(f"STATUS={' '.join(text.split())[:_LONGEST]}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
                ear.settimeout(_MOMENT)
                ear.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return


def _address(given: str) -> str:
    """A path, or an abstract socket, written with `@` where the kernel wants a NUL; empty for anything else."""
    if given.startswith("@"):
        return "\0" + given[1:]
    return given if given.startswith("/") else ""


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """See sd_watchdog_enabled(3): the period counts for the process it names only."""
    try:
        period = int(environ.get("WATCHDOG_USEC", ""))
        meant = int(environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return period / 1_000_000 if period > 0 and meant == os.getpid() else None
