"""`rotate strays`: tokens of ours that no record knows; `rotate unused`: what lives on the targets and nobody uses."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import base, output
from rotator.cli.base import Length
from rotator.cli.now import me

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rotator.app.composition import Actor
    from rotator.app.strays import Leftover
    from rotator.commands.queries import Found, Leftovers
    from rotator.rotation.ownership import Owner
    from rotator.settings import Settings

_PATIENCE = 10.0  # seconds with a Vault that gives no verdict
_HEADS = ("TARGET", "TOKEN", "STATE", "WHOSE", "LAST USED", "WAS PUBLISHED AT")
_OLDER = Length(timedelta(0), timedelta(days=3660))


@click.command()
@click.argument("tokens", nargs=-1)
@click.option("--reap", is_flag=True, help="Revoke them, and delete what was revoked longer ago than `keep`.")
@click.option("--unclaimed", is_flag=True, help="With --reap: also what bears our mark and no settings claim.")
@click.option("--yes", is_flag=True, help="With --reap: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def strays_command(
    config: str | None, tokens: tuple[str, ...], reap: bool, unclaimed: bool, yes: bool, as_json: bool
) -> None:
    """List strays: one listing per target, or of TOKENS only. Exit 1 when any is left, or a target could not be listed.

    With --reap it says what ends, when that was used last and where it is published, and asks. What a configured path
    publishes, or published until a moment ago, is no stray and never ends here.
    """
    if (unclaimed or yes) and not reap:
        raise click.UsageError("--unclaimed and --yes go with --reap")
    reached = base.reach(config)

    async def main() -> int:
        found = await looked(reached, "leftovers", {})
        return await _work(reached, found, tokens, reap=reap, unclaimed=unclaimed, yes=yes, as_json=as_json)

    base.run(main, acts=reap)


async def looked(reached: base.Reach, verb: str, request: dict[str, Any]) -> Any:
    """Ask the running daemon, or an actor of our own: for `end`, an acting one."""
    from rotator.commands import queries

    acts = partial(_actor, reached.settings) if reached.settings and verb in queries.ACTS else None
    return await queries.looked(reached.settings, reached.socket, verb, request, acts)


@asynccontextmanager
async def _actor(settings: Settings) -> AsyncIterator[Actor]:
    from rotator.app.standalone import working

    async with working(settings, _PATIENCE, visits=False, missed=base.waits_for_vault) as (actor, _):
        yield actor


async def _work(
    reached: base.Reach,
    seen: Leftovers,
    tokens: tuple[str, ...],
    *,
    reap: bool,
    unclaimed: bool,
    yes: bool,
    as_json: bool,
) -> int:
    found, silent, now = seen.found, seen.silent, datetime.now(UTC)
    if strange := [token for token in tokens if token not in {each.token.id for each in found}]:
        return _refused(f"{strange[0]!r} is no stray, and nothing that no settings claim: see `rotate strays`")
    found = [each for each in found if not tokens or each.token.id in tokens]
    doomed = [each for each in found if reap and (each.owner.state == "stray" or (unclaimed and _is_unclaimed(each)))]
    if doomed and not yes:
        output.say(f"{len(doomed)} to be revoked:", err=True)
        base.show_table(_HEADS, (_row(each, _state(each), now) for each in doomed), err=True)
        if reason := base.objection("Revoke them?"):
            return _refused(reason)
    ended, failed = set[str](), list[str]()
    if reap:
        wanted = {"tokens": [each.token.id for each in doomed], "by": me(), "prune": not tokens}
        done = await looked(reached, "end", wanted)
        ended, failed = set(done.tokens), done.failed
    for text in dict.fromkeys([*silent, *failed]):
        output.say(f"rotate: {text}", err=True)
    rows = [(each, "reaped" if each.token.id in ended else _state(each)) for each in found]
    _show(now, rows, whole=not silent, as_json=as_json)
    left = any(not _is_unclaimed(each) and each.token.id not in ended for each in found)
    return base.FAILED if silent or failed or left else 0


def _refused(text: str) -> int:
    """Print why and exit; a UsageError would be hidden in the actor's task group."""
    output.say(f"rotate: {text}", err=True)
    return base.USAGE


def _is_unclaimed(each: Leftover) -> bool:
    return each.owner.state == "unmanaged"


def _state(each: Leftover) -> str:
    return "unclaimed" if _is_unclaimed(each) else "stray" if each.owner.state == "stray" else "not judged"


def _row(each: Leftover, state: str, now: datetime) -> tuple[str, ...]:
    owner = each.owner
    used = base.ago(each.last_used, now) if each.last_used else "unknown"
    place = str(owner.place) if owner.place else "nowhere that is known"
    return each.target, each.token.id, state, _whose(owner), used, place


def _whose(owner: Owner) -> str:
    return owner.credential or owner.said or "nobody's that is known"


def _show(now: datetime, rows: list[tuple[Leftover, str]], *, whole: bool, as_json: bool) -> None:
    if as_json:
        base.show_json([_plain(each, state) for each, state in rows])
    elif rows:
        base.show_table(_HEADS, (_row(each, state, now) for each, state in rows))
        for each, _ in rows:
            if each.owner.credential and each.owner.said:
                output.say(f"rotate: {each.token.id}: {each.owner.said}", err=True)
    else:
        output.say("no strays" if whole else "no strays seen, but not every target could be looked at")


def _plain(each: Leftover, state: str) -> dict[str, Any]:
    return {
        "target": each.target,
        "token": each.token.id,
        "state": state,
        "credential": each.owner.credential,
        "last_used": each.last_used,
        "published_at": str(each.owner.place or ""),
        "said": each.owner.said,
    }


@click.command()
@click.option("--older", type=_OLDER, default="30d", show_default=True, help="Not used for at least so long.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def unused_command(config: str | None, older: timedelta, as_json: bool) -> None:
    """List what lives on the targets and was not used of late: whose it is, and what would end each of ours.

    A token whose use the target never noted counts from the day it was made. Nothing is ended. Exit 1 when a target
    could not be listed.
    """
    reached = base.reach(config)

    async def main() -> int:
        from rotator.commands.queries import looked

        seen = await looked(reached.settings, reached.socket, "unused", {"older": older.total_seconds()})
        found, silent, now = seen.found, seen.silent, datetime.now(UTC)
        for text in silent:
            output.say(f"rotate: {text}", err=True)
        if as_json:
            base.show_json([_unused_document(each) for each in found])
        elif found:
            base.show_table(
                ("TARGET", "TOKEN", "WHOSE", "LAST USED", "EXPIRES", "ROLES", "TO END IT"),
                (_unused_row(each, now) for each in found),
            )
        else:
            output.say("nothing lives there unused")
        return base.FAILED if any("not listed" in text for text in silent) else 0

    base.run(main)


def _unused_document(found: Found) -> dict[str, object]:
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


def _unused_row(found: Found, now: datetime) -> tuple[str, ...]:
    held = found.holding
    made = f"never noted, made {base.ago(held.created_at, now)}"
    used = base.ago(held.last_used, now) if held.last_used else made
    ends = base.ago(held.expires_at, now) if held.expires_at else "never"
    return found.target, held.id, found.whose, used, ends, ", ".join(held.roles) or "none", found.end or "-"
