"""Owns `rotate strays`: tokens of ours that no record knows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell
from rotator.cli.now import me

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rotator.app import App
    from rotator.rotation.record import Token
    from rotator.settings import Settings

_PATIENCE = 10.0  # seconds with a Vault that gives no verdict


@click.command()
@click.option("--reap", is_flag=True, help="Revoke them, and delete what was revoked longer ago than `keep`.")
@click.option("--unclaimed", is_flag=True, help="With --reap: also what bears our mark and no settings claim.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, reap: bool, unclaimed: bool, as_json: bool) -> None:
    """List strays: one listing per target. Exit 1 when any is left, or a target could not be listed."""
    if unclaimed and not reap:
        raise click.UsageError("--unclaimed goes with --reap")
    settings = shell.settings(config)

    async def main() -> int:
        async with _actor(settings, reap=reap) as app:
            rows, failed = await _look(app, reap=reap, unclaimed=unclaimed)
        if as_json:
            shell.show_json([dict(zip(("target", "token", "state"), row, strict=True)) for row in rows])
        elif rows or failed:
            shell.show_table(("TARGET", "TOKEN", "STATE"), rows)
        else:
            output.say("no strays")
        return shell.FAILED if failed or any(state == "stray" for *_, state in rows) else 0

    shell.run(main, acts=reap)


@asynccontextmanager
async def _actor(settings: Settings, *, reap: bool) -> AsyncIterator[App]:
    """One that may end tokens, or one that only looks."""
    from rotator import logs
    from rotator.alone import working
    from rotator.app import reading

    if reap:
        async with working(settings, _PATIENCE, visits=False, missed=shell.waits_for_vault) as (app, _):
            yield app
        return
    logs.configure("error", json=None)
    async with reading(settings) as app:
        yield app


async def _look(app: App, *, reap: bool, unclaimed: bool) -> tuple[list[tuple[str, str, str]], bool]:
    """A row for each token, and whether something could not be looked at or ended."""
    from rotator.app import disown, sweep
    from rotator.ports import Fault, Transient

    rows, failed = [], False
    for target in app.settings.targets:
        if app.crew.stopping:
            output.say(f"rotate: target {target} not looked at: {app.crew.stopping}", err=True)
            failed = True
            continue
        try:
            swept = await sweep(app, target, reap=reap, by=me())
        except Fault as fault:
            failed = True
            output.say(f"rotate: target {target} not listed: {fault.reason}", err=True)
            continue
        ended: set[Token] = set()
        try:
            async for token in disown(app, target, swept.unclaimed if unclaimed else (), me()):
                ended.add(token)
                if app.crew.stopping:
                    raise Transient(f"not all were ended: {app.crew.stopping}")
        except Fault as fault:
            failed = True
            output.say(f"rotate: target {target}, what no settings claim: {fault.reason}", err=True)
        for name, reason in swept.skipped.items():
            failed = True
            output.say(f"rotate: credential {name} not judged: {reason}", err=True)
        rows += [(target, token.id, "reaped" if token.id in swept.reaped else "stray") for token in swept.strays]
        rows += [(target, token.id, "reaped" if token in ended else "unclaimed") for token in swept.unclaimed]
    return rows, failed
