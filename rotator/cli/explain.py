"""The command `rotate explain NAME`."""

from __future__ import annotations

import click

from rotator.cli import output, shell


@click.command()
@click.argument("name")
@click.pass_obj
def command(config: str | None, name: str) -> None:
    """Say in sentences why a credential is as it is, and what comes next. Exit 1 when its record cannot be read."""
    settings = shell.settings(config)
    shell.known(settings, [name])

    async def main() -> int:
        from rotator.looking import explained

        sentences, code = await explained(settings, name)
        for sentence in sentences:
            output.say(sentence)
        return code

    shell.run(main)
