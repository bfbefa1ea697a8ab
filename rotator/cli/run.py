"""`rotate run`."""

from __future__ import annotations

from functools import partial

import click

from rotator.cli import shell

_LAST_WORDS = 2.0  # seconds: a log that nobody reads must not keep a daemon from its end


@click.command()
@click.option(
    "--log", type=click.Choice(["auto", "json", "text"]), default="auto", help="How to log; auto: by terminal."
)
@click.pass_obj
def command(config: str | None, log: str) -> None:
    """Run the daemon until SIGTERM. SIGHUP reads the settings again; faulty ones are refused and the old ones kept."""
    settings = shell.settings(config)
    from rotator.app.daemon import Daemon
    from rotator.host.process import end_within, open_to
    from rotator.host.shutdown import WORDS, Part, StopBudget
    from rotator.observe import logs
    from rotator.observe.logs import log as voice

    logs.configure(settings.daemon.log_level, json=None if log == "auto" else log == "json")

    async def main() -> int:
        if reason := open_to():
            voice.warn("memory.exposed", said=reason)
        await Daemon(config, settings, stopping).run()
        return 0

    def stopping(budget: StopBudget) -> None:
        end_within(budget.left(Part.LOGIN), partial(last, budget))

    def last(budget: StopBudget) -> int:
        said = f"`drain` is over, and {WORDS[budget.part]} did not end; the next start goes on from the journal"
        voice.tell("daemon.cut", "error", said=said)
        logs.flush(min(_LAST_WORDS, budget.left(Part.LOG)))
        return shell.BUSY if budget.part is Part.STEPS else 0

    shell.run(main, acts=True, signals=False, patience=_LAST_WORDS)
