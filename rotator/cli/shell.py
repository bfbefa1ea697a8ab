"""What every command shares: settings or exit 78, faults to exit codes, tables and JSON."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rotator.cli import output
from rotator.host.exit_codes import Exit
from rotator.rotation.wording import CELL, counted, visible
from rotator.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from anyio import CancelScope
    from anyio.abc import TaskStatus

    from rotator.host.shutdown import Interruption
    from rotator.rotation.state import State

FAILED, USAGE, HELD, BUSY, BAD_CONFIG = Exit.FAILED, Exit.USAGE, Exit.HELD, Exit.UNDECIDED, Exit.SETTINGS
_NO_THREAD = "this host gives us no further thread: raise TasksMax= of the unit, or the limit that `ulimit -u` shows"


def settings(path: str | None, *, vaultless: bool = False) -> Settings:
    """The settings, or every fault in them and exit 78. `vaultless`: they may lack [vault]."""
    try:
        return load(path, vaultless=vaultless)
    except SettingsError as error:
        for fault in error.faults:
            output.say(str(fault), grave=True)
        output.say(f"{counted(len(error.faults), 'fault')} in the settings; nothing was done", grave=True)
        sys.exit(BAD_CONFIG)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a verb needs of the settings: with a running daemon, only where its socket is.

    `settings` None: they are faulty, and the daemon goes by those that it has.
    """

    settings: Settings | None
    socket: str


def reach(path: str | None, *, quiet: bool = False) -> Reach:
    """The settings, or at least the daemon that runs. One team's typo must not block another's `revoke`.

    Without such a daemon: every fault, and exit 78. `quiet`: the command tells of the faults itself.
    """
    try:
        found = load(path)
        return Reach(found, found.daemon.socket)
    except SettingsError as error:
        from rotator.app.control import listens
        from rotator.settings.files import main_file, socket_in
        from rotator.settings.vault_daemon import SOCKET

        socket = socket_in(main_file(path)) or SOCKET
        if not listens(socket):
            settings(path)
        if not quiet:
            output.say(f"rotate: {error.faults[0]}", err=True)
            said = "the running daemon is asked, which works by those that it has read before; its next start will fail"
            output.say(f"rotate: {counted(len(error.faults), 'fault')} in the settings: {said}", err=True)
        return Reach(None, socket)


def known(settings: Settings | None, names: Iterable[str]) -> None:
    """Raises UsageError (exit 2), with a suggestion, for a name that settings do not have."""
    from rotator.settings.errors import suggest

    for name in names if settings else ():
        if settings and name not in settings.credentials:
            hint = suggest(name, settings.credentials)
            raise click.UsageError(f"no credential is called {name!r}; {hint}")


def gravest(states: Iterable[State]) -> int:
    """The exit code of a command that only looks at states."""
    from rotator.rotation.state import GRAVEST_EXIT

    found = {each.exit for each in states}
    return next((code for code in GRAVEST_EXIT if code in found), 0)


def selected(names: Iterable[str], *, everything: bool, labels: Mapping[str, str], targets: Iterable[str] = ()) -> None:
    """Raises UsageError (exit 2) where it is not said whom a command concerns, or said twice."""
    if everything and (names or labels or targets):
        raise click.UsageError("--all is everything: name it alone, or names, labels and targets without it")
    if not (names or everything or labels or targets):
        raise click.UsageError("say which: NAME..., --all, --label KEY=VALUE, or --target NAME")


def objection(question: str) -> str:
    """Ask before something ends. Why it may not be done (exit 2): no is said, or nobody is there to be asked."""
    if not sys.stdin.isatty():
        return "nothing was done: nobody is there to be asked; say --yes"
    return "" if output.confirm(question) else "nothing was done"


Main = Callable[[], Coroutine[Any, Any, int]]


def run(main: Main, **how: Any) -> NoReturn:
    """Run the whole of an async command, and exit with its code. `how`: as `part` has it."""
    sys.exit(part(main, **how))


