"""Owns `rotate demo`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rotator.cli import output

if TYPE_CHECKING:
    from rotator.demo.lines import Face


@click.command()
@click.option("--keep", is_flag=True, help="Stay up afterwards, to play with; Ctrl-C ends it.")
@click.option("--plain", is_flag=True, help="Lines instead of a live table.")
def command(keep: bool, plain: bool) -> None:
    """Watch real tokens being rotated on this machine: about a minute, everything on loopback.

    Exit code 0 when every claim made at the end was verified, else 1.
    """
    from rotator.demo.script import perform
    from rotator.demo.stage import ShowError
    from rotator.sandbox.openbao import OpenBaoError
    from rotator.settings import SettingsError

    signal.signal(signal.SIGTERM, _interrupt)
    verdict: list[bool] = []
    try:
        perform(_face(plain), verdict.append, keep=keep)
    except (ShowError, OpenBaoError, SettingsError, RuntimeError) as fault:
        output.say(f"rotate: {fault}", err=True)
    except KeyboardInterrupt:
        output.say("rotate: interrupted; everything this demo started was ended", err=True)
    sys.exit(0 if verdict == [True] else 1)


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _face(plain: bool) -> Face:
    """The terminal's face where there is a terminal and rich is installed, else lines."""
    from rotator.demo.lines import Lines

    if not plain:
        try:
            from rich.console import Console

            from rotator.demo.screen import Screen
        except ImportError:
            return Lines(output.say)
        console = Console(highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return Screen(console)
    return Lines(output.say)
