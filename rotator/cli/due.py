"""`rotate due`: one pass, for timers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from rotator.cli import output, shell
from rotator.cli.times import Length


@click.command()
@click.option("--within", type=Length(), default="10m", show_default=True, help="When the pass ends all the same.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, within: timedelta, as_json: bool) -> None:
    """Do whatever is due, each credential once, stay while something comes due within a minute, then exit.

    The last line, and --json, say what was done. Exit 4 when all of it was, and a hook failed.
    """
    settings = shell.settings(config)
    from rotator.app.standalone import one_pass
    from rotator.cli.status import show
    from rotator.observe.health import states

    async def main() -> int:
        made = await one_pass(settings, within.total_seconds(), shell.waits_for_vault)
        app, now = made.app, made.app.clock.now()
        seen = states(app.worker_pool, now)
        if as_json:
            told = {"done": made.done, "said": made.said(), "hooks_failed": sorted(app.hooks_failed)}
            shell.show_json({**told, "credentials": [asdict(each) for each in seen]})
        else:
            show(seen, now, as_json=False)
            output.say(made.said())
        return made.code

    shell.run(main, acts=True)
