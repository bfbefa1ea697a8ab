"""`rotate revoke`: the answer to a leak."""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import now, operator_commands, output, shell
from rotator.cli.times import Length, written

if TYPE_CHECKING:
    from rotator.settings import Settings


_USUALLY, _DAY = timedelta(minutes=5), timedelta(days=1)


@click.command()
@operator_commands.many
@click.option("--within", type=Length(), help="How long to wait for Vault and the proof.  [default: 5m]")
@click.option("--wait", "waits", is_flag=True, help="The same for a day, for a Vault that is sealed or away.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document per line.")
@click.pass_obj
def command(config: str | None, /, within: timedelta | None, waits: bool, as_json: bool, **wanted: Any) -> None:
    """A value leaked: publish a successor, then end every value of NAMES that was valid when you typed this.

    Consumers always find a valid value. It is written down in Vault before anything else, and carried out whatever
    becomes of this command or of the daemon; it asks nothing, as seconds count. Prints how long after the command each
    old value was proven dead. Exit 0 only when all are; a kind that nobody can revoke ends by its own date, which is
    told.
    """
    chosen = operator_commands.selected(**wanted)
    if within and waits:
        raise click.UsageError("--wait and --within are two lengths: say one of them")
    reached = shell.reach(config)
    shell.known(reached.settings, wanted["names"])
    from rotator.commands.rotate import parse_rotate_command, select

    began = time.monotonic()
    request = {
        **chosen,
        "by": now.me(),
        "emergency": True,
        "patient": True,
        "within": written(within or (_DAY if waits else _USUALLY)),
    }
    names, wrong = tuple(chosen["names"]), ""
    if reached.settings:
        names, wrong = select(reached.settings, parse_rotate_command(request))
    if wrong:
        raise click.UsageError(wrong)
    verdicts = now.Verdicts(names, as_json=as_json)

    async def main() -> int:
        ends: dict[str, list[str]] = {}
        code = shell.BUSY
        async with aclosing(now.lines(reached, request, parse_rotate_command(request), verdicts)) as lines:
            async for line in lines:
                code = line.get("exit", code)
                verdicts.hear(line)
                after = round(time.monotonic() - began, 1)
                if line.get("event") == "predecessor.retired":
                    ends.setdefault(line["credential"], []).append(f"{line['said']} ({after:g} s after the command)")
                shell.show_line({**line, "after": after}) if as_json else now.say(line)
        return _verdict(reached.settings, verdicts.published, ends, code, quiet=as_json)

    shell.run(main, acts=True, cut=verdicts.cut)


def _verdict(
    settings: Settings | None, published: set[str], ends: dict[str, list[str]], code: int, *, quiet: bool
) -> int:
    from rotator.providers import kind_of

    for name in sorted(published | ends.keys()):
        if settings and kind_of(settings.credentials[name].kind).only_expires:
            code = code or shell.FAILED
            text = "a new value is published, but nobody can revoke the old one: it is accepted until it expires"
            output.say(f"{name}: {text}", err=quiet)
        for said in ends.get(name, ()):
            output.say(f"{name}: proven dead: {said}", err=quiet)
    return code
