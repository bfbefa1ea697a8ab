"""Owns `rotate pause`: let nothing begin and nothing end for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from rotator.cli import asking


def _length(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    from rotator.settings.faults import WrongValueError
    from rotator.settings.values import duration

    try:
        return duration(value).total_seconds() if value else None
    except WrongValueError as fault:
        raise click.BadParameter(f"{value!r} {fault}") from None


def _until(_ctx: click.Context, _param: click.Parameter, value: datetime | None) -> float | None:
    if value is None:
        return None
    seconds = (value.replace(tzinfo=value.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        raise click.BadParameter("is over already (times are UTC)")
    return seconds


@click.command()
@asking.many
@click.option("--for", "seconds", metavar="2h", callback=_length, help="It ends by itself after so long.")
@click.option("--until", type=click.DateTime(), callback=_until, help="It ends by itself then (UTC).")
@click.option("--reason", default="", help="For those who find it paused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, /, seconds: float | None, until: float | None, as_json: bool, **wanted: Any) -> None:
    """Begin no rotation and end no predecessor, until `rotate resume` or for a while.

    A rotation that has begun goes on to its publication. A value that expires expires: its warnings stay on.
    `rotate now` is refused meanwhile (exit 3); `rotate now --emergency` is not, as a leak does not wait.
    """
    reason = wanted.pop("reason")
    request = {**asking.selected(**wanted), "reason": reason, "seconds": seconds or until}
    asking.ask(config, "pause", request, as_json=as_json)
