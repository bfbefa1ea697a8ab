"""`rotate history`, and `rotate receipts`: the offline proof that a file of receipts is whole."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator.cli import base, output

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from rotator.commands.history import History
    from rotator.observe.receipts import ChainVerdict
    from rotator.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def history_command(config: str | None, name: str, as_json: bool) -> None:
    """Say what happened to a credential, the oldest first, with the evidence that opened each gate.

    From the receipts of this host when [audit] file is set, and from what Vault still has of the journal where they
    tell nothing: before logrotate took the file away, or on another host.
    """
    reached = base.reach_daemon(config)

    async def main() -> int:
        from rotator.commands.history import history_alone
        from rotator.commands.queries import looked

        def alone(settings: Settings) -> Awaitable[History]:
            return history_alone(settings, name)

        seen: History = await looked(reached.settings, reached.socket, "history", {"name": name}, alone=alone)
        if seen.wrong:
            raise click.UsageError(seen.wrong)
        moments = seen.entries
        if as_json:
            keys = ("at", "rotation", "said", "by")
            base.show_json([{key: getattr(each, key) for key in keys} for each in moments])
            return 0
        base.show_table(
            ("AT", "ROTATION", "BY", "WHAT HAPPENED"),
            ((f"{each.at:%F %T}Z", str(each.rotation), each.by or "-", each.said) for each in moments),
        )
        output.say(f"{len(moments)} from {seen.source}", err=True)
        return 0

    base.run(main)


@click.group()
def receipts_command() -> None:
    """Look at the receipts that [audit] file in the settings asks for."""


@receipts_command.command("verify")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--head", default="", metavar="SHA256", help="A head noted earlier, such as the daemon logs: must be met."
)
@click.option("--after", default="", metavar="SHA256", help="The head that FILES follow, where earlier ones are gone.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def verify_receipts_command(files: tuple[Path, ...], head: str, after: str, as_json: bool) -> None:
    """Find every edit, deletion, insertion or reordering in FILES, the oldest first; calls nobody.

    Files that logrotate has made (renamed, or copied and emptied; packed with gzip or not) are one chain. Lines cut off
    at the end show only against a --head noted elsewhere. Exit code 0: whole; 1: not.
    """
    from rotator.observe import receipts

    for option, given in (("--head", head), ("--after", after)):
        if given and not re.fullmatch(r"[0-9a-f]{64}", given):
            raise click.BadParameter("64 hexadecimal digits", param_hint=option)
    try:
        verdict = receipts.verify(((str(path), _lines(path)) for path in files), noted=head, after=after)
    except (OSError, EOFError, zlib.error) as fault:
        output.say(f"rotate: a file cannot be read: {fault}", err=True)
        sys.exit(base.FAILED)
    found = [str(finding) for finding in verdict.findings]
    if not verdict.noted:
        found.append(f"the noted head {head} is not in here: the end was cut off, or all of it was made anew")
    if as_json:
        end = {"receipts": verdict.end.number, "head": verdict.end.head, "torn": verdict.torn}
        base.show_json({"whole": not found, **end, "findings": found})
    else:
        _say(verdict, found)
    sys.exit(base.FAILED if found else 0)


def _say(verdict: ChainVerdict, found: list[str]) -> None:
    for line in found:
        output.say(line)
    if verdict.torn:
        output.say(f"{verdict.torn} cut short by a crash, and answered for by the next")
    output.say(f"{'BROKEN' if found else 'whole'}: {verdict.end.number} receipts, head {verdict.end.head}")


def _lines(path: Path) -> Iterator[bytes]:
    from rotator.host.files import opened

    with opened(path) as plain, gzip.open(plain) if path.suffix == ".gz" else plain as lines:
        yield from lines
