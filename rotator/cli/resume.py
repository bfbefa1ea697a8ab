"""`rotate resume`: end a pause."""

from __future__ import annotations

from typing import Any

import click

from rotator.cli import operator_commands


@click.command()
@operator_commands.many
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """End the pause of credentials. What was due meanwhile is done once, and spread out by the limits."""
    operator_commands.ask(config, "resume", operator_commands.selected(**wanted), as_json=as_json)
