"""Owns `rotate release`: a person has looked, and lifts a hold."""

from __future__ import annotations

import getpass

import click

from rotator.cli import shell


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def command(config: str | None, names: tuple[str, ...]) -> None:
    """Lift the hold of credentials, their reason cleared. `rotate explain NAME` says what the reason is.

    A spent mint budget begins anew; a predecessor held at its deadline may go. A foreign value has to be put right
    first, or on_foreign = "overwrite" set: otherwise the credential is held again.
    """
    settings = shell.settings(config)
    shell.known(settings, names)

    async def main() -> int:
        from rotator import control, logs
        from rotator.app import opened

        logs.configure("error", json=None)
        async with opened(settings) as app:
            for name in names:
                credential = settings.credentials[name]
                before = (await app.journal.load(name)).record
                after = await app.crew.rounds.visitor.release(credential, app.edges(credential), getpass.getuser())
                held = before.held if before else None
                phase = after.phase.value if after else "settled"
                click.echo(f"{name}: " + (f"released from {held.reason.value}; {phase}" if held else "was not held"))
        if await control.answers(settings.daemon.socket):
            async for _ in control.call(settings.daemon.socket, {"verb": "look", "names": list(names)}):
                pass
        return 0

    shell.run(main)
