"""`rotate conformance`."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell
from rotator.cli.times import Length

if TYPE_CHECKING:
    from rotator.settings import Settings
    from rotator.testing.kit import Row

_TIDYING = 30.0  # seconds for ending what an interrupted run has left
_REST = Length(timedelta(0), timedelta(hours=2))
_COLOURS = {"passed": "green", "failed": "red", "not applicable": "cyan"}


@click.command()
@click.argument("kind")
@click.option("--settings", "path", type=click.Path(), required=True, metavar="FILE", help="Settings for the test.")
@click.option("--credential", default="", metavar="NAME", help="Which one, when several are of this kind.")
@click.option("--rest", type=_REST, default="1s", help="Between two rotations.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def command(kind: str, path: str, credential: str, rest: timedelta, yes: bool, as_json: bool) -> None:
    """Try a KIND of credential, a third party's included, against everything that the engine relies on.

    FILE names a target and a credential *for testing*; it needs no [vault]. Tokens are minted and ended there, and
    rotations killed at every step. Exit 0 only when every rule that applies was kept.
    """
    settings = shell.settings(path, vaultless=True)

    async def main() -> int:
        import anyio

        from rotator.host.cron import SystemClock
        from rotator.observe import logs
        from rotator.testing.open_target import chosen, kit
        from rotator.testing.rules import tried

        logs.configure("error", json=None)
        under_test, rows = kit(settings, chosen(settings, kind, credential), SystemClock(), rest.total_seconds()), []
        try:
            async with aclosing(tried(under_test)) as found:
                async for row in found:
                    rows.append(row)
                    if not as_json:
                        _say(row)
        finally:
            with anyio.move_on_after(_TIDYING, shield=True):
                await under_test.aclose()
        if as_json:
            shell.show_json([asdict(row) for row in rows])
        failed = [row for row in rows if row.verdict.value == "failed"]
        if not as_json:
            output.say(_sum(kind, rows))
        return shell.FAILED if failed else 0

    _agree(settings, kind, credential, yes)
    shell.run(main, acts=True)


def _agree(settings: Settings, kind: str, credential: str, yes: bool) -> None:
    """Say what will be done, and ask. Exits 2 when nobody agrees."""
    from rotator.ports import Refused
    from rotator.testing.open_target import announced, chosen

    try:
        text = announced(settings, chosen(settings, kind, credential))
    except Refused as fault:
        raise click.UsageError(fault.reason) from None
    output.block(text, err=True)
    if not yes and (reason := shell.objection("Go on?")):
        raise click.UsageError(reason)


def _say(row: Row) -> None:
    mark = output.style(row.verdict.value.ljust(14), fg=_COLOURS[row.verdict.value])
    reason = f": {row.text}" if row.text else ""
    output.say(f"{mark}  {row.seconds:7.2f} s  {row.rule.ljust(18)}  {row.promise}{reason}")


def _sum(kind: str, rows: list[Row]) -> str:
    counts = {verdict: sum(row.verdict.value == verdict for row in rows) for verdict in _COLOURS}
    return f"{kind}: " + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
