"""Shared parts of all commands: settings or exit 78, faults as exit codes, interruption, options, tables and JSON."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rotator.cli import output
from rotator.host.exit_codes import Exit
from rotator.rotation.wording import CELL, counted, visible
from rotator.settings import Settings, SettingsError, load
from rotator.settings.parsers import WrongValueError
from rotator.settings.parsers import span as read_span

if TYPE_CHECKING:
    from anyio import CancelScope
    from anyio.abc import TaskStatus

    from rotator.host.shutdown import Interruption

FAILED, USAGE, HELD, BUSY, BAD_CONFIG = Exit.FAILED, Exit.USAGE, Exit.HELD, Exit.UNDECIDED, Exit.SETTINGS
_NO_THREAD = "this host gives us no further thread: raise TasksMax= of the unit, or the limit that `ulimit -u` shows"
_DAY = timedelta(days=1)


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
    """The settings, or at least the socket of a running daemon.

    `settings` None: the daemon is asked, and uses those that it has: ours are faulty, or it has the very same.
    """

    settings: Settings | None
    socket: str
    path: str | None = None
    whole: bool = False  # ours were not read, because the daemon has the very same

    def read(self) -> Reach:
        """Read the settings that were not needed so far: the daemon has gone."""
        return reach(self.path) if self.whole else self


def reach(path: str | None, *, quiet: bool = False) -> Reach:
    """The settings, or at least a running daemon. One team's typo must not block another's `revoke`.

    Without a daemon: print every fault and exit with 78. `quiet`: the command prints the faults itself.
    """
    if given := _given_socket():
        return Reach(None, given)
    try:
        found = load(path)
        return Reach(found, found.daemon.socket)
    except SettingsError as error:
        from rotator.app.control import listens
        from rotator.settings.files import main_file, socket_in
        from rotator.settings.sections import SOCKET

        socket = socket_in(main_file(path)) or SOCKET
        if not listens(socket):
            settings(path)
        if not quiet:
            output.say(f"rotate: {error.faults[0]}", err=True)
            said = "the running daemon is asked, which works by those that it has read before; its next start will fail"
            output.say(f"rotate: {counted(len(error.faults), 'fault')} in the settings: {said}", err=True)
        return Reach(None, socket)


def _given_socket() -> str:
    """What `--socket` names."""
    context = click.get_current_context(silent=True)
    return str((context and context.find_root().params.get("socket")) or "")


def reach_daemon(path: str | None) -> Reach:
    """The running daemon, if it works by the very settings that are on disk; else the settings, as `reach` does.

    Reading ten thousand credentials takes seconds, and the answer of such a daemon does not need it.
    """
    from rotator.app.control import digest_of
    from rotator.settings.files import digest, main_file, socket_in
    from rotator.settings.sections import SOCKET

    if given := _given_socket():
        return Reach(None, given)
    main = main_file(path)
    socket = socket_in(main) or SOCKET
    found = digest_of(socket)
    return Reach(None, socket, path, whole=True) if found and found == digest(main) else reach(path)


def known(settings: Settings | None, names: Iterable[str]) -> None:
    """Raise UsageError (exit 2) with a suggestion for a name that is not in the settings."""
    if settings:
        _in_settings("credential", names, settings.credentials)


def known_target(settings: Settings | None, name: str) -> None:
    """Raise UsageError (exit 2) with a suggestion for a target that is not in the settings; empty: none is meant."""
    if settings and name:
        _in_settings("target", (name,), settings.targets)


def _in_settings(what: str, names: Iterable[str], there: Mapping[str, object]) -> None:
    from rotator.settings.parsers import suggest

    for name in names:
        if name not in there:
            raise click.UsageError(f"no {what} is called {name!r}; {suggest(name, there)}")


def labels(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read `--label KEY=VALUE`, which may be given several times. Raises BadParameter (exit 2)."""
    if wrong := [value for value in values if not all(value.partition("="))]:
        raise click.BadParameter(f"{wrong[0]!r} is not KEY=VALUE")
    found = dict(value.split("=", 1) for value in values)
    if twice := [value for value in values if found[value.split("=", 1)[0]] != value.split("=", 1)[1]]:
        raise click.BadParameter(f"{twice[0]!r} and another value of it: no credential carries both")
    return found


LABEL = click.option(
    "--label", "labels", multiple=True, metavar="KEY=VALUE", callback=labels, help="All that carry it."
)


