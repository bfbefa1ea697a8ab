"""Owns `rotate strays`: tokens of ours that no record knows."""

from __future__ import annotations

import click

from rotator.cli import shell


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
        from rotator import logs
        from rotator.app import opened
        from rotator.ports import Fault

        logs.configure("error", json=None)
        rows, failed = [], False
        async with opened(settings) as app:
            for target in settings.targets:
                try:
                    swept = await app.sweep(target, reap=reap)
                except Fault as fault:
                    failed = True
                    click.echo(f"rotate: target {target} not listed: {fault.reason}", err=True)
                    continue
                for name, reason in swept.skipped.items():
                    failed = True
                    click.echo(f"rotate: credential {name} not judged: {reason}", err=True)
                rows += [(target, token.id, "reaped" if reap else "stray") for token in swept.strays]
                ended = await app.disown(target, swept.unclaimed) if unclaimed else ()
                rows += [(target, token.id, "reaped" if token in ended else "unclaimed") for token in swept.unclaimed]
        if as_json:
            shell.show_json([dict(zip(("target", "token", "state"), row, strict=True)) for row in rows])
        elif rows or failed:
            shell.show_table(("TARGET", "TOKEN", "STATE"), rows)
        else:
            click.echo("no strays")
        return shell.FAILED if failed or any(state == "stray" for *_, state in rows) else 0

    shell.run(main)
