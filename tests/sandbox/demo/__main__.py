"""`python -m tests.sandbox.demo`, which `make demo` starts: its options and its exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rotator.cli import output
from rotator.settings import SettingsError
from tests.sandbox.demo.lines import Face, Lines
from tests.sandbox.demo.script import perform
from tests.sandbox.demo.stage import ShowError
from tests.sandbox.openbao import OpenBaoError


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the show: 0 when every claim made at its end was verified, else 1."""
    parser = argparse.ArgumentParser(
        "make demo", description="Watch real tokens being rotated on this machine: about a minute, all on loopback."
    )
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, to play with; Ctrl-C ends it")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live table")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    verdict: list[bool] = []
    try:
        perform(_face(asked.plain), verdict.append, keep=asked.keep)
    except (ShowError, OpenBaoError, SettingsError, RuntimeError) as fault:
        output.say(f"demo: {fault}", err=True)
    except KeyboardInterrupt:
        output.say("demo: interrupted; everything it started was ended", err=True)
    return 0 if verdict == [True] else 1


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _face(plain: bool) -> Face:
    """The terminal's face where there is a terminal and rich is installed, else lines."""
    if not plain:
        try:
            from rich.console import Console

            from tests.sandbox.demo.screen import Screen
        except ImportError:
            return Lines(output.say)
        console = Console(highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return Screen(console)
    return Lines(output.say)


if __name__ == "__main__":
    sys.exit(main())
