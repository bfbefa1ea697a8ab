"""`rotate verify`: published values shown to their targets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import operator_commands, output, shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotator.commands.verify import ShownValue

REFUSED = 5


@click.command()
@operator_commands.many
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """Show what is published to its target, with the value that consumers read now. Changes nothing.

    For the time after a restore, or after trouble at a target. A running daemon is told: of what was refused it asks
    once more, and makes a new value. Exit 5 when a value was refused, 1 when consumers do not find one, 75 when a
    target did not say.
    """
    reached = shell.reach(config)
    request = operator_commands.selected(**wanted)
    if reached.settings:
        from rotator.commands.rotate import parse_rotate_command, select

        names, wrong = select(reached.settings, parse_rotate_command(request))
        if wrong:
            raise click.UsageError(wrong)
        request = {"names": list(names), "everything": False, "labels": {}, "targets": []}

    async def main() -> int:
        from rotator.app import control
        from rotator.commands.looks import looked

        daemon = await control.answers(reached.socket)
        shown = await looked(reached.settings, reached.socket, "show", request)
        return _said(shown, daemon=daemon, as_json=as_json)

    shell.run(main)


def _said(shown: Sequence[ShownValue], *, daemon: bool, as_json: bool) -> int:
    from rotator.commands.verify import VerifyResult

    if as_json:
        shell.show_json([asdict(each) for each in shown])
    else:
        shell.show_table(("CREDENTIAL", "ANSWER", "WHAT"), [(x.credential, x.answer, x.said) for x in shown])
    refused = [each for each in shown if each.answer is VerifyResult.REFUSED]
    if held := [each.credential for each in refused if each.held]:
        said = f"nothing is done about {', '.join(held)} until a person decides"
        output.say(f"{len(held)} refused and held: {said}", err=True)
    if free := [each.credential for each in refused if not each.held]:
        what = "the running daemon asks once more, then makes a new value"
        output.say(f"{len(free)} refused; {what if daemon else 'a new value: rotate now ' + ' '.join(free)}", err=True)
    if refused:
        return REFUSED
    answers = {each.answer for each in shown}
    return shell.FAILED if VerifyResult.MISSING in answers else shell.BUSY if VerifyResult.UNKNOWN in answers else 0
