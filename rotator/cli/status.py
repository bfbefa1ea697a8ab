"""Owns `rotate status`: from the journal, which knows as much as any daemon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import click

from rotator.cli import shell
from rotator.rotation.summary import Summary


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Every credential at a glance: phase, age, what comes next, what is wrong.

    Exit 3 when one is held, 1 when a record cannot be read.
    """
    settings = shell.settings(config)
    shell.known(settings, names)

    async def main() -> int:
        from rotator.looking import UNREADABLE, summaries

        rows, now = await summaries(settings, names)
        show(rows, now, as_json=as_json)
        phases = {row.phase for row in rows}
        return shell.FAILED if UNREADABLE in phases else shell.HELD if "held" in phases else 0

    shell.run(main)


def show(rows: Sequence[Summary], now: datetime, *, as_json: bool) -> None:
    """Print summaries as a table or as JSON."""
    if as_json:
        shell.show_json([asdict(row) for row in rows])
        return
    heads = ("NAME", "PHASE", "ROT", "LIVE", "AGE", "EXPIRES", "NEXT", "")
    shell.show_table(heads, (_cells(row, now) for row in rows))


def _cells(row: Summary, now: datetime) -> tuple[str, ...]:
    return (
        row.name,
        row.phase,
        str(row.rotation),
        str(row.live),
        shell.ago(row.published_at, now),
        shell.ago(row.expires_at, now),
        "now" if row.next_at and row.next_at <= now else shell.ago(row.next_at, now),
        row.trouble or row.operator_pause or row.lease,
    )
