"""The daemon of the show: a real `rotate run` in a process of its own, its log lines, kill -9, and its end.

What a line means to the viewer is words.py's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Hear = Callable[[dict[str, Any]], None]


def command(settings: Path, *words: str) -> list[str]:
    """A `rotate` command line that works from any folder."""
    return [sys.executable, "-m", "rotator", "--config", str(settings), *words]


class Daemon:
    """One process after another; `lines` are all log lines of all of them."""

    def __init__(self, settings: Path, hear: Hear) -> None:
        """`hear` is called in a thread of its own."""
        self.lines: list[str] = []
        self.readied = threading.Event()
        self._settings = settings
        self._hear = hear
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 when none runs."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it. `readied` is set once it has looked at every credential."""
        self.readied.clear()
        self._process = subprocess.Popen(
            command(self._settings, "run", "--log", "json"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends the show, and the show ends the daemon
        )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self.lines.append(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "daemon.readied":
                self.readied.set()
            self._hear(event)

    def kill(self) -> int:
        """kill -9; returns the process id that was."""
        if self._process is None:
            return 0
        os.kill(self._process.pid, signal.SIGKILL)
        self._end(self._process)
        return self._process.pid

    def reload(self) -> None:
        """Have it read its settings again, as `systemctl reload` does."""
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it politely; by force after 15 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._end(self._process)
        except subprocess.TimeoutExpired:
            self.kill()

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.wait(15)
        if self._listener:
            self._listener.join(5)
        if process.stderr:
            process.stderr.close()
