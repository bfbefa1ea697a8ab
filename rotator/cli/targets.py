"""`rotate targets`: what settings name, looked up where it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rotator.cli import base, output
from rotator.rotation.wording import counted

if TYPE_CHECKING:
    from rotator.commands.targets import TargetsFound, TargetSummary
    from rotator.providers.base import Cell, TargetTable

_HEADS = ("TARGET", "KIND", "URL", "CREDENTIALS", "REACHABLE")


@click.command()
@click.argument("target", default="", metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def targets_command(config: str | None, target: str, as_json: bool) -> None:
    """List the targets of the settings; with NAME, what is on that one: ids, client ids, roles. Changes nothing.

    A HaloITSM lists its API applications to the management application (`management`), which needs the scope admin or
    all; a Halo CMS the tokens of the minter's user and the roles, all of them to a minter with super-role. No secret is
    shown. Exit 1 when a target is not reachable or refuses to list, 75 when it did not answer.
    """
    reached = _reach(config)
    base.known_target(reached.settings, target)
    request = {"name": target}
    if reached.settings:  # a daemon that has read others does not know the target that is being written
        request["digest"] = reached.settings.digest

    async def main() -> int:
        from rotator.commands.queries import looked

        found: TargetsFound = await looked(reached.settings, reached.socket, "targets", request)
        if as_json:
            rows = [asdict(each) for each in found.targets]
            base.show_json({"target": target, "tables": [asdict(each) for each in found.tables]} if target else rows)
        elif target:
            _show(found.tables)
        else:
            _overview(found.targets)
        return base.FAILED if any(not each.reachable for each in found.targets) else 0

    base.run(main)


def _reach(config: str | None) -> base.Reach:
    """The settings, also with faults in credentials: people who write one look its ids up here."""
    from rotator.settings import SettingsError, load

    try:
        found = load(config)
    except SettingsError as error:
        try:
            found = load(config, credentials=False)
        except SettingsError:
            return base.reach(config)
        said = f"{counted(len(error.faults), 'fault')} in the credentials, which are left out here"
        output.say(f"rotate: {said}; `rotate check --offline` names them", err=True)
    return base.Reach(found, found.daemon.socket)


def _overview(targets: list[TargetSummary]) -> None:
    if not targets:
        output.say("the settings name no target")
        return
    base.show_table(_HEADS, (_row(each) for each in targets))
    output.say()
    output.say("`rotate targets NAME` lists what is on one of them")


def _row(each: TargetSummary) -> tuple[str, ...]:
    reachable = "yes" if each.reachable else f"no: {each.trouble}"
    return each.name, each.kind, each.url, str(each.credentials), reachable


def _show(tables: list[TargetTable]) -> None:
    for number, table in enumerate(tables):
        if number:
            output.say()
        output.say(table.title)
        if table.rows:
            columns = list(table.rows[0])
            heads = [each.upper().replace("_", " ") for each in columns]
            base.show_table(heads, ([_words(row.get(each)) for each in columns] for row in table.rows))
        elif not table.said:
            output.say("none")
        if table.said:
            output.say(table.said)
        if table.settings:
            output.say("in [credentials.NAME] of the settings, such as:")
            for line in table.settings.splitlines():
                output.say(f"  {line}")


def _words(cell: Cell) -> str:
    match cell:
        case None:
            return "not shown"
        case bool():
            return "yes" if cell else "no"
        case str():
            return cell or "-"
    return ", ".join(cell) or "none"
