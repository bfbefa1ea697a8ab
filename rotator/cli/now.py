"""`rotate now`, `due` and `supply`: over the daemon's socket where it may be, else alone under the same leases."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import base, output
from rotator.cli.base import FutureTime, Length, written
from rotator.host.files import handed_over

if TYPE_CHECKING:
    from rotator.commands.rotate import RotateCommand
    from rotator.ports import Fault
    from rotator.rotation.secret import Secret
    from rotator.settings import Settings

_LONGEST = 64 * 1024  # bytes of a value
_PATIENCE = 60.0  # seconds for it to arrive


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every credential in the settings.")
@base.LABEL
@click.option("--target", "targets", multiple=True, metavar="NAME", help="All that live on this target.")
@click.option("--wait", "patient", is_flag=True, help="Wait out a grace, until the predecessors are proven dead.")
@click.option("--emergency", is_flag=True, help="No grace: the predecessor dies once the successor is proven.")
@click.option("--within", type=Length(), help="How long to wait for a verdict.  [default: 5m; a grace not counted]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def now_command(config: str | None, /, names: tuple[str, ...], as_json: bool, **wanted: Any) -> None:
    """Rotate now and follow it, step by step, to its verdict. Joins a rotation in flight.

    It ends as soon as the verdict is there, or when none can come within the time; exit 75 then. With --wait a grace
    that is on is waited out, however long it is, unless --within says otherwise.
    """
    targets = wanted["targets"] = list(wanted["targets"])
    base.selected(names, everything=wanted["everything"], labels=wanted["labels"], targets=targets)
    reached = base.reach_daemon(config)
    base.known(reached.settings, names)
    within = {"within": written(limit)} if (limit := wanted.pop("within")) else {}
    request = {"names": list(names), "by": me(), **wanted, **within}
    verdicts = Verdicts(names, as_json=as_json)
    noted: dict[str, Any] = {}  # that the request is accepted, which is told once something comes of it

    def show(line: dict[str, Any]) -> None:
        verdicts.hear(line)
        if as_json:
            base.show_line(line)
        elif "accepted" in line:
            noted.update(line)
        else:
            if noted and not _declined(line):
                say(noted)
                noted.clear()
            say(line)

    base.run(
        lambda: base.follow(lines(reached, request, verdicts), show, unanswered=_UNANSWERED),
        acts=True,
        cut=verdicts.cut,
    )


class Verdicts:
    """The verdicts so far. `handed`: a daemon has taken the request and continues it by itself."""

    def __init__(self, names: Iterable[str], *, as_json: bool) -> None:
        self._open = dict.fromkeys(names)
        self._as_json = as_json
        self.handed = False
        self.accepted = False  # it is in Vault
        self.published: set[str] = set()  # whose new value is live

    def hear(self, line: Mapping[str, Any]) -> None:
        """One line of progress, or verdicts."""
        self.accepted = self.accepted or "accepted" in line
        for verdict in line.get("verdicts", ()):
            self._open.pop(verdict["credential"], None)
            if verdict["answer"] in ("done", "published"):
                self.published.add(verdict["credential"])

    def show(self, line: dict[str, Any]) -> None:
        """Print one, as the caller wants it."""
        base.show_line(line) if self._as_json else say(line)

    def cut(self) -> None:
        """The command was ended before all verdicts came."""
        said = _HANDED if self.handed else _WRITTEN if self.accepted else _UNBEGUN
        left = [{"credential": name, "answer": "open", "exit": base.BUSY, "said": said} for name in self._open]
        line = {"verdicts": left, "exit": base.BUSY}
        self.show(line)
        if not left and not self._as_json:
            output.say(f"rotate: {said}", err=True)


def _declined(line: Mapping[str, Any]) -> bool:
    """Whether this verdict means that nothing was begun."""
    if line.get("event") == "request.declined":
        return True
    answers = {verdict["answer"] for verdict in line.get("verdicts", ())}
    return bool(answers) and answers <= {"in_grace", "not_open", "held", "paused", "awaiting", "failed"}


_HANDED = "this command was ended; the daemon heard what was asked for and goes on with it, ask `rotate status`"
_UNBEGUN = "not begun: this command was ended before, and nothing was written for it; ask again"
_WRITTEN = "this command was ended; what was asked for is in Vault: a daemon goes on with it, or the next `rotate due`"
_UNANSWERED = (
    "the daemon ended before the verdict; what it accepted is in Vault and goes on with the next one: `rotate status`"
)


def me() -> str:
    """The person who asks, for receipts."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        return f"uid {os.getuid()}"


