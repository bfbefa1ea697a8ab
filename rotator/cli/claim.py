"""`rotate claim`: this Vault is the only one."""

from __future__ import annotations

import sys
from functools import partial

import click

from rotator.cli import operator_commands, output, shell


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, yes: bool, as_json: bool) -> None:
    """Say that this Vault is the only one with these records: it was restored, or its copy is gone or read-only.

    Lifts the hold `two_vaults` everywhere. Every credential mints under new names from now on, so that no token of
    ours is taken for one of the state before. What lives under old names is listed: published values and their
    predecessors end by the ordinary rules, the rest when you say so (`rotate strays --reap --unclaimed`).
    """
    reached = shell.reach(config)
    if not as_json and (code := shell.part(partial(_list, reached))):
        sys.exit(code)
    question = "Is this Vault the only one that a rotator works with, and its copies gone or read_only?"
    if not yes and (reason := shell.objection(question)):
        raise click.UsageError(reason)
    operator_commands.ask(config, "claim", {"names": [], "everything": True, "labels": {}}, as_json=as_json)


async def _list(reached: shell.Reach) -> int:
    """What lives under our names, before anybody decides."""
    from rotator.commands.looks import looked

    found = await looked(reached.settings, reached.socket, "tokens", {})
    for text in found.silent:
        output.say(f"rotate: {text}", err=True)
    if found.tokens:
        output.say("What lives under our names now:")
        shell.show_table(("TARGET", "TOKEN", "NAME"), ((each.target, each.id, each.name) for each in found.tokens))
    return 0
