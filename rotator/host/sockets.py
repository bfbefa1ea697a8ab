"""Sockets that listen on this host, at a port or a path, and the loop that accepts connections.

A path is taken over from a process that is gone, never from one that answers; its owner alone removes it. No peer, no
bug in a conversation and no lack of descriptors ends the loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import anyio
from anyio.abc import SocketStream, TaskGroup, UNIXSocketStream

from rotator.host.files import LockTimeoutError, locked_folder

BACKLOG = 256
_ASK = 2.0  # seconds that a listening process may take to accept us
_LOCK = 0.5  # seconds; a folder that another program keeps locked is used all the same
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, TimeoutError, OSError)
_SHORTEST, _LONGEST = 0.005, 1.0  # seconds of back-off; a probe waits the shortest for each caller before it
_TOLD_AGAIN = 60.0  # seconds between two reports of the same strain


class AddressError(Exception):
    """Listening at the address is impossible; the text says why."""


class TakenError(AddressError):
    """Another process listens there."""


@dataclass(slots=True)
class Endpoint:
    """A listening socket. Closing removes its path if the socket there is still ours."""

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
        """Stop listening, and remove the path unless another process has it now."""
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
    """Listen at a path with these permissions. Raises AddressError."""
    if await answers(path):
        raise TakenError("another process answers there")
    return _bound(Path(path), mode)


def _bound(place: Path, mode: int) -> Endpoint:
    with _alone(place.parent):
        raw = socket.socket(socket.AF_UNIX)
        try:
            _clear(place)
            os.fchmod(raw.fileno(), mode)  # the socket is created with it
            raw.bind(str(place))
            place.chmod(mode)  # a umask may have taken more away
            return _listening(raw, place)
        except OSError as fault:
            raw.close()
            raise AddressError(_words(fault)) from None


async def answers(path: str) -> bool:
    """Whether a process listens there. Raises AddressError when that is unknown or no socket can be there."""
    try:
        with anyio.fail_after(_ASK):
            async with await anyio.connect_unix(path):
                return True
    except TimeoutError:
        return True  # a full queue means that a process listens
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
    """The users who may use the socket at a path that we may not use; empty when nobody listens, or we may."""
    if os.access(path, os.W_OK) or not _listed(path):
        return ""
    owner = _owner(path)
    return "root" if owner == "root" else f"{owner} and root"


def _listed(path: str) -> bool:
    """Whether the kernel lists a listening socket at this path."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    # Num: RefCount Protocol Flags Type St Inode Path; the flag 00010000 is a socket that listens.
    found = (line.split(None, 7) for line in lines[1:])
    return any(len(each) == 8 and each[7] == path and int(each[3], 16) & 0x10000 for each in found)


def _owner(path: str) -> str:
    """The owner of the socket, or of the folder that we may not read."""
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
    """The sort of thing at a path, in a word or two; links are followed. Empty: nothing."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a text will do)
    except OSError:
        return ""
    kinds = (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "plain file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe")
    return next((word for test, word in kinds if test(mode)), "device")


def _clear(path: Path) -> None:
    """Remove the socket of a process that is gone. bind(2) refuses anything else that is there."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _accepts(path):
            path.unlink()


def _accepts(path: Path) -> bool:
    """Whether a process accepts connections, asked again under the lock: another one may have bound since."""
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
    """Exclude other processes that bind in this folder, as far as it can be locked."""
    with ExitStack() as stack:
        with suppress(OSError, LockTimeoutError):
            stack.enter_context(locked_folder(folder, time.monotonic() + _LOCK))
        yield


@dataclass(slots=True, eq=False)
class Connection:
    """One caller. `idle`: nothing was asked yet, or everything was answered; `since`: monotonic seconds."""

    stream: SocketStream
    idle: bool = True
    since: float = field(default_factory=time.monotonic)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def busy(self) -> None:
        """A whole request has arrived."""
        self.idle, self.since = False, time.monotonic()

    def rest(self) -> None:
        """The request was answered."""
        self.idle, self.since = True, time.monotonic()


