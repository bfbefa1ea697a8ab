"""The command `rotate history NAME`."""

from __future__ import annotations

import click

from rotator.cli import output, shell


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, name: str, as_json: bool) -> None:
    """Say what happened to a credential, the oldest first, with the evidence that opened each gate.

    From the receipts of this host when [audit] file is set, and from what Vault still has of the journal where they
    tell nothing: before logrotate took the file away, or on another host.
    """
    settings = shell.settings(config)

    async def main() -> int:
        from rotator.commands.history import known, nothing, past

        if unknown := known(settings, name):
            raise click.UsageError(unknown)
        moments, source = await past(settings, name)
        if not moments and (unknown := nothing(settings, name, source)):
            raise click.UsageError(unknown)
        if as_json:
            keys = ("at", "rotation", "said", "by")
            shell.show_json([{key: getattr(each, key) for key in keys} for each in moments])
            return 0
        shell.show_table(
            ("AT", "ROTATION", "BY", "WHAT HAPPENED"),
            ((f"{each.at:%F %T}Z", str(each.rotation), each.by or "-", each.said) for each in moments),
        )
        output.say(f"{len(moments)} from {source}", err=True)
        return 0

    shell.run(main)
