"""`rotate supply`: a person hands over a value that only they could make."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from rotator.cli import base, output
from rotator.cli.base import FutureTime
from rotator.host.files import handed_over

if TYPE_CHECKING:
    from rotator.rotation.secret import Secret

_LONGEST = 64 * 1024  # bytes of a value
_PATIENCE = 60.0  # seconds for it to arrive


@click.command()
@click.argument("name")
@click.option("--file", "path", type=click.Path(dir_okay=False), help="Read the value from a file; else from stdin.")
@click.option(
    "--expires",
    type=FutureTime(),
    help='When the value ends, as the target shows it: "2027-01-31", UTC unless it names a zone; else by `lifetime`.',
)
@click.pass_obj
def supply_command(config: str | None, name: str, path: str | None, expires: datetime | None) -> None:
    """Hand over a value that a person made, for a credential that waits for one or is to be rotated.

    The value comes from standard input or a file, never from the command line. It is staged in Vault, proven on the
    target and published; what the target refuses is not published.
    """
    settings = base.settings(config)
    base.known(settings, [name])
    value = _read(path)

    async def main() -> int:
        from rotator.app import control
        from rotator.app.standalone import hooks_failed, working
        from rotator.app.vault_fitness import refuse_unfit_for
        from rotator.commands.supply import PATIENCE, supply

        async with working(settings, PATIENCE, visits=False, missed=base.waits_for_vault) as (app, _):
            await refuse_unfit_for(app, [name])
            said, code = await supply(app, name, value, getpass.getuser(), expires)
        output.say(f"{name}: {said}")
        if app.hooks_failed:
            failed = hooks_failed(app, code)
            output.say(f"rotate: {failed['said']}", err=True)
            code = failed["exit"]
        if await control.answers(settings.daemon.socket):
            async for _ in control.call(settings.daemon.socket, {"verb": "look", "names": [name]}):
                pass
        return code

    base.run(main, acts=True)


def _read(path: str | None) -> Secret:
    from rotator.rotation.secret import Secret

    try:
        given = _from(path) if path else _typed()
        text = given[: _LONGEST + 1].decode().strip()
    except OSError as fault:
        raise click.UsageError(f"{path} cannot be read: {fault.strerror}") from None
    except TimeoutError:
        raise click.UsageError(f"{path or 'standard input'} did not end within {_PATIENCE:g} s") from None
    except UnicodeDecodeError:
        raise click.UsageError("the value is not UTF-8 text") from None
    if not text:
        raise click.UsageError("no value was given: pipe it in, or name a file with --file")
    if len(given) > _LONGEST:
        raise click.UsageError(f"the value is longer than {_LONGEST // 1024} KiB")
    return Secret(text)


def _typed() -> bytes:
    if sys.stdin.isatty():
        return getpass.getpass("Value (not shown): ").encode()
    return handed_over(sys.stdin.fileno(), _LONGEST, _PATIENCE)


def _from(path: str) -> bytes:
    """Read a file, or a pipe such as `<(pass show bot)`."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return handed_over(number, _LONGEST, _PATIENCE)
    finally:
        os.close(number)
