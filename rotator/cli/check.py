"""`rotate check`."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rotator.cli import output, shell
from rotator.rotation.wording import counted

if TYPE_CHECKING:
    from rotator.vault.preflight import Finding

_SHUT = "let the process call prctl(PR_SET_DUMPABLE), or forbid core dumps and ptrace on this host"
_COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "refusal": "red"}


@click.command()
@click.option("--offline", is_flag=True, help="The settings only; calls nobody.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def command(config: str | None, offline: bool, as_json: bool) -> None:
    """Check the settings, then try every right the daemon needs: login, engine, paths, and each verb on each target.

    A disposable token is minted on every target and cleaned up again. Exit 1 when anything would stop the daemon.
    """
    settings = shell.settings(config)
    files = ", ".join(map(str, settings.files))
    if not as_json:
        named = f"{counted(len(settings.credentials), 'credential')}, {counted(len(settings.targets), 'target')}"
        output.say(f"settings  {named} in {files}")
    if offline:
        if as_json:
            shell.show_json([])
        return

    async def main() -> int:
        from rotator.commands.check import check
        from rotator.host.process import open_to
        from rotator.observe import logs
        from rotator.vault.preflight import Finding, FindingLevel

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
            shell.show_json([asdict(finding) for finding in findings])
        return shell.FAILED if any(finding.level.value == "refusal" for finding in findings) else 0

    shell.run(main)


def _say(finding: Finding) -> None:
    mark = output.style(finding.level.value.ljust(8), fg=_COLOURS[finding.level.value])
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    output.say(f"{mark}  {finding.subject}: {finding.text}{remedy}")
