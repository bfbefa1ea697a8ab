"""One `rotate run` as a process: started, asked over its socket, read by its log lines, ended by its id; and commands.

Both are children of a nursery, at a fraction of the price of a program of their own, but where a start is judged.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import IO, Any, Self

from tests.system.nursery import Child, Nursery, shared

_numbers = itertools.count(1)
START = 30.0  # seconds within which a daemon says that it is ready, on a busy machine


def until(what: str, true: Callable[[], object], seconds: float = 20.0, pause: float = 0.05) -> None:
    """Wait until something is true. Raises TimeoutError naming it."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


class Daemon:
    """A daemon of the settings in `path`, its socket beside them; leaving the block kills it.

    `skew`: seconds that its wall clock is ahead. `nursery`: whose child it is, else this process's own; `executed`: it
    is a program of its own. `output`: where its log goes instead of the file. `watched`: see watched.py. `source`: the
    folder of another version's package, which is what runs.
    """

    def __init__(
        self,
        path: Path,
        skew: float = 0.0,
        nursery: Nursery | None = None,
        output: IO[bytes] | None = None,
        *,
        executed: bool = False,
        watched: bool = False,
        source: Path | None = None,
    ) -> None:
        self.path = path
        self.socket = path.with_suffix(".sock")
        self.log = path.with_name(f"{path.stem}-{next(_numbers)}.log")
        program = ["tests.system.skewed", f"{skew:g}"] if skew else ["tests.system.watched" if watched else "rotator"]
        words = [*program, "-c", str(path), "run", "--log", "json"]
        with self.log.open("wb") as log:
            out = output or log
            self.process: subprocess.Popen[bytes] | Child = (
                _executed(*words, output=out, source=source)
                if executed or source
                else (nursery or shared()).child(*words, output=out)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.process.wait(10)

    def kill(self) -> None:
        """kill -9; a process that ended already is left in peace. Does not wait for the end."""
        self.process.send_signal(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Any other signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def ready(self) -> Self:
        """Wait until every name was looked at once."""
        self.says("daemon.readied", seconds=START)
        return self

    # --- its log ----------------------------------------------------------------------------------------------------

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def heard(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines of one event that carry these fields."""
        return [x for x in self.lines() if x["event"] == event and fields.items() <= x.items()]

    def says(self, event: str, *, seconds: float = 20.0, **fields: Any) -> dict[str, Any]:
        """Wait for a line. Raises TimeoutError; AssertionError when the daemon ended instead."""

        def there() -> bool:
            found = bool(self.heard(event, **fields))
            assert found or self.process.poll() is None, f"it ended with {self.process.returncode}: {self.last_words()}"
            return found

        until(f"a line {event} {fields}", there, seconds)
        return self.heard(event, **fields)[0]

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-1500:]

    # --- its socket -------------------------------------------------------------------------------------------------

    def ask(self, *names: str, within: float = 60.0, **wanted: Any) -> list[dict[str, Any]]:
        """`rotate now`, without the price of a process: every reply until the daemon, or its death, ends them."""
        return converse(
            self.socket, {"verb": "now", "names": names, "within": f"{ceil(within)}s", "by": "test", **wanted}, within
        )

    def begin(self, *names: str, **wanted: Any) -> dict[str, Any]:
        """The same, and go away with the first line: what was asked for is in Vault."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(20)
            wire.connect(str(self.socket))
            wire.sendall(json.dumps({"verb": "now", "names": names, "by": "test", **wanted}).encode() + b"\n")
            return dict(json.loads(wire.makefile().readline()))


def _executed(*words: str, output: IO[bytes], source: Path | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(source)} if source else None
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=source, env=environment
    )


def rotate(path: Path, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """The `rotate` command, to its end; nobody is at its standard input. Raises TimeoutExpired, and has killed it."""
    words = ("rotator", "-c", str(path), *arguments)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = shared().child(*words, output=output, errors=errors)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired as late:
            child.send_signal(signal.SIGKILL)
            for stream in (output, errors):
                stream.seek(0)
                late.add_note(f"rotate {' '.join(arguments)} had said: {stream.read().decode()}")
            raise
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(words, code, output.read().decode(), errors.read().decode())


def converse(path: Path, request: object, seconds: float = 60.0) -> list[dict[str, Any]]:
    """One request over a control socket. `request` may be raw bytes. Raises OSError when nobody listens."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(seconds + 5)
        wire.connect(str(path))
        wire.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        return [json.loads(line) for line in received(wire).splitlines()]


def received(wire: socket.socket) -> bytes:
    """Everything until the other side is gone."""
    whole = b""
    try:
        while piece := wire.recv(65536):
            whole += piece
    except ConnectionResetError:
        pass
    return whole[: whole.rfind(b"\n") + 1]
