"""`rotate unused`: what lives on the targets and nobody uses. It ends nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell
from rotator.cli.times import Length

if TYPE_CHECKING:
    from rotator.commands.unused import Found

_OLDER = Length(timedelta(0), timedelta(days=3660))


@click.command()
@click.option("--older", type=_OLDER, default="30d", show_default=True, help="Not used for at least so long.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, older: timedelta, as_json: bool) -> None:
    """List what lives on the targets and was not used of late: whose it is, and what would end each of ours.

    A token whose use the target never noted counts from the day it was made. Nothing is ended. Exit 1 when a target
    could not be listed.
    """
    reached = shell.reach(config)

    async def main() -> int:
        from rotator.commands.looks import looked

        seen = await looked(reached.settings, reached.socket, "unused", {"older": older.total_seconds()})
        found, silent, now = seen.found, seen.silent, datetime.now(UTC)
        for text in silent:
            output.say(f"rotate: {text}", err=True)
        if as_json:
            shell.show_json([_plain(each) for each in found])
        elif found:
            shell.show_table(
                ("TARGET", "TOKEN", "WHOSE", "LAST USED", "EXPIRES", "ROLES", "TO END IT"),
                (_row(each, now) for each in found),
            )
        else:
            output.say("nothing lives there unused")
        return shell.FAILED if any("not listed" in text for text in silent) else 0

    shell.run(main)


def _plain(found: Found) -> dict[str, object]:
    held = found.holding
    return {
        "target": found.target,
        "token": held.id,
        "title": held.title,
        "whose": found.whose,
        "created_at": held.created_at,
        "last_used": held.last_used,
        "expires_at": held.expires_at,
        "roles": list(held.roles),
        "end": found.end,
    }


def _row(found: Found, now: datetime) -> tuple[str, ...]:
    held = found.holding
    made = f"never noted, made {shell.ago(held.created_at, now)}"
    used = shell.ago(held.last_used, now) if held.last_used else made
    ends = shell.ago(held.expires_at, now) if held.expires_at else "never"
    return found.target, held.id, found.whose, used, ends, ", ".join(held.roles) or "none", found.end or "-"