async def lines(reached: base.Reach, request: dict[str, Any], verdicts: Verdicts) -> AsyncGenerator[dict[str, Any]]:
    """Progress and verdict, through a daemon or alone."""
    from rotator.app import control

    if reached.whole and not await control.answers(reached.socket):
        reached = reached.read()
    if reached.settings is None or await control.answers(reached.socket):
        verdicts.handed = True
        async with aclosing(control.call(reached.socket, {"verb": "now", **request})) as replies:
            async for reply in replies:
                yield reply
        return
    from rotator.app.standalone import rotate_alone
    from rotator.commands.rotate import parse_rotate_command
    from rotator.ports import StoreRefused, Transient

    wanted = parse_rotate_command(request)
    wait = _Wait(reached.settings, wanted, verdicts)
    try:
        async with aclosing(rotate_alone(reached.settings, wanted, wait.missed)) as told:
            async for line in told:
                wait.over()
                yield line
    except (Transient, StoreRefused) as fault:
        if verdicts.accepted or not wanted.emergency:
            raise
        yield wait.in_vain(fault)


class _Wait:
    """Waiting for a Vault that does not respond. After a leak, tell after a while what a person can do meanwhile."""

    def __init__(self, settings: Settings, wanted: RotateCommand, verdicts: Verdicts) -> None:
        from rotator.commands.rotate import select

        self._settings, self._emergency, self._show = settings, wanted.emergency, verdicts.show
        self._names = select(settings, wanted)[0]
        self._timer: asyncio.TimerHandle | None = None
        self._helped = False

    def missed(self, reason: str) -> None:
        """Print why a try failed."""
        from rotator.commands.rotate import AFTER

        base.waits_for_vault(reason)
        if self._emergency and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER, self._help)

    def over(self) -> None:
        """Vault responds."""
        if self._timer:
            self._timer.cancel()

    def in_vain(self, fault: Fault) -> dict[str, Any]:
        """The verdicts when Vault never responded, or refused us."""
        from rotator.ports import Transient

        self.over()
        away = isinstance(fault, Transient)
        self._help(locked_out=not away)
        answer, code = ("open", base.BUSY) if away else ("failed", base.FAILED)
        said = f"nothing could be written down in Vault, so nothing was begun: {fault.reason}"
        said = f"undecided: {said}; ask again, `--wait` asks as long as Vault is away" if away else said
        return {
            "verdicts": [{"credential": name, "answer": answer, "exit": code, "said": said} for name in self._names],
            "exit": code,
        }

    def _help(self, *, locked_out: bool = False) -> None:
        from rotator.commands.rotate import instructions

        if not self._helped:
            self._helped = True
            for name, said in zip(
                self._names, instructions(self._settings, self._names, {}, locked_out=locked_out), strict=True
            ):
                self._show({"by_hand": name, "said": said})


_MARKS = {"done": "green", "published": "green", "failed": "red", "held": "red"}


def say(line: dict[str, Any]) -> None:
    """One line of progress, or the verdicts, for people."""
    if "error" in line:
        output.say(f"rotate: {line['error']}", err=True)
    for verdict in line.get("verdicts", ()):
        colour = _MARKS.get(verdict["answer"], "yellow")
        output.say(f"{verdict['credential']}: {output.style(verdict['answer'], fg=colour)}: {verdict['said']}")
    if "hooks_failed" in line:
        output.say(f"rotate: {line['said']}", err=True)
    if "accepted" in line or "by_hand" in line:
        output.say(line["said"], err=True)
    if "waiting" in line:
        output.say(f"waiting for {line['waiting']}; {line['said']}", err=True)
    if "event" in line:
        output.say(f"{line['credential']}  {line['event']:<22} {line['said']}")


