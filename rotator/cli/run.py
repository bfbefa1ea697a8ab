"""`rotate run` and `rotate reload`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from rotator.cli import base, output

_LAST_WORDS = 2.0  # seconds: a log that nobody reads must not block the daemon's exit


@click.command()
@click.option(
    "--log", type=click.Choice(["auto", "json", "text"]), default="auto", help="How to log; auto: by terminal."
)
@click.pass_obj
def run_command(config: str | None, log: str) -> None:
    """Run the daemon until SIGTERM. SIGHUP reads the settings again; faulty ones are refused and the old ones kept."""
    settings = base.settings(config)
    from rotator.app.daemon import Daemon
    from rotator.host.process import end_within, open_to
    from rotator.host.shutdown import WORDS, Part, StopBudget
    from rotator.observe import logs

    logs.configure(settings.daemon.log_level, json=None if log == "auto" else log == "json")

    async def main() -> int:
        if reason := open_to():
            logs.warn("memory.exposed", said=reason)
        await Daemon(config, settings, stopping).run()
        return 0

    def stopping(budget: StopBudget) -> None:
        end_within(budget.left(Part.LOGIN), partial(last, budget))

    def last(budget: StopBudget) -> int:
        said = f"`drain` is over, and {WORDS[budget.part]} did not end; the next start goes on from the journal"
        logs.tell("daemon.cut", "error", said=said)
        logs.flush(min(_LAST_WORDS, budget.left(Part.LOG)))
        return base.BUSY if budget.part is Part.STEPS else 0

    base.run(main, acts=True, signals=False, patience=_LAST_WORDS)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
@click.pass_obj
def reload_command(config: str | None, as_json: bool) -> None:
    """Have the running daemon read its settings again, and tell what came of it.

    Exit 0 when the new settings are in force; 78 when they are refused: each fault is named, the old settings stay in
    force, and the daemon's next start would fail. Only the daemon's own files are read, with its eyes and rights.
    """
    reached = base.reach(config, quiet=True)
    from rotator.app import control

    show = base.show_line if as_json else _say
    base.run(
        lambda: base.follow(
            control.call(reached.socket, {"verb": "reload"}), show, unanswered="the daemon ended before it answered"
        ),
        acts=True,
    )


def _say(line: dict[str, Any]) -> None:
    faults = line.get("faults", ())
    for fault in faults if isinstance(faults, list) else ():
        output.say(str(fault), grave=True)
    if said := line.get("said") or line.get("error"):
        output.say(str(said), grave=bool(line.get("exit")))
