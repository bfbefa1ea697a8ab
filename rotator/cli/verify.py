"""`rotate verify`: published values shown to their targets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import asking, output, shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotator.settings import Settings

REFUSED = 5


@click.command()
@asking.many
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """Show what is published to its target, with the value that consumers read now. Changes nothing.

    For the time after a restore, or after trouble at a target. A running daemon is told: of what was refused it asks
    once more, and makes a new value. Exit 5 when a value was refused, 1 when consumers do not find one, 75 when a
    target did not say.
    """
    from rotator.now import demand, select

    settings = shell.settings(config)
    names, wrong = select(settings, demand(asking.selected(**wanted)))
    if wrong:
        raise click.UsageError(wrong)

    async def main() -> int:
        from rotator import logs
        from rotator.app import reading
        from rotator.app.published import Answer, ShowValues

        logs.configure("error", json=None)
        async with reading(settings) as app:
            shown = await ShowValues(app).all(names)
        if as_json:
            shell.show_json([asdict(each) for each in shown])
        else:
            shell.show_table(("CREDENTIAL", "ANSWER", "WHAT"), [(x.credential, x.answer, x.said) for x in shown])
        refused = [each for each in shown if each.answer is Answer.REFUSED]
        if held := [each.credential for each in refused if each.held]:
            output.say(
                f"{len(held)} refused and held: nothing is done about {', '.join(held)} until a person decides",
                err=True,
            )
        if accepted := {each.credential: each.token for each in shown if each.answer is Answer.ACCEPTED}:
            await _told(settings, {"verb": "shown", "accepted": accepted})
        if free := [each.credential for each in refused if not each.held]:
            await _tell(settings, free)
        if refused:
            return REFUSED
        answers = {each.answer for each in shown}
        return shell.FAILED if Answer.MISSING in answers else shell.BUSY if Answer.UNKNOWN in answers else 0

    shell.run(main)


async def _told(settings: Settings, request: dict[str, Any]) -> bool:
    """Whether a running daemon has heard it."""
    from contextlib import aclosing

    from rotator import control
    from rotator.ports import Fault

    try:
        if await control.answers(settings.daemon.socket):
            async with aclosing(control.call(settings.daemon.socket, request)) as lines:
                return all("error" not in line for line in [line async for line in lines])
    except Fault:
        pass
    return False


async def _tell(settings: Settings, refused: Sequence[str]) -> None:
    """Who deals with it: a running daemon, or whoever reads this."""
    told = await _told(settings, {"verb": "look", "names": list(refused)})
    names = " ".join(refused)
    what = "the running daemon asks once more, then makes a new value" if told else "a new value: rotate now " + names
    output.say(f"{len(refused)} refused; {what}", err=True)
