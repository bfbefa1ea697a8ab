"""How the operator's verbs are asked: over the daemon's socket when one runs, else alone under the same lease."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, NoReturn, TypeVar

import click

from rotator.cli import output, shell
from rotator.cli.now import _labels, me, say

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--all", "everything", is_flag=True, help="Every credential in the settings."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", callback=_labels, help="All that carry it."),
    click.option("--target", "targets", multiple=True, metavar="NAME", help="All that live on this target."),
)


def many(command: F) -> F:
    """Names, --all, --label and --target."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("names", nargs=-1)(command)


def selected(
    names: tuple[str, ...], everything: bool, labels: dict[str, str], targets: tuple[str, ...]
) -> dict[str, Any]:
    """Whom it concerns, as a request says it. Raises UsageError when that is nobody."""
    shell.selected(names, everything=everything, labels=labels, targets=targets)
    return {"names": list(names), "everything": everything, "labels": labels, "targets": list(targets)}


def ask(config: str | None, verb: str, request: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Ask, show what is answered, exit with the verdict's code."""
    reached = shell.reach(config)
    shell.known(reached.settings, request["names"])

    async def main() -> int:
        code = None
        async with aclosing(_lines(reached, verb, {"by": me(), **request})) as lines:
            async for line in lines:
                code = line.get("exit", code)
                shell.show_line(line) if as_json else say(line)
        if code is None:
            output.say("rotate: the daemon ended before it answered; ask `rotate status`", err=True)
        return shell.BUSY if code is None else int(code)

    shell.run(main, acts=True)


async def _lines(reached: shell.Reach, verb: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    from rotator.app import control

    if reached.settings is None or await control.answers(reached.socket):
        async with aclosing(control.call(reached.socket, {"verb": verb, **request})) as replies:
            async for reply in replies:
                yield reply
        return
    from rotator.app.standalone import obey_alone
    from rotator.commands.lifecycle import parse_operator_command

    async with aclosing(
        obey_alone(reached.settings, parse_operator_command(verb, request), shell.waits_for_vault)
    ) as lines:
        async for line in lines:
            yield line
