"""Owns a nursery of daemons: a process that has imported the product once, and forks a child for each one wanted.

What is started and judged is the campaigns'. Imports are most of what a daemon costs before it does anything: a child
has them for nothing, and from there on runs what `python -m` would. It differs from a program of its own in that it
trusts no certificate, and in what /proc says of its arguments and its environment: tests that judge those, or a start,
have theirs executed (daemon.py).
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules
from typing import IO, Any, Self

# What a daemon imports as it goes, beside whatever the kinds of credentials need.
IMPORTED = (
    "rotator.cli.run",
    "rotator.cli.completion",
    "rotator.daemon",
    "anyio._backends._asyncio",
    "apscheduler.triggers.interval",
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_WISH = 65536  # bytes


class Child:
    """A process of the nursery, with those words of `subprocess.Popen` that the campaigns use."""

    def __init__(self, told: socket.socket) -> None:
        said, bodies, _, _ = socket.recv_fds(told, _WISH, 1)
        if not said:
            raise RuntimeError("the nursery has ended; its last words are on standard error")
        self.pid = int(said)
        self.returncode: int | None = None
        self._body = bodies[0]  # names this process for ever, as its number does not
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._attend, args=(told,), daemon=True).start()

    def _attend(self, told: socket.socket) -> None:
        with told:
            said = told.recv(_WISH)
        with self._lock:
            self.returncode = int(said or -signal.SIGKILL)  # the nursery is gone, and took it along
            os.close(self._body)
        self._ended.set()

    def poll(self) -> int | None:
        """The exit code, or nothing while it runs; -9 after a kill."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To a process that has not ended yet."""
        with self._lock, suppress(ProcessLookupError):  # it has, and nobody was told yet
            if self.returncode is None:
                signal.pidfd_send_signal(self._body, number)


class Nursery:
    """It lives as long as the block, or this process, and so does every child of it. Any thread may ask."""

    def __init__(self) -> None:
        self._wishes, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.nursery"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, "SSL_CERT_FILE": os.devnull},  # no TLS here, and each daemon would read them all
                start_new_session=True,  # Ctrl-C ends the campaign, and its end is the nursery's
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wishes.close()
        self.process.wait(10)

    def child(self, module: str, *arguments: str, output: IO[Any]) -> Child:
        """`python -m MODULE ARGUMENTS`; what it says goes to `output`. Raises OSError or RuntimeError if it is gone."""
        told, teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wish = json.dumps([module, *arguments]).encode()
        with teller:
            socket.send_fds(self._wishes, [wish], [teller.fileno(), output.fileno()])
        return Child(told)


# --- in the nursery -------------------------------------------------------------------------------------------------


class _Ward:
    """The children that live. One thread and no task, so that a fork copies a process that does nothing."""

    def __init__(self, wishes: socket.socket) -> None:
        self._wishes = wishes
        self._poll = select.poll()
        self._poll.register(wishes, select.POLLIN)
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> list[str]:
        """Fork for each wish. Returns what was wished, in each child; exits when there will be no more wishes."""
        while True:
            for ready, _ in self._poll.poll():
                if ready in self._children:
                    self._bury(ready)
                    continue
                wish, fds, _, _ = socket.recv_fds(self._wishes, _WISH, 2)
                if not wish:
                    sys.exit(0)
                if self._born(*fds):
                    return [str(word) for word in json.loads(wish)]

    def _bury(self, body: int) -> None:
        self._poll.unregister(body)
        os.close(body)
        pid, teller = self._children.pop(body)
        _, status = os.waitpid(pid, 0)
        with teller, suppress(OSError):  # whoever wished for it may have ended
            teller.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _born(self, telling: int, output: int) -> bool:
        """Fork. Whether this is the child."""
        teller, nursery = socket.socket(fileno=telling), os.getpid()
        if pid := os.fork():
            os.close(output)
            body = os.pidfd_open(pid)
            self._children[body] = (pid, teller)
            self._poll.register(body, select.POLLIN)
            with suppress(OSError):
                socket.send_fds(teller, [str(pid).encode()], [body])
            return False
        teller.close()
        self._leave(nursery, output)
        return True

    def _leave(self, nursery: int, output: int) -> None:
        """In the child: nothing of the nursery's, a session of its own, and an end when the nursery ends."""
        for body, (_, teller) in self._children.items():
            os.close(body)
            teller.close()
        self._wishes.detach()  # is standard input, and overwritten here
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != nursery:
            os.kill(os.getpid(), signal.SIGKILL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, wanted in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, wanted)
        os.close(nothing)
        os.close(output)


def main() -> None:
    kinds = import_module("rotator.providers")
    for each in (*IMPORTED, *(f"{kinds.__name__}.{each.name}" for each in iter_modules(kinds.__path__))):
        import_module(each)
    assert threading.active_count() == 1, "an import has started a thread, which no fork would copy"
    module, *arguments = _Ward(socket.socket(fileno=0)).serve()
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
