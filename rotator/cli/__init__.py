"""The command line. The file of a command is imported only when the command is called."""

from __future__ import annotations

from importlib import import_module

import click

from rotator.host.exit_codes import IN_WORDS
from rotator.host.process import open_standard_streams, shut_memory

COMMANDS = {
    "init": "write the first settings, the Vault policy for just them, and the unit",
    "run": "run the daemon until SIGTERM",
    "reload": "have the running daemon read its settings again",
    "now": "rotate now, and follow it to its verdict",
    "due": "do what is due, then exit (for timers)",
    "plan": "show what would happen, and why; changes nothing",
    "status": "every credential at a glance",
    "explain": "why one credential is as it is, and what comes next",
    "history": "what happened to one credential, with the evidence",
    "check": "settings, then a live look at every right the daemon needs",
    "verify": "show published values to their targets",
    "revoke": "a value leaked: a successor first, then every old value dead, and proven so",
    "supply": "hand over a value that only a person could make",
    "pause": "begin no rotation and end no predecessor, for a while",
    "resume": "end a pause",
    "undo": "take the last rotation back",
    "adopt": "take over a value that somebody else wrote, without rotating it",
    "release": "lift a hold that a person has looked at",
    "claim": "this Vault is the only one: after a restore, or beside a copy that was made safe",
    "targets": "the targets, and what is on one of them: ids of applications, names of roles",
    "strays": "tokens of ours on the targets that no record knows",
    "unused": "what lives on the targets and nobody uses",
    "receipts": "prove offline that a file of receipts is whole",
    "conformance": "try a kind of credential against everything that the engine relies on",
    "policy": "print the Vault policy that the settings need",
    "completion": "print the completion script of a shell",
}
# the file of each command that does not have one of its own name
_FILES = {
    **dict.fromkeys(("pause", "resume", "undo", "adopt", "release", "claim", "revoke"), "operator_commands"),
    **dict.fromkeys(("verify", "conformance"), "check"),
    **dict.fromkeys(("plan", "explain"), "status"),
    "due": "now",
    "supply": "now",
    "reload": "run",
    "receipts": "history",
    "unused": "strays",
    "policy": "init",
}


class _Lazy(click.Group):
    """A group that knows the names of its commands before they are imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"rotator.cli.{_FILES.get(cmd_name, cmd_name)}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return _completed(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _completed(command: click.Command) -> click.Command:
    """A shell offers the names of credentials and of targets wherever a command asks for them."""
    from rotator.cli.completion import SettingsName

    for param in command.params:
        if isinstance(param, click.Argument) and param.name in ("name", "names"):
            param.type = SettingsName("credentials")
        elif param.name in ("target", "targets"):
            param.type = SettingsName("targets")
    return command


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog=f"Exit codes: {IN_WORDS}.")
@click.option(
    "-c",
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Settings; else $ROTATOR_CONFIG, else /etc/rotator/rotator.toml.",
)
@click.option(
    "--socket",
    type=click.Path(),
    metavar="FILE",
    help="The socket of the daemon to ask; settings are then not read.",
)
@click.version_option(package_name="rotator")
@click.pass_context
def rotate(ctx: click.Context, config: str | None, socket: str | None) -> None:
    """Keep machine credentials fresh: mint, store in Vault, prove, publish, retire."""
    ctx.obj = config


def main() -> None:
    """The `rotate` command, whose process heeds signals already."""
    open_standard_streams()
    shut_memory()
    rotate(prog_name="rotate")
