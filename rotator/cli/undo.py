"""`rotate undo`: take the last rotation back."""

from __future__ import annotations

from datetime import timedelta

import click

from rotator.cli import operator_commands
from rotator.cli.times import Length, written


@click.command()
@click.argument("name")
@click.option("--emergency", is_flag=True, help="No grace for the value taken back: it dies once the other is live.")
@click.option("--within", type=Length(), default="5m", show_default=True, help="How long to wait for the end of it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, name: str, emergency: bool, within: timedelta, as_json: bool) -> None:
    """Publish the value before again, once it is proven, and retire what it replaces.

    It goes on under a new rotation number. Within the grace the value before is still alive; after it the target must
    be able to take the revocation back (Halo CMS can, until the record is deleted). Refused, with nothing changed:
    when the value is gone from Vault, has expired, or settings want other roles than it has. Undoing twice goes back
    to where it began.
    """
    request = {"names": [name], "emergency": emergency, "within": written(within)}
    operator_commands.ask(config, "undo", request, as_json=as_json)
