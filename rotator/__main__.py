"""`rotate` and `python -m rotator`: signals are heeded from here on, then the commands in cli/ are imported."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from rotator.host.exit_codes import Exit


def _ended_early(number: int, _: object) -> None:
    os.write(2, f"rotate: ended by {signal.Signals(number).name} before anything was begun\n".encode())
    os._exit(Exit.DONE if _runs_the_daemon() else Exit.UNDECIDED)


def _runs_the_daemon() -> bool:
    """A daemon that is asked to stop before it has begun has done so."""
    words = iter(sys.argv[1:])
    for word in words:
        if word in ("-c", "--config"):
            next(words, None)
        elif not word.startswith("-"):
            return word == "run"
    return False


def main() -> None:
    """The `rotate` command. Its imports take most of a second on a busy machine."""
    _heed(_ended_early)
    if _runs_the_daemon():
        signal.signal(signal.SIGHUP, lambda *_: None)  # the settings are about to be read as they are now
    from rotator.cli import main as begin

    try:
        begin()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else Exit.FAILED if end.code else Exit.DONE
        _heed(lambda *_: os._exit(code))  # what it came to is said, and stays so
        raise


def _heed(handler: Callable[[int, object], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


if __name__ == "__main__":
    main()
