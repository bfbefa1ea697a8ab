"""How the show looks without a terminal: plain lines, in order, one per event. On a terminal, screen.py's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rotator.observe.logs import redact
from tests.sandbox.demo.watch import Row

HEADS = ("CREDENTIAL", "PHASE", "ROT", "ALIVE", "AGE", "WHAT HAPPENS NEXT")


class Face(Protocol):
    """What the show can say and draw. Every text passes a redactor: nothing that resembles a secret gets out."""

    def act(self, title: str, *sentences: str) -> None:
        """A new part begins."""
        ...

    def say(self, text: str = "") -> None:
        """A sentence from the narrator."""
        ...

    def tell(self, name: str, text: str, level: str = "info") -> None:
        """Something happened to a credential. `level`: info, warning or error."""
        ...

    def draw(self, rows: Sequence[Row], status: str, note: str = "") -> None:
        """The present state. `note`: what is being waited for, if anything."""
        ...

    def snapshot(self) -> None:
        """Leave the present state in the record, where it is not on screen anyway."""
        ...

    def claim(self, text: str, *, held: bool) -> None:
        """A claim, and whether it held."""
        ...

    def close(self) -> None:
        """Nothing moves any more; sentences and claims may still come."""
        ...


def columns(row: Row) -> tuple[str, ...]:
    """A row's cells, in the order of HEADS."""
    return (row.name, row.phase, str(row.rotation), str(row.alive), row.age, row.next)


class Lines:
    """The plain face."""

    def __init__(self, echo: Callable[[str], None]) -> None:
        """`echo` writes one line."""
        self._echo = echo
        self._redact = redact
        self._began = time.monotonic()
        self._rows: Sequence[Row] = ()
        self._status = ""
        self._noted = ""

    def act(self, title: str, *sentences: str) -> None:
        """See `Face`."""
        self._write("")
        self._write(f"== {title}")
        for sentence in sentences:
            self.say(sentence)

    def say(self, text: str = "") -> None:
        """See `Face`."""
        self._write(f"   {text}")

    def _write(self, text: str) -> None:
        self._echo(self._redact(text).rstrip())

    def tell(self, name: str, text: str, level: str = "info") -> None:
        """See `Face`."""
        mark = "" if level == "info" else f"{level}: "
        self._write(f"{time.monotonic() - self._began:5.1f}  {name:<13} {mark}{text}")

    def draw(self, rows: Sequence[Row], status: str, note: str = "") -> None:
        """See `Face`. A note is written once, not at every change of its numbers."""
        self._rows, self._status = rows, status
        kind = note.partition(":")[0]
        if note and kind != self._noted:
            self.tell("", note)
        self._noted = kind

    def snapshot(self) -> None:
        """See `Face`."""
        table = [HEADS, *(columns(row) for row in self._rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(HEADS))]
        self.say()
        for line in table:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
        self.say(self._status)

    def claim(self, text: str, *, held: bool) -> None:
        """See `Face`."""
        self.say(f"{'ok  ' if held else 'FAIL'}  {text}")

    def close(self) -> None:
        """See `Face`."""
