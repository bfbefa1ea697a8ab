"""`rotate pause`: let nothing begin and nothing end for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from rotator.cli import operator_commands
from rotator.cli.times import FutureTime, Length, written

_LONGEST = timedelta(days=366)


@click.command()
@operator_commands.many
@click.option("--for", "length", type=Length(high=_LONGEST), help="It ends by itself after so long.")
@click.option(
    "--until", type=FutureTime(), help='It ends by itself then: "2026-12-31T18:00", UTC unless it names a zone.'
)
@click.option("--reason", default="", help="For those who find it paused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(
    config: str | None, /, length: timedelta | None, until: datetime | None, as_json: bool, **wanted: Any
) -> None:
    """Begin no rotation and end no predecessor, until `rotate resume` or for a while.

    A rotation that has begun goes on to its publication. A value that expires expires: its warnings stay on.
    `rotate now` is refused meanwhile (exit 3); `rotate now --emergency` is not, as a leak does not wait.
    """
    if length and until:
        raise click.UsageError("--for and --until are two ends: say one of them")
    reason = wanted.pop("reason")
    end = {"for": written(length)} if length else {"until": until.isoformat()} if until else {}
    request = {**operator_commands.selected(**wanted), "reason": reason, **end}
    operator_commands.ask(config, "pause", request, as_json=as_json)
