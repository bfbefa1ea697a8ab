"""The command `rotate history NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rotator.commands.history import History
    from rotator.settings import Settings


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, name: str, as_json: bool) -> None:
    """Say what happened to a credential, the oldest first, with the evidence that opened each gate.

    From the receipts of this host when [audit] file is set, and from what Vault still has of the journal where they
    tell nothing: before logrotate took the file away, or on another host.
    """
    reached = shell.reach(config)

    async def main() -> int:
        from rotator.commands.history import history_alone
        from rotator.commands.looks import looked

        def alone(settings: Settings) -> Awaitable[History]:
            return history_alone(settings, name)

        seen: History = await looked(reached.settings, reached.socket, "history", {"name": name}, alone=alone)
        if seen.wrong:
            raise click.UsageError(seen.wrong)
        moments = seen.entries
        if as_json:
            keys = ("at", "rotation", "said", "by")
            shell.show_json([{key: getattr(each, key) for key in keys} for each in moments])
            return 0
        shell.show_table(
            ("AT", "ROTATION", "BY", "WHAT HAPPENED"),
            ((f"{each.at:%F %T}Z", str(each.rotation), each.by or "-", each.said) for each in moments),
        )
        output.say(f"{len(moments)} from {seen.source}", err=True)
        return 0

    shell.run(main)
