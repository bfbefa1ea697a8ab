"""The man page rotate(1), written from click's commands and options while the wheel is built."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parents[1]))  # the page is that of this source, not of what is installed

from rotator.cli import rotate
from rotator.host.exit_codes import MEANINGS

_CODES = {str(code.value): said for code, said in MEANINGS.items()}
_FILES = {
    "/etc/rotator/rotator.toml": "The settings.",
    "/etc/rotator/conf.d/*.toml": "More of them, read in the order of their names; beside whichever settings are read.",
    "/run/rotator/control.sock": "The daemon's socket, which rotate now talks to.",
    "/etc/credstore/rotator.NAME": 'What settings call {credential = "NAME"}, for systemd to hand to the service.',
    "/var/lib/rotator/receipts.jsonl": "Receipts, when [audit] file says so.",
}
_ENVIRONMENT = {
    "ROTATOR_CONFIG": "The settings, when -c does not name them.",
    "CREDENTIALS_DIRECTORY": 'Where {credential = "NAME"} is read from; systemd sets it. Without it root reads what'
    " rotator.service is given.",
    "VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT": "Read by rotate init alone (BAO_ADDR and so on will do as well)."
    " Everything else goes by the settings, never by the environment.",
    "_ROTATE_COMPLETE": "Set by completion scripts.",
}


class ManPageHook(BuildHookInterface[Any]):
    """Puts the page into the wheel's share/man/man1, where `man` finds it beside the program."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version`: how the wheel is built; an editable one has no page."""
        if self.target_name != "wheel" or version == "editable":
            return
        self._folder = TemporaryDirectory()
        path = Path(self._folder.name) / "rotate.1"
        path.write_text(page(self.metadata.version), encoding="utf-8")
        build_data["shared_data"][str(path)] = "share/man/man1/rotate.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def page(version: str) -> str:
    """The whole page, in the man macros."""
    return "\n".join((*_head(version), *_commands(), *_tail())) + "\n"


def _head(version: str) -> Iterator[str]:
    context = click.Context(rotate, info_name="rotate")
    yield f'.TH ROTATE 1 "" "rotator {version}" "User commands"'
    yield from (".SH NAME", r"rotate \- keep machine credentials fresh")
    yield from (".SH SYNOPSIS", f".B rotate\n{_plain('[OPTIONS] COMMAND [ARGS]...')}")
    yield from (".SH DESCRIPTION", *_prose(rotate))
    yield from (".SH OPTIONS", *_options(rotate, context))


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    context = click.Context(rotate, info_name="rotate")
    for name in rotate.list_commands(context):
        command = rotate.get_command(context, name)
        assert command is not None
        yield from _command(command, click.Context(command, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_plain(context.command_path)} {_plain(pieces)}"
    yield from _prose(command)
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(inner, click.Context(inner, parent=context, info_name=name))


def _prose(command: click.Command) -> Iterator[str]:
    """The help text. A paragraph that click is told to leave as it is (\\b) keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", cleandoc(command.help or "")):
        yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", _plain(paragraph.removeprefix("\b\n")), ".fi")
        else:
            yield _plain(" ".join(paragraph.split()))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None and "--help" not in record[0]:
            yield from _item(*record)


def _item(term: str, words: str) -> Iterator[str]:
    yield from (".TP", f".B {_plain(term)}", _plain(" ".join(words.split())))


def _tail() -> Iterator[str]:
    for title, terms in (("EXIT STATUS", _CODES), ("FILES", _FILES), ("ENVIRONMENT", _ENVIRONMENT)):
        yield f".SH {title}"
        for term, words in terms.items():
            yield from _item(term, words)
    yield from (
        ".SH SEE ALSO",
        _plain("config/runbook.md in the repository: what alerts mean, what to check, what to type."),
    )


def _plain(text: str) -> str:
    """Text that roff takes for text: no escapes, no requests, and a dash that can be copied as an option."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti").replace("^", r"\(ha")
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)
