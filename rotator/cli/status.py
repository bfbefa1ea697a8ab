"""`rotate status`, `rotate plan` and `rotate explain`: they read and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from rotator.cli import base, output
from rotator.rotation.credential_state import State
from rotator.rotation.operator_request import Unclaimed
from rotator.rotation.ownership import Unmanaged

if TYPE_CHECKING:
    from rotator.commands.status import Snapshot

UNMANAGED = "unmanaged"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def status_command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Every credential at a glance: its state, how old its value is, what comes next, what is wrong.

    Exit 5 when a published value is refused or has expired, 1 when one is overdue or cannot be worked on, 3 when one is
    held or waits for a person.
    """
    reached = base.reach(config)
    base.known(reached.settings, names)

    async def main() -> int:
        from rotator.commands.status import reached_look

        settings = reached.settings
        seen = await reached_look(settings, reached.socket, names)
        show(seen.states, seen.at, as_json=as_json, left=seen.left, unclaimed=seen.unclaimed)
        if settings and settings.daemon.read_only:
            output.say("rotate: [daemon] read_only = true: this is a copy, which is looked at and never acts", err=True)
        if seen.refused and settings:
            said = "the daemon refused the settings when it last read them, and works by the ones before"
            again = "once that is mended, `rotate reload`; until then its next start will fail"
            output.say(f"rotate: {said}: {seen.refused}; {again}", err=True)
        say_stale(seen)
        if seen.login:
            output.say(f"rotate: the login to Vault: {seen.login}; hand over a new one in time", err=True)
        return base.gravest(seen.states) or (base.BUSY if seen.stale else 0)

    base.run(main)


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
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def plan_command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Show the next step of every credential and its reason. No effects. Exit as `rotate status` does."""
    reached = base.reach(config)
    base.known(reached.settings, names)

    async def main() -> int:
        from rotator.commands.status import reached_look

        seen = await reached_look(reached.settings, reached.socket, names)
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
        say_stale(seen)
        return base.gravest(seen.states) or (base.BUSY if seen.stale else 0)

    base.run(main)


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
    reached = base.reach(config)
    base.known(reached.settings, [name])

    async def main() -> int:
        from rotator.commands.status import explained, told
        from rotator.ports import Transient

        settings = reached.settings
        sentences, code = await explained(settings, name) if settings else await told(reached.socket, name, None)
        if not sentences:
            raise Transient(f"the daemon on {reached.socket} says nothing of {name}; does it know that credential?")
        for sentence in sentences:
            output.say(sentence)
        return code

    base.run(main)
