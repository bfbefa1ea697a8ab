"""`rotate completion`, and the names of credentials and targets that a shell offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from rotator.cli import output

if TYPE_CHECKING:
    from rotator.settings.table_reader import Section


class SettingsName(click.ParamType[str]):
    """The name of a section of the settings files: of a credential, or of a target. Faults in them are ignored."""

    name = "name"

    def __init__(self, kind: str) -> None:
        """`kind`: "credentials" or "targets"."""
        self._kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin like this, without those already on the line."""
        given = ctx.params.get(param.name or "") or ()
        here = (given,) if isinstance(given, str) else given
        return [
            CompletionItem(name, help=str(section.table.get("path") or section.table.get("url", "")))
            for name, section in sorted(_sections(ctx.find_root().params.get("config"), self._kind).items())
            if name.startswith(incomplete) and name not in here
        ]


def _sections(config: str | None, kind: str) -> dict[str, Section]:
    from rotator.settings import files
    from rotator.settings.table_reader import FaultList

    return files.join(files.main_file(config), FaultList()).named[kind]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and the names of your credentials and targets.

    \b
    bash   rotate completion bash > /etc/bash_completion.d/rotate
    zsh    rotate completion zsh > "${fpath[1]}/_rotate"
    fish   rotate completion fish > ~/.config/fish/completions/rotate.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    output.block(kind(ctx.find_root().command, {}, "rotate", "_ROTATE_COMPLETE").source())
