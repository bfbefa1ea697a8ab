"""`rotate claim`: this Vault is the only one."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from rotator.cli import asking, output, shell

if TYPE_CHECKING:
    from rotator.settings import Settings


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
    settings = shell.settings(config)
    if not as_json and (code := shell.part(partial(_list, settings))):
        sys.exit(code)
    question = "Is this Vault the only one that a rotator works with, and its copies gone or read_only?"
    if not yes and (reason := shell.objection(question)):
        raise click.UsageError(reason)
    asking.ask(config, "claim", {"names": [], "everything": True, "labels": {}}, as_json=as_json)


async def _list(settings: Settings) -> int:
    """What lives under our names, before anybody decides."""
    from rotator import logs
    from rotator.app import reading
    from rotator.ports import Fault

    logs.configure("error", json=None)
    rows: list[tuple[str, str, str]] = []
    async with reading(settings) as app:
        for target in settings.targets:
            some = next((each for each in settings.credentials.values() if each.target == target), None)
            if some is None:
                continue
            try:
                rows += [(target, token.id, token.name) for token in await app.site(some).list_tokens()]
            except Fault as fault:
                output.say(f"rotate: target {target} not listed: {fault.reason}", err=True)
    if rows:
        output.say("What lives under our names now:")
        shell.show_table(("TARGET", "TOKEN", "NAME"), rows)
    return 0
