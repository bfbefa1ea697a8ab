"""The command `rotate status`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell
from rotator.rotation.operator_request import Unclaimed
from rotator.rotation.ownership import Unmanaged
from rotator.rotation.state import State

if TYPE_CHECKING:
    from rotator.commands.inspect import Snapshot

UNMANAGED = "unmanaged"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Every credential at a glance: its state, how old its value is, what comes next, what is wrong.

    Exit 5 when a published value is refused or has expired, 1 when one is overdue or cannot be worked on, 3 when one is
    held or waits for a person.
    """
    reached = shell.reach(config)
    shell.known(reached.settings, names)

    async def main() -> int:
        from rotator.commands.inspect import reached_look

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
        return shell.gravest(seen.states) or (shell.BUSY if seen.stale else 0)

    shell.run(main)


def say_stale(seen: Snapshot) -> None:
    """That Vault cannot be read, and how old what the daemon knows is."""
    if not seen.stale:
        return
    oldest = min((each.read_at for each in seen.states if each.read_at), default=None)
    age = f", {shell.span(seen.at - oldest)} ago or less" if oldest else ""
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
    """Print states, and what nobody manages any more, as tables or as JSON."""
    if as_json:
        rows = [*map(unmanaged_row, left), *map(unclaimed_row, unclaimed)]
        shell.show_json([*(asdict(each) for each in states), *rows])
        return
    heads = ("NAME", "STATE", "ROT", "LIVE", "PUBLISHED", "EXPIRES", "NEXT", "")
    shell.show_table(heads, (_cells(each, now) for each in states))
    if left:
        output.say()
        output.say("Of credentials that left the settings, alive by their records, and rotated by nobody:")
        columns = ("NAME", "STATE", "TARGET", "TOKEN", "PUBLISHED AT", "EXPIRES", "TO END IT")
        shell.show_table(columns, (_left(each, now) for each in left))
    tell_unclaimed(unclaimed)


def tell_unclaimed(unclaimed: Sequence[Unclaimed]) -> None:
    """Print what was asked for, and nobody will do."""
    for each in unclaimed:
        output.say(f"rotate: {each.credential}: {each.said}; given up at {each.until:%F %T}Z", err=True)


def unclaimed_row(each: Unclaimed) -> dict[str, object]:
    """One of them for machines."""
    return {"name": each.credential, "word": "unclaimed request", "said": each.said, "until": each.until}


def unmanaged_row(each: Unmanaged) -> dict[str, object]:
    """One of them for machines, with the keys that states have where they mean the same."""
    return {"name": each.credential, "word": UNMANAGED, **asdict(each), "do": each.end}


def _left(each: Unmanaged, now: datetime) -> tuple[str, ...]:
    expires = shell.ago(each.expires_at, now) if each.expires_at else "never"
    return each.credential, UNMANAGED, each.target, each.token, each.path, expires, each.end


def _cells(state: State, now: datetime) -> tuple[str, ...]:
    return (
        state.name,
        state.word,
        str(state.rotation) if state.known else "-",
        str(state.live) if state.known else "-",
        f"adopted {shell.ago(state.published_at, now)}" if state.adopted else shell.ago(state.published_at, now),
        shell.ago(state.expires_at, now),
        "now" if state.next_at and state.next_at <= now else shell.ago(state.next_at, now),
        _said(state, now),
    )


def _said(state: State, now: datetime) -> str:
    asked = [f"asked for and not taken up yet: {state.asked}"] if state.asked else []
    return "; ".join([*asked, *filter(None, [state.said or _calm(state, now)])])


def _calm(state: State, now: datetime) -> str:
    """What is worth knowing when nothing is wrong."""
    if state.lease:
        return state.lease.partition(";")[0]
    return f"accepted {shell.ago(state.accepted_at, now)}" if state.accepted_at else ""