def selected(names: Iterable[str], *, everything: bool, labels: Mapping[str, str], targets: Iterable[str] = ()) -> None:
    """Raise UsageError (exit 2) when the selection of credentials is missing or given twice."""
    if everything and (names or labels or targets):
        raise click.UsageError("--all is everything: name it alone, or names, labels and targets without it")
    if not (names or everything or labels or targets):
        raise click.UsageError("say which: NAME..., --all, --label KEY=VALUE, or --target NAME")


def objection(question: str) -> str:
    """Ask a person for confirmation. Returns why not (exit 2): the answer is no, or there is no terminal."""
    if not sys.stdin.isatty():
        return "nothing was done: nobody is there to be asked; say --yes"
    return "" if output.confirm(question) else "nothing was done"


async def follow(
    lines: AsyncGenerator[dict[str, Any]], show: Callable[[dict[str, Any]], None], *, unanswered: str = ""
) -> int:
    """Show the lines of an answer as they come. Returns the exit code that they name.

    `unanswered`: what to tell when they end without one, which is exit 75.
    """
    code = None
    async with aclosing(lines):
        async for line in lines:
            code = line.get("exit", code)
            show(line)
    if code is None and unanswered:
        output.say(f"rotate: {unanswered}", grave=True)
    return BUSY if code is None else int(code)


Main = Callable[[], Coroutine[Any, Any, int]]


def run(main: Main, **how: Any) -> NoReturn:
    """Run an async command, and exit with its code. `how`: see `part`."""
    sys.exit(part(main, **how))


def part(
    main: Main,
    *,
    acts: bool = False,
    cut: Callable[[], None] | None = None,
    signals: bool = True,
    patience: float = inf,
) -> int:
    """Run an async part of a command. Returns its exit code. A fault becomes one sentence and a code.

    `acts`: the exit code comes from the work alone, even if its output cannot be written. SIGTERM or SIGINT ends the
    part within ten seconds, at a safe point if the work heeds signals; otherwise it is cancelled, and `cut` prints
    what that means. `patience`: seconds for writing the last output.
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
    """A first signal asks for an end at a safe point; a second one, or eight seconds, cancel at once."""
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
    """End the process in time, even if a request or the reader of our output hangs."""
    from rotator.host.process import end_within
    from rotator.host.shutdown import LAST

    end_within(LAST, lambda: BUSY)


async def _code(main: Main) -> int | BaseException:
    """The exit code, or an exception that is a bug."""
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
    """Tell the waiting person why nothing happens yet."""
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
    """Print columns with their needed width; the last one may overflow."""
    lines = [tuple(heads), *(tuple(_cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        text = "  ".join((*cells, line[-1])).rstrip()
        output.say(output.style(text, bold=True) if number == 0 else text, err=err)


def _cells(row: Sequence[str]) -> Iterator[str]:
    """The cells of a row, cut and on one line; the last may be longer."""
    for number, cell in enumerate(row, 1):
        yield visible(cell, CELL if number < len(row) else 4 * CELL)


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago, or how soon, in two units at most."""
    if then is None:
        return "-"
    return f"{span(now - then)} ago" if then <= now else f"in {span(then - now)}"


def span(length: timedelta) -> str:
    """A duration in at most two units."""
    seconds = int(length.total_seconds())
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size}{unit}{f' {rest}{small}' if rest else ''}"
    return f"{seconds}s"


class Length(click.ParamType[timedelta]):
    """An option with a duration from `low` to `high`, written as in settings: `90s`, `1h30m`."""

    name = "duration"

    def __init__(self, low: timedelta = timedelta(seconds=1), high: timedelta = _DAY) -> None:
        self.low, self.high = low, high

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See click. Fails with the words that settings have for it."""
        if isinstance(value, timedelta):
            return value
        try:
            return read_span(self.low, self.high)(value)
        except WrongValueError as fault:
            self.fail(f"{value!r} {fault}", param, ctx)


class FutureTime(click.ParamType[datetime]):
    """An option with a future time, ISO 8601; UTC unless it has a zone."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See click."""
        if isinstance(value, datetime):
            return value
        try:
            told = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f'{value!r} is no moment: write it as "2026-12-31" or "2026-12-31T18:00Z"', param, ctx)
        moment = told if told.tzinfo else told.replace(tzinfo=UTC)
        if moment <= datetime.now(UTC):
            self.fail(f"{value!r} is over already (UTC, unless it names another zone)", param, ctx)
        return moment


def written(length: timedelta) -> str:
    """A duration for a request."""
    return f"{round(length.total_seconds())}s"
