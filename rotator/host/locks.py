"""Locks among the processes of this host (flock): taken within a time or not at all, ended by the kernel."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AGAIN = 0.02  # seconds between two tries
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class LockTimeoutError(Exception):
    """Another process keeps it locked."""


@contextmanager
def locked_folder(folder: Path, by: float) -> Iterator[int]:
    """A folder's own lock, and its descriptor. `by`: monotonic seconds. Raises LockTimeoutError, OSError.

    Blocks while it waits: for a thread. Where the file system locks only what is open for writing (NFS: EBADF),
    a hidden file in the folder is locked in its place, and nothing where nothing can be locked.
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
                raise  # where there are no locks at all, there is nothing to wait for
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
