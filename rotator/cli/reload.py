"""The command `rotate reload`."""

from __future__ import annotations

from contextlib import aclosing

import click

from rotator.cli import output, shell


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, as_json: bool) -> None:
    """Have the running daemon read its settings again, and tell what came of it.

    Exit 0 when the new settings are in force; 78 when they are refused: each fault is named, the old settings stay in
    force, and the daemon's next start would fail. Only the daemon's own files are read, with its eyes and rights.
    """
    reached = shell.reach(config, quiet=True)

    async def main() -> int:
        from rotator.app import control

        code = None
        async with aclosing(control.call(reached.socket, {"verb": "reload"})) as replies:
            async for line in replies:
                code = line.get("exit", code)
                shell.show_line(line) if as_json else _say(line)
        if code is None:
            output.say("rotate: the daemon ended before it answered", grave=True)
        return shell.BUSY if code is None else int(code)

    shell.run(main, acts=True)


def _say(line: dict[str, object]) -> None:
    faults = line.get("faults", ())
    for fault in faults if isinstance(faults, list) else ():
        output.say(str(fault), grave=True)
    if said := line.get("said") or line.get("error"):
        output.say(str(said), grave=bool(line.get("exit")))
