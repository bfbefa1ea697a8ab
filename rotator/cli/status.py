"""`rotate status`, `rotate plan` and `rotate explain`: they read and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from rotator.cli import base, output
from rotator.commands.snapshot import Selection, Snapshot, WrongSelection, asked, told
from rotator.rotation.call_budget import PlannedCalls
from rotator.rotation.credential_state import Headline, Severity, State
from rotator.rotation.operator_request import Unclaimed
from rotator.rotation.ownership import Unmanaged
from rotator.settings import Settings, planned_calls_of

UNMANAGED = "unmanaged"
_AGAIN = 2.0  # seconds between two looks of `--watch`


def _selecting(command: Callable[..., None]) -> Callable[..., None]:
    """The options that select what `status` and `plan` show."""
    words = [*(each.value for each in Headline), *(each.value for each in Severity)]
    options = (
        click.argument("names", nargs=-1),
        base.LABEL,
        click.option("--target", "targets", multiple=True, metavar="NAME", help="All that live on this target."),
        click.option(
            "--state", "words", multiple=True, metavar="WORD", type=click.Choice(words),
            help="Only those in this state, such as `held`; or `act`, `watch`, `fine`.",
        ),
        click.option("--limit", type=click.IntRange(1), metavar="N", help="So many, the worst first."),
        click.option("--json", "as_json", is_flag=True, help="JSON for machines."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


async def _look(reached: base.Reach, selection: Selection) -> tuple[base.Reach, Snapshot]:
    """The states, from the daemon or from the journal, and what was reached in the end."""
    with _usage():
        return await _looked(reached, selection)


@contextmanager
def _usage() -> Iterator[None]:
    """A selection of what is not there is a wrong use of the command."""
    try:
        yield
    except WrongSelection as fault:
        raise click.UsageError(fault.reason) from None


async def _looked(reached: base.Reach, selection: Selection) -> tuple[base.Reach, Snapshot]:
    from rotator.ports import Transient

    if reached.settings is None:
        if found := await asked(reached.socket, selection, None):
            return reached, found
        reached = reached.read()
    settings = reached.settings
    if settings is None:
        raise Transient(f"the daemon on {reached.socket} shows nothing of that; its log may say why")
    from rotator.commands.status import look

    base.known(settings, selection.names)
    return reached, await look(settings, selection)


@click.command()
@_selecting
@click.option("--watch", is_flag=True, help="Show it again and again, until interrupted.")
@click.pass_obj
def status_command(config: str | None, /, as_json: bool, watch: bool, **selected: Any) -> None:
    """Every credential at a glance: its state, how old its value is, what comes next, what is wrong.

    A running daemon answers from what it saw last. Exit 5 when a published value is refused or has expired, 1 when one
    is overdue or cannot be worked on, 3 when one is held or waits for a person.
    """
    reached, selection = base.reach_daemon(config), Selection(**selected)
    base.known(reached.settings, selection.names)

    async def main() -> int:
        import anyio

        nonlocal reached
        while True:
            reached, seen = await _look(reached, selection)
            if watch:
                output.clear()
            code = _show_status(seen, reached, as_json=as_json)
            if not watch:
                return code
            await anyio.sleep(_AGAIN)

    base.run(main, cut=(lambda: None) if watch else None)


def _show_status(seen: Snapshot, reached: base.Reach, *, as_json: bool) -> int:
    show(seen.states, seen.at, as_json=as_json, left=seen.left, unclaimed=seen.unclaimed)
    say_more(seen)
    if seen.read_only:
        output.say("rotate: [daemon] read_only = true: this is a copy, which is looked at and never acts", err=True)
    if seen.refused and (reached.settings or reached.whole):
        said = "the daemon refused the settings when it last read them, and works by the ones before"
        again = "once that is mended, `rotate reload`; until then its next start will fail"
        output.say(f"rotate: {said}: {seen.refused}; {again}", err=True)
    say_stale(seen)
    if seen.login:
        output.say(f"rotate: the login to Vault: {seen.login}; hand over a new one in time", err=True)
    return seen.code or (base.BUSY if seen.stale else 0)


def say_more(seen: Snapshot) -> None:
    """Print how many a limit left out."""
    if seen.more:
        output.say(f"rotate: {seen.more} more are not shown; see --limit", err=True)


def say_stale(seen: Snapshot) -> None:
    """Print that Vault cannot be read, and the age of what the daemon knows."""
    if not seen.stale:
        return
    oldest = min((each.read_at for each in seen.states if each.read_at), default=None)
    age = f", {base.span(seen.at - oldest)} ago or less" if oldest else ""
    output.say(f"rotate: Vault cannot be read, this is what the daemon saw before{age}: {seen.stale}", err=True)
    if seen.unseen:
        said = "the running daemon has not read settings that name them (`rotate reload`)"
        output.say(f"rotate: not shown: {', '.join(seen.unseen)}: {said}", err=True)


def show(
    states: Sequence[State],
    now: datetime,
    *,
    as_json: bool,
    left: Sequence[Unmanaged] = (),
    unclaimed: Sequence[Unclaimed] = (),
) -> None:
    """Print states and unmanaged values, as tables or as JSON."""
    if as_json:
        rows = [*map(unmanaged_row, left), *map(unclaimed_row, unclaimed)]
        base.show_json([*(asdict(each) for each in states), *rows])
        return
    heads = ("NAME", "STATE", "ROT", "LIVE", "PUBLISHED", "EXPIRES", "NEXT", "")
    base.show_table(heads, (_cells(each, now) for each in states))
    if left:
        output.say()
        output.say("Of credentials that left the settings, alive by their records, and rotated by nobody:")
        columns = ("NAME", "STATE", "TARGET", "TOKEN", "PUBLISHED AT", "EXPIRES", "TO END IT")
        base.show_table(columns, (_left(each, now) for each in left))
    tell_unclaimed(unclaimed)


def tell_unclaimed(unclaimed: Sequence[Unclaimed]) -> None:
    """Print requests that will not be carried out."""
    for each in unclaimed:
        output.say(f"rotate: {each.credential}: {each.said}; given up at {each.until:%F %T}Z", err=True)


def unclaimed_row(each: Unclaimed) -> dict[str, object]:
    """An unclaimed request for machines."""
    return {"name": each.credential, "word": "unclaimed request", "said": each.said, "until": each.until}


def unmanaged_row(each: Unmanaged) -> dict[str, object]:
    """An unmanaged value for machines, with the keys of states where they mean the same."""
    return {"name": each.credential, "word": UNMANAGED, **asdict(each), "do": each.end}


def _left(each: Unmanaged, now: datetime) -> tuple[str, ...]:
    expires = base.ago(each.expires_at, now) if each.expires_at else "never"
    return each.credential, UNMANAGED, each.target, each.token, each.path, expires, each.end


def _cells(state: State, now: datetime) -> tuple[str, ...]:
    return (
        state.name,
        state.word,
        str(state.rotation) if state.known else "-",
        str(state.live) if state.known else "-",
        f"adopted {base.ago(state.published_at, now)}" if state.adopted else base.ago(state.published_at, now),
        base.ago(state.expires_at, now),
        "now" if state.next_at and state.next_at <= now else base.ago(state.next_at, now),
        _said(state, now),
    )


def _said(state: State, now: datetime) -> str:
    asked = [f"asked for and not taken up yet: {state.asked}"] if state.asked else []
    return "; ".join([*asked, *filter(None, [state.said or _calm(state, now)])])


def _calm(state: State, now: datetime) -> str:
    """The note about a credential without trouble."""
    if state.lease:
        return state.lease.partition(";")[0]
    return f"accepted {base.ago(state.accepted_at, now)}" if state.accepted_at else ""


@click.command()
@_selecting
@click.option("--calls", is_flag=True, help="Instead: the calls an hour that each target gets, by what they are for.")
@click.pass_obj
def plan_command(config: str | None, /, as_json: bool, calls: bool, **selected: Any) -> None:
    """Show the next step of every credential and its reason. No effects. Exit as `rotate status` does."""
    if calls:
        _show_calls(base.settings(config), as_json=as_json)
        return
    reached, selection = base.reach_daemon(config), Selection(**selected)
    base.known(reached.settings, selection.names)

    async def main() -> int:
        _, seen = await _look(reached, selection)
        if as_json:
            base.show_json(
                [
                    *(asdict(each) for each in seen.states),
                    *map(unmanaged_row, seen.left),
                    *map(unclaimed_row, seen.unclaimed),
                ]
            )
        else:
            cells = [(each.name, each.target, each.word.value, _next(each)) for each in seen.states]
            cells += [(each.credential, each.target, UNMANAGED, each.next) for each in seen.left]
            base.show_table(("NAME", "TARGET", "STATE", "NEXT"), cells)
            tell_unclaimed(seen.unclaimed)
        say_more(seen)
        say_stale(seen)
        return seen.code or (base.BUSY if seen.stale else 0)

    base.run(main)


def _show_calls(settings: Settings, *, as_json: bool) -> None:
    """The planned calls to each target: by settings alone, while nothing fails."""
    planned = planned_calls_of(settings)
    if as_json:
        base.show_json([{"target": name, "together": each.together, **asdict(each)} for name, each in planned.items()])
        return
    heads = ("TARGET", "CREDENTIALS", "ROTATIONS", "PROBES", "LISTINGS", "TOGETHER", "ALLOWED", "AT A START")
    base.show_table(heads, ((name, *_counts(each)) for name, each in planned.items()))
    output.say()
    output.say(
        "Calls an hour of one process at least, while nothing fails. Where they are short, emergencies go first, then"
    )
    output.say("rotations under way, then what is due, then probes, comparisons, listings and looks.")


def _counts(planned: PlannedCalls) -> tuple[str, ...]:
    hourly = (planned.rotations, planned.probes, planned.listings, planned.together, planned.allowed)
    return (f"{planned.credentials:,}", *(f"{number:,.1f}" for number in hourly), f"{planned.start:,}")


def _next(state: State) -> str:
    return f"take up {state.asked}; before that: {state.next}" if state.asked else state.next


@click.command()
@click.argument("name")
@click.pass_obj
def explain_command(config: str | None, name: str) -> None:
    """Say in sentences why a credential is as it is, and what comes next.

    Exit as `rotate status` does: 5 when the published value is refused or has expired, 1 when it is overdue or cannot
    be worked on, 3 when it is held or waits for a person.
    """
    reached = base.reach_daemon(config)
    base.known(reached.settings, [name])

    async def main() -> int:
        from rotator.ports import Transient

        sentences, code = list[str](), 0
        if reached.settings is None:
            with _usage():
                sentences, code = await told(reached.socket, name, None)
        settings = reached.settings if sentences else reached.read().settings
        if not sentences and settings:
            from rotator.commands.status import explained

            base.known(settings, [name])
            sentences, code = await explained(settings, name)
        if not sentences:
            raise Transient(f"the daemon on {reached.socket} says nothing of {name}; does it know that credential?")
        for sentence in sentences:
            output.say(sentence)
        return code

    base.run(main)
