"""Files that settings and people name: regular ones, opened without waiting; what a person hands over may be a pipe."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from contextlib import suppress
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


def irregular(path: str | os.PathLike[str]) -> str:
    """What is there when it is no regular file: "a pipe", say; empty for one, and where nothing is to be seen."""
    with suppress(OSError, ValueError):
        return _what(Path(path).stat().st_mode)
    return ""


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, to be read. Raises OSError, whose `strerror` says it when something else is there, ValueError."""
    if what := irregular(path):  # looked at first: opening a device may move it
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
    """What is in a regular file of at most `limit` bytes. Raises OSError, ValueError."""
    with opened(path) as file:
        found = file.read(limit + 1)
    if len(found) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit // 1024} KiB", os.fspath(path))
    return found


def handed_over(number: int, limit: int, seconds: float) -> bytes:
    """What comes from a descriptor, a pipe perhaps, up to its end or one byte more than `limit`.

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
