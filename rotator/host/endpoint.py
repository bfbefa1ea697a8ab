"""Sockets that are bound to an address of this host: a port, or a path in the file system.

A path is taken over from a process that is gone, never from one that answers, and is removed by its owner alone.
"""

from __future__ import annotations

import errno
import os
import pwd
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import anyio

from rotator.host.locks import LockTimeoutError, locked_folder

BACKLOG = 256
_ASK = 2.0  # seconds for somebody behind a path to accept us
_LOCK = 0.5  # seconds; a folder that a stranger keeps locked is used all the same


class AddressError(Exception):
    """The address cannot be listened on; the text says why, not what to do."""


class TakenError(AddressError):
    """Somebody else listens there."""


@dataclass(slots=True)
class Endpoint:
    """A listening socket. `remove` takes its path away, as long as it is still the one we made."""

    raw: socket.socket
    path: Path | None = None
    _inode: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.path:
            self._inode = _inode(self.path)

    @property
    def port(self) -> int:
        """The port; 0 for a path."""
        return 0 if self.path else int(self.raw.getsockname()[1])

    def close(self) -> None:
        """Stop listening; the path goes unless another process has it by now."""
        self.raw.close()
        if self.path is None:
            return
        with _alone(self.path.parent):
            if _inode(self.path) == self._inode:
                with suppress(OSError):
                    self.path.unlink()


def tcp(host: str, port: int) -> Endpoint:
    """Listen on a numeric address. Raises AddressError."""
    raw = socket.socket(socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET)
    try:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if raw.family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        raw.bind((host, port))
        return _listening(raw)
    except OSError as fault:
        raw.close()
        raise AddressError(_words(fault)) from None


async def unix(path: str, mode: int) -> Endpoint:
    """Listen at a path that only `mode` lets others use. Raises AddressError."""
    if await answers(path):
        raise TakenError("another process answers there")
    return _bound(Path(path), mode)


def _bound(place: Path, mode: int) -> Endpoint:
    with _alone(place.parent):
        raw = socket.socket(socket.AF_UNIX)
        try:
            _clear(place)
            os.fchmod(raw.fileno(), mode)  # what is bound is born with it
            raw.bind(str(place))
            place.chmod(mode)  # a umask may have taken more away
            return _listening(raw, place)
        except OSError as fault:
            raw.close()
            raise AddressError(_words(fault)) from None


async def answers(path: str) -> bool:
    """Whether somebody listens there. Raises AddressError when that cannot be found out, or no socket can be there."""
    try:
        with anyio.fail_after(_ASK):
            async with await anyio.connect_unix(path):
                return True
    except TimeoutError:
        return True  # a queue that is full is somebody's
    except (FileNotFoundError, NotADirectoryError):
        if _dangles(path):
            raise AddressError("it is a link that leads nowhere; remove it") from None
        return False
    except ConnectionRefusedError:
        if (what := kind(path)) != "socket":
            raise AddressError(f"a {what} is in the socket's place; move it away") from None
        return False
    except OSError as fault:
        if fault.errno in (errno.EAGAIN, errno.ENOBUFS):
            return True
        raise AddressError(_words(fault)) from None


def others(path: str) -> str:
    """Who may ask whoever listens at a path that we may not use; empty when nobody listens, or we may."""
    if os.access(path, os.W_OK) or not _listed(path):
        return ""
    owner = _owner(path)
    return "root" if owner == "root" else f"{owner} and root"


def _listed(path: str) -> bool:
    """Whether the kernel knows of somebody who listens at a path."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    # Num: RefCount Protocol Flags Type St Inode Path; the flag 00010000 is a socket that listens.
    found = (line.split(None, 7) for line in lines[1:])
    return any(len(each) == 8 and each[7] == path and int(each[3], 16) & 0x10000 for each in found)


def _owner(path: str) -> str:
    """Whose it is, or the folder that we may not look into."""
    place = Path(path)
    for each in (place, *place.parents):
        with suppress(OSError):
            number = each.stat().st_uid
            try:
                return pwd.getpwuid(number).pw_name
            except KeyError:
                return f"uid {number}"
    return "its owner"


def _dangles(path: str) -> bool:
    return Path(path).is_symlink()


def kind(path: str | os.PathLike[str]) -> str:
    """What is found at a path, in a word or two; links are followed. Nothing there: an empty text."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a text will do)
    except OSError:
        return ""
    kinds = (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "plain file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe")
    return next((word for test, word in kinds if test(mode)), "device")


def _clear(path: Path) -> None:
    """Remove the socket of a process that is gone; whatever else is there is left to bind(2) to refuse."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _accepts(path):
            path.unlink()


def _accepts(path: Path) -> bool:
    """Asked once more under the lock: another one may have bound since."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.setblocking(False)
        try:
            raw.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True


def _listening(raw: socket.socket, path: Path | None = None) -> Endpoint:
    raw.setblocking(False)
    raw.listen(BACKLOG)
    return Endpoint(raw, path)


def _words(fault: OSError) -> str:
    return (fault.strerror or "unusable").lower()


def _inode(path: Path) -> tuple[int, int]:
    with suppress(OSError):
        found = path.lstat()
        return found.st_dev, found.st_ino
    return (0, 0)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Among processes that do the same in this folder, as far as it can be locked."""
    with ExitStack() as stack:
        with suppress(OSError, LockTimeoutError):
            stack.enter_context(locked_folder(folder, time.monotonic() + _LOCK))
        yield
