"""Finished lines on their way out: a bounded queue, and a thread that waits for whoever reads.

Nobody else waits. Lines that find no room are dropped and counted; how many that were is told when writing works again.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

_MOST = 10_000  # lines
_LARGEST = 8 * 1024 * 1024  # bytes


class Writer:
    """Writes lines to a descriptor, in order. `dropped`: how many were not written since the start."""

    def __init__(self, number: int, told: Callable[[int], None], most: int = _MOST, largest: int = _LARGEST) -> None:
        """`told`: called by the thread, with the number of lines that were dropped, once writing works again."""
        self._number = number
        self._told = told
        self._most = most
        self._largest = largest
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._busy = False
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._untold = 0
        self.dropped = 0

    def put(self, line: bytes) -> None:
        """Have a line written. Never waits. What the thread itself puts, how many were lost, is never dropped."""
        with self._news:
            full = len(self._lines) >= self._most or self._size + len(line) > self._largest
            if full and threading.current_thread() is not self._thread:
                self._drop(1)
                return
            self._lines.append(line)
            self._size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="log", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no thread left on this host: later, perhaps
                    self._thread = None
            self._news.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, at most so long; whether it is."""
        end = time.monotonic() + seconds
        if self._thread is None:
            return self._write_here(end)
        with self._news:
            while self._lines or self._busy:
                if (left := end - time.monotonic()) <= 0:
                    return False
                self._news.wait(left)
        return True

    def _write_here(self, end: float) -> bool:
        """Where no thread could be started."""
        while self._lines:
            left = end - time.monotonic()
            if left <= 0 or not select.select([], [self._number], [], left)[1]:
                return False
            _written(self._number, self._next())
            self._busy = False
        return True

    def _drop(self, lines: int) -> None:
        self.dropped += lines
        self._untold += lines

    def _write(self) -> None:
        while True:
            line = self._next()
            fine = _written(self._number, line)
            with self._news:
                self._busy = False
                if not fine:
                    self._drop(1)
                caught_up = fine and not self._lines
                missed, self._untold = (self._untold, 0) if caught_up else (0, self._untold)
                self._news.notify_all()
            if missed:
                self._told(missed)

    def _next(self) -> bytes:
        with self._news:
            while not self._lines:
                self._news.wait()
            line = self._lines.popleft()
            self._size -= len(line)
            self._busy = True
            return line


def _written(number: int, line: bytes) -> bool:
    """Whether the whole line was taken; waits for as long as it takes."""
    left = memoryview(line)
    try:
        while left:
            try:
                left = left[os.write(number, left) :]
            except BlockingIOError:  # somebody else has set it so
                select.select([], [number], [])
            except OSError as fault:
                if fault.errno != errno.EINTR:
                    return False
    except (OSError, ValueError):
        return False
    return True
