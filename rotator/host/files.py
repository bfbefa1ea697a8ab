"""Files that settings and people name, opened without waiting; and locks among the processes of this host (flock)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PIECE = 65536
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_AGAIN = 0.02  # seconds between two tries
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def irregular(path: str | os.PathLike[str]) -> str:
    """The sort of a file that is not regular, such as "a pipe"; empty for a regular file or nothing visible."""
    with suppress(OSError, ValueError):
        return _what(Path(path).stat().st_mode)
    return ""


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading. Raises ValueError, or OSError whose `strerror` names what else is there."""
    if what := irregular(path):  # checked first: opening a device may have an effect
        raise _not_regular(path, what)
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if what := _what(os.fstat(number).st_mode):
            raise _not_regular(path, what)
        return os.fdopen(number, "rb")
    except BaseException:
        with suppress(OSError):
            os.close(number)
        raise


def contents(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError, ValueError."""
    with opened(path) as file:
        found = file.read(limit + 1)
    if len(found) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit // 1024} KiB", os.fspath(path))
    return found


def handed_over(number: int, limit: int, seconds: float) -> bytes:
    """Read a descriptor, such as a pipe, up to its end or to one byte more than `limit`.

    Raises TimeoutError when it does not end within `seconds`.
    """
    whole, end = b"", time.monotonic() + seconds
    while len(whole) <= limit:
        left = end - time.monotonic()
        if left <= 0 or not select.select([number], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(number, min(_PIECE, limit + 1 - len(whole)))
        if not piece:
            break
        whole += piece
    return whole


def _what(mode: int) -> str:
    return next((word for test, word in _KINDS if test(mode)), "")


def _not_regular(path: str | os.PathLike[str], what: str) -> OSError:
    return OSError(errno.EINVAL, f"it is {what}, not a regular file", os.fspath(path))


class LockTimeoutError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked_folder(folder: Path, by: float) -> Iterator[int]:
    """Lock a folder; yields its descriptor. `by`: monotonic seconds. Raises LockTimeoutError, OSError.

    Blocks while it waits, so call it in a thread. Where the file system locks only files open for writing (NFS:
    EBADF), a hidden file in the folder is locked instead; where nothing can be locked, nothing is.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            _take(number, folder, by)
        except OSError as fault:
            if fault.errno not in _NO_LOCKS:
                raise
            with _locked_file(folder, by):
                yield number
        else:
            yield number
    finally:
        os.close(number)


@contextmanager
def _locked_file(folder: Path, by: float) -> Iterator[None]:
    number = os.open(folder / ".rotator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            _take(number, folder, by)
        except OSError as fault:
            if fault.errno not in _NO_LOCKS:
                raise  # without locks there is nothing to wait for
        yield
    finally:
        os.close(number)


def _take(number: int, folder: Path, by: float) -> None:
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= by:
                raise LockTimeoutError(f"{folder} is kept locked by another process") from None
            time.sleep(_AGAIN)
        else:
            return
