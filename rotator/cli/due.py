"""Owns `rotate due`: one pass, for timers."""

from __future__ import annotations

from datetime import timedelta

import click

from rotator.cli import shell
from rotator.cli.times import Length


@click.command()
@click.option("--within", type=Length(), default="10m", show_default=True, help="When the pass ends all the same.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, within: timedelta, as_json: bool) -> None:
    """Do whatever is due, stay while something comes due within a minute, then exit."""
    settings = shell.settings(config)
    from rotator.alone import one_pass
    from rotator.cli.status import show
    from rotator.fleet import states

    async def main() -> int:
        app, code = await one_pass(settings, within.total_seconds(), shell.waits_for_vault)
        now = app.clock.now()
        show(states(app.crew, now), now, as_json=as_json)
        return code

    shell.run(main, acts=True)
