"""`rotate check`, `rotate verify` (published values shown to their targets) and `rotate conformance`."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from rotator.cli import base, operator_commands, output
from rotator.cli.base import Length
from rotator.rotation.wording import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rotator.commands.verify import ShownValue
    from rotator.settings import Settings
    from rotator.testing.kit import Row
    from rotator.vault.fitness import Finding

_SHUT = "let the process call prctl(PR_SET_DUMPABLE), or forbid core dumps and ptrace on this host"
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "refusal": "red"}
REFUSED = 5
_TIDYING = 30.0  # seconds for cleaning up an interrupted run
_REST = Length(timedelta(0), timedelta(hours=2))
_VERDICT_COLOURS = {"passed": "green", "failed": "red", "not applicable": "cyan"}


@click.command()
@click.option("--offline", is_flag=True, help="The settings only; calls nobody.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def check_command(config: str | None, offline: bool, as_json: bool) -> None:
    """Check the settings, then try every right the daemon needs: login, engine, paths, and each verb on each target.

    A disposable token is minted on every target and cleaned up again. Exit 1 when anything would stop the daemon.
    """
    settings = base.settings(config)
    files = ", ".join(map(str, settings.files))
    if not as_json:
        named = f"{counted(len(settings.credentials), 'credential')}, {counted(len(settings.targets), 'target')}"
        output.say(f"settings  {named} in {files}")
    if offline:
        if as_json:
            base.show_json([])
        return

    async def main() -> int:
        from rotator.commands.check import check
        from rotator.host.process import open_to
        from rotator.observe import logs
        from rotator.vault.fitness import Finding, FindingLevel

        logs.configure("error", json=None)
        findings = [Finding(FindingLevel.WARNING, "memory", reason, _SHUT)] if (reason := open_to()) else []
        for finding in findings if not as_json else ():
            _say(finding)
        async with aclosing(check(settings)) as found:
            async for finding in found:
                findings.append(finding)
                if not as_json:
                    _say(finding)
        if as_json:
            base.show_json([asdict(finding) for finding in findings])
        return base.FAILED if any(finding.level.value == "refusal" for finding in findings) else 0

    base.run(main)


def _say(finding: Finding) -> None:
    mark = output.style(finding.level.value.ljust(8), fg=_COLOURS[finding.level.value])
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    output.say(f"{mark}  {finding.subject}: {finding.text}{remedy}")


@click.command()
@operator_commands.many
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def verify_command(config: str | None, /, as_json: bool, **wanted: Any) -> None:
    """Show what is published to its target, with the value that consumers read now. Changes no value.

    For the time after a restore, or after trouble at a target. A running daemon is told: of what was refused it asks
    once more, and makes a new value. Without one this command asks once more, and writes it to the record, for `rotate
    status` and the next `rotate due`. Exit 5 when a value was refused, 1 when consumers do not find one, 75 when a
    target did not say.
    """
    reached = base.reach(config)
    request = operator_commands.selected(**wanted)
    if reached.settings:
        from rotator.commands.rotate import parse_rotate_command, select

        names, wrong = select(reached.settings, parse_rotate_command(request))
        if wrong:
            raise click.UsageError(wrong)
        request = {"names": list(names), "everything": False, "labels": {}, "targets": []}

    async def main() -> int:
        from rotator.app import control
        from rotator.app.standalone import verify_alone
        from rotator.commands.queries import looked

        def alone(settings: Settings) -> Awaitable[list[ShownValue]]:
            return verify_alone(settings, request["names"], lambda said: output.say(f"rotate: {said}", err=True))

        daemon = await control.answers(reached.socket)
        shown = await looked(reached.settings, reached.socket, "show", request, alone=alone)
        return _said(shown, daemon=daemon, as_json=as_json)

    base.run(main)


def _said(shown: Sequence[ShownValue], *, daemon: bool, as_json: bool) -> int:
    from rotator.commands.verify import VerifyResult

    if as_json:
        base.show_json([asdict(each) for each in shown])
    else:
        base.show_table(("CREDENTIAL", "ANSWER", "WHAT"), [(x.credential, x.answer, x.said) for x in shown])
    refused = [each for each in shown if each.answer is VerifyResult.REFUSED]
    for each in refused:
        if each.waits:
            output.say(f"{each.credential} is refused, and no new value comes by itself: {each.waits}", err=True)
    if free := [each.credential for each in refused if not each.waits]:
        what = "the running daemon asks once more, then makes a new value"
        output.say(f"{len(free)} refused; {what if daemon else 'a new value: rotate now ' + ' '.join(free)}", err=True)
    if refused:
        return REFUSED
    answers = {each.answer for each in shown}
    return base.FAILED if VerifyResult.MISSING in answers else base.BUSY if VerifyResult.UNKNOWN in answers else 0


@click.command()
@click.argument("kind")
@click.option("--settings", "path", type=click.Path(), required=True, metavar="FILE", help="Settings for the test.")
@click.option("--credential", default="", metavar="NAME", help="Which one, when several are of this kind.")
@click.option("--rest", type=_REST, default="1s", help="Between two rotations.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def conformance_command(kind: str, path: str, credential: str, rest: timedelta, yes: bool, as_json: bool) -> None:
    """Try a KIND of credential, a third party's included, against everything that the engine relies on.

    FILE names a target and a credential *for testing*; it needs no [vault]. Tokens are minted and ended there, and
    rotations killed at every step. Exit 0 only when every rule that applies was kept.
    """
    settings = base.settings(path, vaultless=True)

    async def main() -> int:
        import anyio

        from rotator.host.cron import SystemClock
        from rotator.observe import logs
        from rotator.testing.conformance import chosen, kit, tried

        logs.configure("error", json=None)
        under_test, rows = kit(settings, chosen(settings, kind, credential), SystemClock(), rest.total_seconds()), []
        try:
            async with aclosing(tried(under_test)) as found:
                async for row in found:
                    rows.append(row)
                    if not as_json:
                        _say_row(row)
        finally:
            with anyio.move_on_after(_TIDYING, shield=True):
                await under_test.aclose()
        if as_json:
            base.show_json([asdict(row) for row in rows])
        failed = [row for row in rows if row.verdict.value == "failed"]
        if not as_json:
            output.say(_sum(kind, rows))
        return base.FAILED if failed else 0

    _agree(settings, kind, credential, yes)
    base.run(main, acts=True)


def _agree(settings: Settings, kind: str, credential: str, yes: bool) -> None:
    """Print what will be done, and ask. Exits with 2 without consent."""
    from rotator.ports import Refused
    from rotator.testing.conformance import announced, chosen

    try:
        text = announced(settings, chosen(settings, kind, credential))
    except Refused as fault:
        raise click.UsageError(fault.reason) from None
    output.block(text, err=True)
    if not yes and (reason := base.objection("Go on?")):
        raise click.UsageError(reason)


def _say_row(row: Row) -> None:
    mark = output.style(row.verdict.value.ljust(14), fg=_VERDICT_COLOURS[row.verdict.value])
    reason = f": {row.text}" if row.text else ""
    output.say(f"{mark}  {row.seconds:7.2f} s  {row.rule.ljust(18)}  {row.promise}{reason}")


def _sum(kind: str, rows: list[Row]) -> str:
    counts = {verdict: sum(row.verdict.value == verdict for row in rows) for verdict in _VERDICT_COLOURS}
    return f"{kind}: " + ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
