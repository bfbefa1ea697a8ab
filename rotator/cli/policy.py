"""`rotate policy`."""

from __future__ import annotations

import sys

import click

from rotator.cli import output, shell


@click.command()
@click.pass_obj
def command(config: str | None) -> None:
    """Print the Vault policy that the settings need, and nothing more; calls nobody.

    After adding a credential: rotate policy | bao policy write rotator -
    """
    settings = shell.settings(config)
    from rotator.app.vault_policy import UngrantableError, policy

    try:
        output.block(policy(settings))
    except UngrantableError as fault:
        output.say(f"rotate: {fault}", err=True)
        sys.exit(shell.BAD_CONFIG)
