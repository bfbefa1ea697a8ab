"""Owns `rotate run`."""

from __future__ import annotations

import click

from rotator.cli import shell

_AFTER_DRAIN = 15.0  # seconds for callers, hooks and the login to be ended; then the process ends whatever hangs
_LAST_WORDS = 2.0  # seconds: a log that nobody reads must not keep a daemon from its end


@click.command()
@click.option(
    "--log", type=click.Choice(["auto", "json", "text"]), default="auto", help="How to log; auto: by terminal."
)
@click.pass_obj
def command(config: str | None, log: str) -> None:
    """Run the daemon until SIGTERM. SIGHUP reads the settings again; faulty ones are refused and the old ones kept."""
    settings = shell.settings(config)
    from rotator import logs
    from rotator.daemon import Daemon
    from rotator.host.process import end_within, open_to
    from rotator.logs import voice

    logs.configure(settings.daemon.log_level, json=None if log == "auto" else log == "json")

    async def main() -> int:
        if reason := open_to():
            voice.warn("memory.exposed", said=reason)
        await Daemon(config, settings, stopping).run()
        return 0

    def stopping() -> None:
        end_within(settings.daemon.drain.total_seconds() + _AFTER_DRAIN, last, shell.BUSY)

    def last() -> None:
        voice.tell("daemon.cut", "error", said="the stop hung; whatever was under way goes on from its journal")
        logs.flush(_LAST_WORDS)

    shell.run(main, acts=True, signals=False, patience=_LAST_WORDS)
