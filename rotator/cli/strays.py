"""`rotate strays`: tokens of ours that no record knows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import output, shell
from rotator.cli.now import me

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rotator.app.actor import App
    from rotator.app.strays import Leftover
    from rotator.commands.looks import Leftovers
    from rotator.rotation.ownership import Owner
    from rotator.settings import Settings

_PATIENCE = 10.0  # seconds with a Vault that gives no verdict
_HEADS = ("TARGET", "TOKEN", "STATE", "WHOSE", "LAST USED", "WAS PUBLISHED AT")


@click.command()
@click.argument("tokens", nargs=-1)
@click.option("--reap", is_flag=True, help="Revoke them, and delete what was revoked longer ago than `keep`.")
@click.option("--unclaimed", is_flag=True, help="With --reap: also what bears our mark and no settings claim.")
@click.option("--yes", is_flag=True, help="With --reap: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, tokens: tuple[str, ...], reap: bool, unclaimed: bool, yes: bool, as_json: bool) -> None:
    """List strays: one listing per target, or of TOKENS only. Exit 1 when any is left, or a target could not be listed.

    With --reap it says what ends, when that was used last and where it is published, and asks. What a configured path
    publishes, or published until a moment ago, is no stray and never ends here.
    """
    if (unclaimed or yes) and not reap:
        raise click.UsageError("--unclaimed and --yes go with --reap")
    reached = shell.reach(config)

    async def main() -> int:
        found = await looked(reached, "leftovers", {})
        return await _work(reached, found, tokens, reap=reap, unclaimed=unclaimed, yes=yes, as_json=as_json)

    shell.run(main, acts=reap)


async def looked(reached: shell.Reach, verb: str, request: dict[str, Any]) -> Any:
    """By the running daemon, or by an actor of our own: for `end`, one that may end tokens."""
    from rotator.commands import looks

    acts = partial(_actor, reached.settings) if reached.settings and verb in looks.ACTS else None
    return await looks.looked(reached.settings, reached.socket, verb, request, acts)


@asynccontextmanager
async def _actor(settings: Settings) -> AsyncIterator[App]:
    from rotator.app.standalone import working

    async with working(settings, _PATIENCE, visits=False, missed=shell.waits_for_vault) as (app, _):
        yield app


async def _work(
    reached: shell.Reach,
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
        shell.show_table(_HEADS, (_row(each, _state(each), now) for each in doomed), err=True)
        if reason := shell.objection("Revoke them?"):
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
    return shell.FAILED if silent or failed or left else 0


def _refused(text: str) -> int:
    """Not a UsageError: those of the actor's task group would hide it."""
    output.say(f"rotate: {text}", err=True)
    return shell.USAGE


def _is_unclaimed(each: Leftover) -> bool:
    return each.owner.state == "unmanaged"


def _state(each: Leftover) -> str:
    return "unclaimed" if _is_unclaimed(each) else "stray" if each.owner.state == "stray" else "not judged"


def _row(each: Leftover, state: str, now: datetime) -> tuple[str, ...]:
    owner = each.owner
    used = shell.ago(each.last_used, now) if each.last_used else "unknown"
    place = str(owner.place) if owner.place else "nowhere that is known"
    return each.target, each.token.id, state, _whose(owner), used, place


def _whose(owner: Owner) -> str:
    return owner.credential or owner.said or "nobody's that is known"


def _show(now: datetime, rows: list[tuple[Leftover, str]], *, whole: bool, as_json: bool) -> None:
    if as_json:
        shell.show_json([_plain(each, state) for each, state in rows])
    elif rows:
        shell.show_table(_HEADS, (_row(each, state, now) for each, state in rows))
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
