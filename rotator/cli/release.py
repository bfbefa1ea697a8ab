"""`rotate release`: a person has looked, and lifts a hold."""

from __future__ import annotations

import click

from rotator.cli import operator_commands


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Lift the hold of credentials, their reason cleared. `rotate explain NAME` says what the reason is.

    A spent mint budget begins anew; a predecessor held at its deadline may go. A foreign value has to be put right
    first, or on_foreign = "overwrite" set: otherwise the credential is held again.
    """
    operator_commands.ask(config, "release", {"names": list(names)}, as_json=as_json)
