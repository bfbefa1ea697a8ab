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
        from rotator.looking import look

        found = (await look(settings, names)).states
        if as_json:
            shell.show_json([asdict(each) for each in found])
        else:
            cells = ((each.name, each.target, each.word, each.next) for each in found)
            shell.show_table(("NAME", "TARGET", "STATE", "NEXT"), cells)
        return 0

    shell.run(main)
