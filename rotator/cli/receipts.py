"""`rotate receipts`: the proof, offline, that a file of receipts is whole."""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell

if TYPE_CHECKING:
    from rotator.observe.receipts import ChainVerdict

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Look at the receipts that [audit] file in the settings asks for."""


@command.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--head", default="", metavar="SHA256", help="A head noted earlier, such as the daemon logs: must be met."
)
@click.option("--after", default="", metavar="SHA256", help="The head that FILES follow, where earlier ones are gone.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def verify(files: tuple[Path, ...], head: str, after: str, as_json: bool) -> None:
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
        sys.exit(shell.FAILED)
    found = [str(finding) for finding in verdict.findings]
    if not verdict.noted:
        found.append(f"the noted head {head} is not in here: the end was cut off, or all of it was made anew")
    if as_json:
        end = {"receipts": verdict.end.number, "head": verdict.end.head, "torn": verdict.torn}
        shell.show_json({"whole": not found, **end, "findings": found})
    else:
        _say(verdict, found)
    sys.exit(shell.FAILED if found else 0)


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