Converse = Callable[[Connection], Awaitable[None]]


class Listener:
    """Serves one endpoint. `failed` hears of bugs in conversations, `strained` of what keeps us from accepting.

    At the limit of connections, the one that has been idle for longest is closed, or the oldest one if all are busy:
    a new caller, such as a probe, is always served.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        limit: int,
        failed: Callable[[BaseException], None],
        strained: Callable[[str], None],
    ) -> None:
        """`limit`: connections at once."""
        self._endpoint = endpoint
        self._limit = limit
        self._failed = failed
        self._strained = strained
        self._open: set[Connection] = set()
        self._pause = 0.0
        self._told = float("-inf")
        self._spare = _spare()

    async def serve(self, converse: Converse) -> None:
        """Accept until cancelled; then every conversation ends and the endpoint is closed."""
        try:
            async with anyio.create_task_group() as group:
                while True:
                    if raw := await self._accept():
                        await self._admit(raw, converse, group)
        finally:
            self._endpoint.close()
            self._release()

    async def _accept(self) -> socket.socket | None:
        """The next connection; None when there is none after all, or accepting failed."""
        await _readable(self._endpoint.raw)  # without descriptors accept(2) fails even without a caller
        try:
            raw, _ = self._endpoint.raw.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as fault:  # most likely no descriptors or memory are left
            self._strain(fault)
            self._release() if self._spare >= 0 else self._spare_one(idle=True)
            await anyio.sleep(self._pause)
            return None
        self._pause = 0.0
        if self._spare < 0:
            self._spare = _spare()
        return raw

    def _strain(self, fault: OSError) -> None:
        self._pause = min(max(_SHORTEST, 2 * self._pause), _LONGEST)
        if (now := time.monotonic()) > self._told + _TOLD_AGAIN:
            self._told = now
            self._strained((fault.strerror or type(fault).__name__).lower())

    def _release(self) -> None:
        """Give the spare descriptor back, so that one more caller can be served."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    async def _admit(self, raw: socket.socket, converse: Converse, group: TaskGroup) -> None:
        raw.setblocking(False)
        stream: SocketStream
        try:
            if raw.family == socket.AF_UNIX:
                stream = await UNIXSocketStream.from_socket(raw)
            else:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream = await SocketStream.from_socket(raw)
        except (OSError, ValueError):  # the caller has gone already
            raw.close()
            return
        while len(self._open) >= self._limit:
            self._spare_one()
        connection = Connection(stream)
        self._open.add(connection)
        group.start_soon(self._hold, connection, converse)

    def _spare_one(self, *, idle: bool = False) -> None:
        """End the conversation that is best spared; with `idle`, only one without a request under way."""
        able = (each for each in self._open if each.idle or not idle)
        if keep := min(able, key=lambda each: (not each.idle, each.since), default=None):
            self._open.discard(keep)
            keep.scope.cancel()

    async def _hold(self, connection: Connection, converse: Converse) -> None:
        """Run one conversation up to its end, whatever happens in it."""
        try:
            with connection.scope:
                try:
                    await converse(connection)
                except _GONE:
                    pass  # the caller is gone
                except (Exception, BaseExceptionGroup, GeneratorExit, SystemExit) as bug:  # noqa: BLE001 (its own end)
                    self._failed(bug)
        finally:
            self._open.discard(connection)
            with anyio.CancelScope(shield=True), suppress(*_GONE):
                await connection.stream.aclose()


async def _readable(raw: socket.socket) -> None:
    """Wait until there is something to accept. anyio's own wait fails on a cancellation at the same moment."""
    loop, ready = asyncio.get_running_loop(), anyio.Event()
    loop.add_reader(raw, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(raw)


def _spare() -> int:
    """A spare descriptor, for when there are no others left."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
