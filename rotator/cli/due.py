"""Owns `rotate due`: one pass, for timers."""

from __future__ import annotations

import click

from rotator.cli import shell


@click.command()
@click.option("--within", default=600.0, show_default=True, help="Seconds after which the pass ends all the same.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, within: float, as_json: bool) -> None:
    """Do whatever is due, stay while something comes due within a minute, then exit."""
    settings = shell.settings(config)
    from rotator.alone import one_pass
    from rotator.cli.status import show
    from rotator.fleet import states

    async def main() -> int:
        app, code = await one_pass(settings, within, shell.waits_for_vault)
        now = app.clock.now()
        show(states(app.crew, now), now, as_json=as_json)
        return code

    shell.run(main)
