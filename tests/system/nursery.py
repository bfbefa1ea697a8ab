"""A process that has imported the product once, and forks a child for each daemon or command wanted.

Imports are most of what a process costs before it does anything: a child has them for nothing, and from there on runs
what `python -m` would, with the environment and in the folder of whoever wants it. It differs from a program of its
own in what /proc says of its arguments and its environment: tests that judge those, or a start, have theirs executed.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
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
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import IO, Any, Self

LIBRARIES = ("anyio._backends._asyncio", "apscheduler.triggers.interval")  # what the product's have imported as they go
LEFT_OUT = ("rotator.__main__", "tests.sandbox", "tests.sandbox.demo")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_WISH = 1 << 17  # bytes, an environment included


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
                start_new_session=True,  # Ctrl-C ends the campaign, and its end is the nursery's
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wishes.close()
        self.process.wait(10)

    def child(self, module: str, *arguments: str, output: IO[Any], errors: IO[Any] | None = None) -> Child:
        """`python -m MODULE ARGUMENTS`; what it says goes to `output`, and to `errors` if they are to be told apart.

        Raises OSError or RuntimeError if the nursery is gone.
        """
        told, teller = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wish = json.dumps([[module, *arguments], dict(os.environ), str(Path.cwd())]).encode()
        with teller:
            said = (errors or output).fileno()
            socket.send_fds(self._wishes, [wish], [teller.fileno(), output.fileno(), said])
        return Child(told)


@cache
def shared() -> Nursery:
    """The nursery of this process, as long as it lives."""
    made = Nursery()
    atexit.register(made.__exit__)
    return made


# --- in the nursery -------------------------------------------------------------------------------------------------


class _Ward:
    """The children that live. One thread and no task, so that a fork copies a process that does nothing."""

    def __init__(self, wishes: socket.socket) -> None:
        self._wishes = wishes
        self._poll = select.poll()
        self._poll.register(wishes, select.POLLIN)
        self._children: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> list[str]:
        """Fork for each wish. Returns the words of the command, in each child; exits when there will be no more."""
        while True:
            for ready, _ in self._poll.poll():
                if ready in self._children:
                    self._bury(ready)
                    continue
                wish, fds, _, _ = socket.recv_fds(self._wishes, _WISH, 3)
                if not wish:
                    sys.exit(0)
                if self._born(*fds):
                    words, environment, folder = json.loads(wish)
                    os.environ.clear()
                    os.environ.update(environment)
                    os.chdir(folder)
                    return [str(word) for word in words]

    def _bury(self, body: int) -> None:
        self._poll.unregister(body)
        os.close(body)
        pid, teller = self._children.pop(body)
        _, status = os.waitpid(pid, 0)
        with teller, suppress(OSError):  # whoever wished for it may have ended
            teller.send(str(os.waitstatus_to_exitcode(status)).encode())

    def _born(self, telling: int, output: int, errors: int) -> bool:
        """Fork. Whether this is the child."""
        teller, nursery = socket.socket(fileno=telling), os.getpid()
        if pid := os.fork():
            os.close(output)
            os.close(errors)
            body = os.pidfd_open(pid)
            self._children[body] = (pid, teller)
            self._poll.register(body, select.POLLIN)
            with suppress(OSError):
                socket.send_fds(teller, [str(pid).encode()], [body])
            return False
        teller.close()
        self._leave(nursery, output, errors)
        return True

    def _leave(self, nursery: int, output: int, errors: int) -> None:
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
        for wanted, source in enumerate((nothing, output, errors)):
            os.dup2(source, wanted)
            os.close(source)


def main() -> None:
    product = import_module("rotator")
    modules = [each.name for each in walk_packages(product.__path__, "rotator.") if not each.name.startswith(LEFT_OUT)]
    for each in (*modules, *LIBRARIES):
        import_module(each)
    assert threading.active_count() == 1, "an import has started a thread, which no fork would copy"
    gc.collect()
    gc.freeze()  # so that no child copies them all at its first collection
    module, *arguments = _Ward(socket.socket(fileno=0)).serve()
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