@click.command()
@click.option("--within", type=Length(), default="10m", show_default=True, help="When the pass ends all the same.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def due_command(config: str | None, within: timedelta, as_json: bool) -> None:
    """Do whatever is due, each credential once, stay while something comes due within a minute, then exit.

    The last line, and --json, say what was done. Exit 4 when all of it was, and a hook failed.
    """
    settings = base.settings(config)
    from rotator.app.standalone import one_pass
    from rotator.cli.status import show
    from rotator.observe.health import states

    async def main() -> int:
        made = await one_pass(settings, within.total_seconds(), base.waits_for_vault)
        actor, now = made.actor, made.actor.clock.now()
        seen = states(actor.worker_pool, now)
        if as_json:
            told = {"done": made.done, "said": made.said(), "hooks_failed": sorted(actor.hooks_failed)}
            base.show_json({**told, "credentials": [asdict(each) for each in seen]})
        else:
            show(seen, now, as_json=False)
            output.say(made.said())
        return made.code

    base.run(main, acts=True)


@click.command()
@click.argument("name")
@click.option("--file", "path", type=click.Path(dir_okay=False), help="Read the value from a file; else from stdin.")
@click.option(
    "--expires",
    type=FutureTime(),
    help='When the value ends, as the target shows it: "2027-01-31", UTC unless it names a zone; else by `lifetime`.',
)
@click.pass_obj
def supply_command(config: str | None, name: str, path: str | None, expires: datetime | None) -> None:
    """Hand over a value that a person made, for a credential that waits for one or is to be rotated.

    The value comes from standard input or a file, never from the command line. It is staged in Vault, proven on the
    target and published; what the target refuses is not published.
    """
    settings = base.settings(config)
    base.known(settings, [name])
    value = _read(path)

    async def main() -> int:
        from rotator.app import control
        from rotator.app.standalone import hooks_failed, working
        from rotator.app.vault_fitness import refuse_unfit_for
        from rotator.commands.supply import PATIENCE, supply

        async with working(settings, PATIENCE, visits=False, missed=base.waits_for_vault) as (actor, _):
            await refuse_unfit_for(actor, [name])
            said, code = await supply(actor, name, value, getpass.getuser(), expires)
        output.say(f"{name}: {said}")
        if actor.hooks_failed:
            failed = hooks_failed(actor, code)
            output.say(f"rotate: {failed['said']}", err=True)
            code = failed["exit"]
        if await control.answers(settings.daemon.socket):
            async for _ in control.call(settings.daemon.socket, {"verb": "look", "names": [name]}):
                pass
        return code

    base.run(main, acts=True)


def _read(path: str | None) -> Secret:
    from rotator.rotation.secret import Secret

    try:
        given = _from(path) if path else _typed()
        text = given[: _LONGEST + 1].decode().strip()
    except OSError as fault:
        raise click.UsageError(f"{path} cannot be read: {fault.strerror}") from None
    except TimeoutError:
        raise click.UsageError(f"{path or 'standard input'} did not end within {_PATIENCE:g} s") from None
    except UnicodeDecodeError:
        raise click.UsageError("the value is not UTF-8 text") from None
    if not text:
        raise click.UsageError("no value was given: pipe it in, or name a file with --file")
    if len(given) > _LONGEST:
        raise click.UsageError(f"the value is longer than {_LONGEST // 1024} KiB")
    return Secret(text)


def _typed() -> bytes:
    if sys.stdin.isatty():
        return getpass.getpass("Value (not shown): ").encode()
    return handed_over(sys.stdin.fileno(), _LONGEST, _PATIENCE)


def _from(path: str) -> bytes:
    """Read a file, or a pipe such as `<(pass show bot)`."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return handed_over(number, _LONGEST, _PATIENCE)
    finally:
        os.close(number)
