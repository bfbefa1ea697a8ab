"""Owns `rotate run`."""

from __future__ import annotations

import click

from rotator.cli import shell


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

    logs.configure(settings.daemon.log_level, json=None if log == "auto" else log == "json")

    async def main() -> int:
        await Daemon(config, settings).run()
        return 0

    shell.run(main, acts=True, signals=False)
