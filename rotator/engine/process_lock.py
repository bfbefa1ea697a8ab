"""A name that the kernel frees when its process ends, by which others of the same host prove that it has ended.

The name is an abstract unix socket: no file, no folder, no permission; it ends with its process, whatever ends that,
and all processes of one network namespace see it, also those that a hidden /proc or a PID namespace keeps apart.
Asking is one connect: "connection refused" says that nobody has the name. Any other answer proves nothing, and
neither does a name from another host, boot or network namespace.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOT_VARIABLE = "ROTATOR_BOOT_ID"  # systemd's %b: with ProcSubset=pid a service cannot read the file
_NAMESPACE = Path("/proc/self/ns/net")
_LOCK = re.compile(r"(?P<place>[0-9a-f]{32}/[0-9]+)/(?P<name>[0-9a-f]{32})")


class ProcessLock:
    """Our own name, held until `close` or the end of the process. `lock` is what a lease carries; "": no proof."""

    def __init__(self) -> None:
        self.lock = ""
        self._held: int | None = None  # a bare descriptor: it ends with `close` or the process, with nothing in between
        place = _place()
        if not place:
            return
        name = token_hex(16)
        # Without a descriptor left, or in a sandbox without unix sockets, others wait, as ever.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
            held.bind(_address(name))
            self._held, self.lock = held.detach(), f"{place}/{name}"

    def close(self) -> None:
        """Free the name: whoever holds it works no more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def has_ended(lock: str) -> bool:
    """Whether it is proven that the process which holds this lock has ended."""
    found = _LOCK.fullmatch(lock)
    if found is None or found["place"] != _place():
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            probe.connect(_address(found["name"]))
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _place() -> str:
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


def _address(name: str) -> str:
    return f"\0rotator-{name}"
