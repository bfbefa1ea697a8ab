"""Owns `rotate status`: from the journal, which knows as much as any daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import click

from rotator.cli import shell
from rotator.rotation.state import State


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Every credential at a glance: its state, how old its value is, what comes next, what is wrong.

    Exit 5 when a published value is refused or has expired, 1 when one is overdue or cannot be worked on, 3 when one is
    held or waits for a person.
    """
    settings = shell.settings(config)
    shell.known(settings, names)

    async def main() -> int:
        from rotator.looking import states

        found, now = await states(settings, names)
        show(found, now, as_json=as_json)
        return shell.gravest(found)

    shell.run(main)


def show(states: Sequence[State], now: datetime, *, as_json: bool) -> None:
    """Print states as a table or as JSON."""
    if as_json:
        shell.show_json([asdict(each) for each in states])
        return
    heads = ("NAME", "STATE", "ROT", "LIVE", "PUBLISHED", "EXPIRES", "NEXT", "")
    shell.show_table(heads, (_cells(each, now) for each in states))


def _cells(state: State, now: datetime) -> tuple[str, ...]:
    return (
        state.name,
        state.word,
        str(state.rotation) if state.known else "-",
        str(state.live) if state.known else "-",
        shell.ago(state.published_at, now),
        shell.ago(state.expires_at, now),
        "now" if state.next_at and state.next_at <= now else shell.ago(state.next_at, now),
        state.said or state.lease,
    )
