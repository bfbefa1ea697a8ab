"""Owns `rotate plan`: what would happen, and why. It reads; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict

import click

from rotator.cli import shell


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Show the next step of every credential and its reason. No effects."""
    settings = shell.settings(config)
    shell.known(settings, names)

    async def main() -> int:
        from rotator.looking import summaries

        rows, _ = await summaries(settings, names)
        if as_json:
            shell.show_json([asdict(row) for row in rows])
        else:
            cells = ((row.name, row.target, row.phase, row.next) for row in rows)
            shell.show_table(("NAME", "TARGET", "PHASE", "NEXT"), cells)
        return 0

    shell.run(main)
