"""`rotate plan`: what would happen, and why. It reads; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict

import click

from rotator.cli import shell
from rotator.cli.status import UNMANAGED, say_stale, tell_unclaimed, unclaimed_row, unmanaged_row
from rotator.rotation.state import State


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Show the next step of every credential and its reason. No effects."""
    reached = shell.reach(config)
    shell.known(reached.settings, names)

    async def main() -> int:
        from rotator.commands.inspect import reached_look

        seen = await reached_look(reached.settings, reached.socket, names)
        if as_json:
            shell.show_json(
                [
                    *(asdict(each) for each in seen.states),
                    *map(unmanaged_row, seen.left),
                    *map(unclaimed_row, seen.unclaimed),
                ]
            )
        else:
            cells = [(each.name, each.target, each.word.value, _next(each)) for each in seen.states]
            cells += [(each.credential, each.target, UNMANAGED, each.next) for each in seen.left]
            shell.show_table(("NAME", "TARGET", "STATE", "NEXT"), cells)
            tell_unclaimed(seen.unclaimed)
        say_stale(seen)
        return shell.BUSY if seen.stale else 0

    shell.run(main)


def _next(state: State) -> str:
    return f"take up {state.asked}; before that: {state.next}" if state.asked else state.next
