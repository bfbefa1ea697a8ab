"""Owns what every command shares: settings or exit 78, faults to exit codes, tables and JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rotator.cli import output
from rotator.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from rotator.rotation.state import State

FAILED, HELD, BUSY, BAD_CONFIG = 1, 3, 75, 78


def settings(path: str | None, *, vaultless: bool = False) -> Settings:
    """The settings, or every fault in them and exit 78. `vaultless`: they may lack [vault]."""
    try:
        return load(path, vaultless=vaultless)
    except SettingsError as error:
        for fault in error.faults:
            output.say(str(fault), err=True)
        count = len(error.faults)
        output.say(f"{count} fault{'s' if count > 1 else ''} in the settings; nothing was done", err=True)
        sys.exit(BAD_CONFIG)


def known(settings: Settings, names: Iterable[str]) -> None:
    """Raises UsageError (exit 2), with a suggestion, for a name that settings do not have."""
    from rotator.settings.faults import suggest

    for name in names:
        if name not in settings.credentials:
            hint = suggest(name, settings.credentials)
            raise click.UsageError(f"no credential is called {name!r}; {hint}")


def gravest(states: Iterable[State]) -> int:
    """The exit code of a command that only looks at states."""
    from rotator.rotation.state import GRAVEST_EXIT

    found = {each.exit for each in states}
    return next((code for code in GRAVEST_EXIT if code in found), 0)


def selected(names: Iterable[str], *, everything: bool, labels: Mapping[str, str]) -> None:
    """Raises UsageError (exit 2) where it is not said whom a command concerns, or said twice."""
    if everything and (names or labels):
        raise click.UsageError("--all is everything: name it alone, or names and labels without it")
    if not (names or everything or labels):
        raise click.UsageError("say which: NAME..., --all, or --label KEY=VALUE")


def agree(question: str, *, yes: bool) -> None:
    """Ask before something ends. Raises UsageError (exit 2) without a yes, and where nobody is there to say it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nothing was done: nobody is there to be asked; say --yes")
    if not output.confirm(question):
        raise click.UsageError("nothing was done")


def run(main: Callable[[], Coroutine[Any, Any, int]], *, acts: bool = False) -> NoReturn:
    """Run an async command and exit with its code; a fault of the world becomes one sentence and a code.

    What a command that `acts` comes to is its work's alone; of one that only looks, the words are the work.
    """
    import anyio

    with output.behind():
        code = _code(partial(anyio.run, main))
        while output.left():
            time.sleep(0.01)
    if reason := output.trouble():
        output.say(f"rotate: standard output cannot be written: {reason}{_REGARDLESS if acts else ''}", err=True)
        code = code if acts else code or FAILED
    sys.exit(code)


_REGARDLESS = "; the work itself went on to its end, see `rotate status`"


def _code(work: Callable[[], int]) -> int:
    from rotator.ports import Fault, Transient

    try:
        return work()
    except Transient as fault:
        return _told(fault.reason, BUSY)
    except Fault as fault:
        return _told(fault.reason, FAILED)
    except KeyboardInterrupt:
        return _told("interrupted; whatever was begun goes on from its journal", BUSY)
    except BaseExceptionGroup as group:
        first = _first_fault(group, Fault)
        if first is None:
            raise
        return _told(first.reason, BUSY if isinstance(first, Transient) else FAILED)


def _first_fault(group: BaseExceptionGroup[BaseException], kind: type[Any]) -> Any:
    for each in group.exceptions:
        found = _first_fault(each, kind) if isinstance(each, BaseExceptionGroup) else each
        if isinstance(found, kind):
            return found
    return None


def waits_for_vault(reason: str) -> None:
    """Why nothing happens yet, for who sits there and waits."""
    output.say(f"rotate: waiting for Vault: {reason}", err=True)


def _told(text: str, code: int) -> int:
    output.say(f"rotate: {text}", err=True)
    return code


def show_json(document: object) -> None:
    """Print a document for machines. Times are written as ISO 8601."""
    output.say(json.dumps(document, default=_spell, indent=2))


def show_line(document: object) -> None:
    """Print one of many documents, each on a line of its own."""
    output.say(json.dumps(document, default=_spell))


def _spell(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as they need to be; the last one may run on."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        text = "  ".join((*cells, line[-1])).rstrip()
        output.say(click.style(text, bold=True) if number == 0 else text)


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago, or how soon, in two units at most."""
    if then is None:
        return "-"
    return f"{span(now - then)} ago" if then <= now else f"in {span(then - now)}"


def span(length: timedelta) -> str:
    """A length of time, shortly."""
    seconds = int(length.total_seconds())
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size}{unit}{f' {rest}{small}' if rest else ''}"
    return f"{seconds}s"
