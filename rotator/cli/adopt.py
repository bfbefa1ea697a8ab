"""`rotate adopt`: take over a value that somebody else wrote, without rotating it."""

from __future__ import annotations

from typing import Any

import click

from rotator.cli import operator_commands


@click.command()
@operator_commands.many
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """Take over what the consumer path holds. Nothing is written there, and nothing is rotated.

    The value must say whose it is (a Halo token and a client assertion do), the minter must be able to see it, and the
    target must accept it with exactly the roles that settings want. It is yours to say that it is ours: after its
    successor is published, and its grace, it will be revoked. This also settles a hold for a foreign value.
    """
    operator_commands.ask(config, "adopt", operator_commands.selected(**wanted), as_json=as_json)
