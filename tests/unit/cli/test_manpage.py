"""rotate(1) is whole: it renders without a warning, and every command and option of the program is in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import click
import pytest

from config.manpage import page
from rotator.cli import rotate
from rotator.host.exit_codes import Exit

PAGE = page("1.2")


def commands(command: click.Command = rotate, path: str = "rotate") -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name, those within groups included."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


def rendered() -> str:
    ended = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=200n"],
        input=PAGE,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return re.sub(r"\u2010\n\s*", "", ended.stdout)


needs_groff = pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here: apt-get install groff")


@needs_groff
@pytest.mark.parametrize(("path", "command"), [*commands()], ids=[path for path, _ in commands()])
def test_every_command_and_each_of_its_options_can_be_read(path: str, command: click.Command) -> None:
    text = rendered()
    assert re.search(rf"^ +{path} ", text, re.MULTILINE)
    after = text.partition(f"   {path} ")[2] if path != "rotate" else text
    part = re.split(r"^   rotate ", after, maxsplit=1, flags=re.MULTILINE)[0]
    for param in command.params:
        for option in param.opts if isinstance(param, click.Option) else ():
            assert re.search(rf"(^|\s|,){option}\b", part), option


@needs_groff
def test_codes_files_and_variables_have_their_places() -> None:
    text = rendered()
    for title in ("NAME", "SYNOPSIS", "COMMANDS", "EXIT STATUS", "FILES", "ENVIRONMENT", "SEE ALSO"):
        assert f"\n{title}\n" in text
    codes = text.partition("\nEXIT STATUS\n")[2].partition("\nFILES\n")[0]
    assert re.findall(r"^ +(\d+) ", codes, re.MULTILINE) == [str(code.value) for code in Exit]


@needs_groff
def test_nothing_of_a_text_is_taken_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ".br is text\n'so is this\\n, \\*(x and --dash"
    command = click.Command("odd", help=f"First.\n\n\b\n{odd}")
    monkeypatch.setattr(type(rotate), "list_commands", lambda *_: ["odd"])
    monkeypatch.setattr(type(rotate), "get_command", lambda *_: command)
    ended = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"], input=page("1.2"), capture_output=True, text=True, timeout=30
    )
    assert ended.stderr == ""
    assert all(line in ended.stdout for line in odd.splitlines())
