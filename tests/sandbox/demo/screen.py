"""How the show looks on a terminal: commentary scrolls by above, a table stays below and changes in place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.style import Style
from rich.table import Table
from rich.text import Text

from rotator.observe.logs import redact
from tests.sandbox.demo.lines import HEADS, columns
from tests.sandbox.demo.watch import Row

_WIDTHS = (13, 10, 3, 5, 4, None)  # the last column takes what is left
_PHASES = {"settled": "green", "published": "cyan", "condemned": "magenta", "held": "red", "rejected": "red"}
_LEVELS = {"info": "default", "warning": "yellow", "error": "red"}
_MARGIN = "  "


class Screen:
    """The terminal's face."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._redact = redact
        self._began = time.monotonic()
        self._live: Live | None = None
        self._shown: tuple[object, ...] = ()

    def act(self, title: str, *sentences: str) -> None:
        """See `Face`."""
        self._print(Text())
        self._print(Text(f"{_MARGIN}{title}", style="bold cyan"))
        for sentence in sentences:
            self.say(sentence)

    def say(self, text: str = "") -> None:
        """See `Face`."""
        self._print(Text(f"{_MARGIN}{self._redact(text)}"))

    def tell(self, name: str, text: str, level: str = "info") -> None:
        """See `Face`."""
        line = Text(_MARGIN)
        line.append(f"{time.monotonic() - self._began:5.1f}  ", style="dim")
        line.append(f"{name:<13} ", style="bold")
        line.append(self._redact(text), style=_LEVELS[level])
        self._print(line)

    def claim(self, text: str, *, held: bool) -> None:
        """See `Face`."""
        line = Text(_MARGIN)
        line.append("✓ " if held else "✗ ", style="bold green" if held else "bold red")
        line.append(self._redact(text), style="default" if held else "red")
        self._print(line)

    def draw(self, rows: Sequence[Row], status: str, note: str = "") -> None:
        """See `Face`. Redrawn only when something changed: nothing flickers."""
        shown = (*rows, status, note)
        if shown == self._shown:
            return
        self._shown = shown
        picture = Group(Text(), _table(rows), Text(f"{_MARGIN}{note}", style="yellow"), _dim(status))
        if self._live is None:
            self._live = Live(picture, console=self._console, auto_refresh=False, redirect_stdout=False)
            self._live.start(refresh=True)
        else:
            self._live.update(picture, refresh=True)

    def snapshot(self) -> None:
        """See `Face`: it is on screen all the time."""

    def close(self) -> None:
        """See `Face`."""
        if self._live:
            self._live.stop()
            self._live = None

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ellipsis", crop=True)


def _dim(text: str) -> Text:
    return Text(f"{_MARGIN}{text}", style="dim", no_wrap=True, overflow="ellipsis")


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1), header_style="dim", show_edge=False)
    for head, width in zip(HEADS, _WIDTHS, strict=True):
        number = head in ("ROT", "ALIVE", "AGE")
        table.add_column(head, width=width, no_wrap=True, overflow="ellipsis", justify="right" if number else "left")
    table.columns[-1].ratio = 1
    for row in rows:
        name, phase, rotation, alive, age, coming = columns(row)
        busy = Style(bold=row.phase != "settled")
        table.add_row(
            Text(name, style=Style(bold=True)),
            Text(phase, style=Style.parse(_PHASES.get(row.phase, "yellow")) + busy),
            rotation,
            Text(alive, style="green" if row.alive == 1 else "yellow"),
            age,
            Text(coming, style="default" if busy.bold else "dim"),
        )
    return table
