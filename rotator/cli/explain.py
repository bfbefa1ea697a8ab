"""The command `rotate explain NAME`."""

from __future__ import annotations

import click

from rotator.cli import output, shell


@click.command()
@click.argument("name")
@click.pass_obj
def command(config: str | None, name: str) -> None:
    """Say in sentences why a credential is as it is, and what comes next. Exit 1 when its record cannot be read."""
    reached = shell.reach(config)
    shell.known(reached.settings, [name])

    async def main() -> int:
        from rotator.commands.inspect import explained, told
        from rotator.ports import Transient

        settings = reached.settings
        sentences, code = await explained(settings, name) if settings else await told(reached.socket, name, None)
        if not sentences:
            raise Transient(f"the daemon on {reached.socket} says nothing of {name}; does it know that credential?")
        for sentence in sentences:
            output.say(sentence)
        return code

    shell.run(main)