def part(
    main: Main,
    *,
    acts: bool = False,
    cut: Callable[[], None] | None = None,
    signals: bool = True,
    patience: float = inf,
) -> int:
    """Run an async part of a command; its exit code. A fault of the world becomes one sentence and a code.

    What a command that `acts` comes to is its work's alone; of one that only looks, the words are the work. SIGTERM or
    SIGINT ends it within ten seconds; where nobody brings its work to a safe point it is cancelled, and `cut` says what
    that means for it. `patience`: seconds for the last words to be read, then it ends without them.
    """
    import anyio

    from rotator.host.shutdown import expect

    ended: list[int | BaseException] = []

    async def guarded() -> None:
        interruption = expect()
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                if signals:
                    await group.start(_listen, interruption, scope)
                ended.append(await _code(main))
            if scope.cancelled_caught and not ended:
                (cut or _cut)()
                ended.append(BUSY)
            with anyio.move_on_after(patience) as scope:
                interruption.scope = scope
                while output.left():  # noqa: ASYNC110 (a thread writes it, which knows no event of ours)
                    await anyio.sleep(_SOON)
            group.cancel_scope.cancel()

    with output.behind():
        anyio.run(guarded)
    code = ended[0]
    if isinstance(code, BaseException):
        raise code
    if reason := output.trouble():
        output.say(f"rotate: standard output cannot be written: {reason}{_REGARDLESS if acts else ''}", grave=True)
        code = code if acts else code or FAILED
    return code


_SOON = 0.01  # seconds
_REGARDLESS = "; the work itself went on to its end, see `rotate status`"


def _cut() -> None:
    output.say("rotate: interrupted; nothing was changed", err=True)


async def _listen(interruption: Interruption, scope: CancelScope, *, task_status: TaskStatus[None]) -> None:
    """A first signal asks for an end at a safe point, a second one, or eight seconds, for one at once."""
    import anyio

    from rotator.host.shutdown import SAFE

    interruption.scope = scope
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if not interruption.signal and interruption.heeded:
                _end_in_any_case()
                interruption.ask(signal.Signals(number).name)
                with anyio.move_on_after(SAFE):
                    await anext(aiter(signals))
            elif not interruption.signal:
                _end_in_any_case()
                interruption.ask(signal.Signals(number).name)
            interruption.scope.cancel()


def _end_in_any_case() -> None:
    """A request that is never answered, or a reader that reads nothing, must not keep who asked us to end."""
    from rotator.host.process import end_within
    from rotator.host.shutdown import LAST

    end_within(LAST, lambda: BUSY)


async def _code(main: Main) -> int | BaseException:
    """The exit code; what is no fault of the world is handed back as it is."""
    from rotator.ports import Fault, OnlyLooks, Transient

    try:
        return await main()
    except Transient as fault:
        return _told(fault.reason, BUSY)
    except OnlyLooks as fault:
        return _told(fault.reason, USAGE)
    except Fault as fault:
        return _told(fault.reason, FAILED)
    except RuntimeError as fault:
        return _told(_NO_THREAD, BUSY) if "new thread" in str(fault) else fault
    except BaseExceptionGroup as group:
        first = _first_fault(group, Fault)
        if first is None and "new thread" in str(_first_fault(group, RuntimeError)):
            return _told(_NO_THREAD, BUSY)
        if first is None:
            return group
        known = BUSY if isinstance(first, Transient) else USAGE if isinstance(first, OnlyLooks) else FAILED
        return _told(first.reason, known)
    except Exception as other:  # noqa: BLE001 (raised again, outside our task group)
        return other


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
    output.say(f"rotate: {text}", grave=True)
    return code


def show_json(document: object) -> None:
    """Print a document for machines. Times are written as ISO 8601."""
    output.document(document, indent=2)


def show_line(document: object) -> None:
    """Print one of many documents, each on a line of its own."""
    output.document(document)


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, err: bool = False) -> None:
    """Print columns as wide as they need to be; the last one may run on."""
    lines = [tuple(heads), *(tuple(_cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        text = "  ".join((*cells, line[-1])).rstrip()
        output.say(output.style(text, bold=True) if number == 0 else text, err=err)


def _cells(row: Sequence[str]) -> Iterator[str]:
    """What others wrote takes one row, and no more of a column than can be read; the last may run on."""
    for number, cell in enumerate(row, 1):
        yield visible(cell, CELL if number < len(row) else 4 * CELL)


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
