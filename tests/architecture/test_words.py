"""The words of the house: names that say something, reasons beside every exception, nothing of other houses."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import HOUSE, files, short, text, tree

EMPTY_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils", "common", "data", "info"}
SOURCES = files("rotator", "tests")


def names(path: Path) -> Iterator[str]:
    """The names that a file gives: its own, and those of its folder, classes and functions."""
    yield from path.relative_to(HOUSE).with_suffix("").parts[-2:]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def parts(name: str) -> set[str]:
    """The words in a name: snake_case and CamelCase taken apart."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_a_name_is_taken_apart_into_its_words() -> None:
    assert parts("HTTPHandler_of_someUtils") == {"http", "handler", "of", "some", "utils"}


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_no_name_is_an_empty_word(path: Path) -> None:
    empty = [name for name in names(path) if parts(name) & EMPTY_WORDS and not name.startswith("test_")]
    assert not empty, "say what it owns or does: such a name owns nothing, so everything moves in"


@pytest.mark.parametrize("path", files("rotator"), ids=short)
def test_nothing_is_printed(path: Path) -> None:
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    assert not [x.lineno for x in calls if isinstance(x, ast.Name) and x.id == "print"], "log it; in cli, click.echo"


_DIRECTIVE = re.compile(r"#?\s*(type: ignore(\[[\w, -]+\])?|noqa(: [A-Z0-9, ]+)?|pragma: [\w ]+)")


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_an_exception_from_a_rule_names_the_rule_and_carries_its_reason(path: Path) -> None:
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type != tokenize.COMMENT or not (found := _DIRECTIVE.match(token.string)):
            continue
        rule = found[2] or found[3] or found[1].startswith("pragma")
        reason = re.findall(r"\w+", _DIRECTIVE.sub("", token.string))
        assert rule, f"{short(path)}:{token.start[0]} silences every rule: name the one"
        assert len(reason) >= 2, f"{short(path)}:{token.start[0]} has no reason: add it on the line"


_FILE = re.compile(r"[\w/]+\.py\b")


def pointers() -> Iterator[tuple[str, str]]:
    """The files that docstrings, comments and the map name, each with the place that names it."""
    for path in files("rotator"):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        said = [ast.get_docstring(node) or "" for node in ast.walk(tree(path)) if isinstance(node, documented)]
        said += [line.partition("#")[2] for line in text(path).splitlines()]
        yield from ((short(path), name) for each in said for name in _FILE.findall(each))
    page = HOUSE / "rotator" / "README.md"
    yield from ((short(page), name) for name in _FILE.findall(text(page)))


def test_every_file_that_a_docstring_or_the_map_names_exists() -> None:
    there = [f"/{short(path)}" for path in files("rotator", "tests", "config")]
    lost = [f"{place}: {name}" for place, name in pointers() if not any(path.endswith(f"/{name}") for path in there)]
    assert not lost, "a file moved: say where it is now"


def tracked() -> list[Path]:
    """Every text file that belongs to the repository, or would when it is committed."""
    command = ["git", "-C", str(HOUSE), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [path for name in listed if name and (path := HOUSE / name).is_file()]


# the bar keeps this file from containing what it looks for
FOREIGN = [
    "/wo|rk/",
    "/ro|ot/",
    "/ho|me/",
    "fac|ts/",
    "sha|red/",
    "--index|-url",
    "--extra|-index",
    "python|hosted.org",
]


@pytest.mark.skipif(not (HOUSE / ".git").exists(), reason="not a checkout: there is no list of what is tracked")
@pytest.mark.parametrize("foreign", [text.replace("|", "") for text in FOREIGN])
def test_no_tracked_text_speaks_of_one_machine_or_of_papers_outside(foreign: str) -> None:
    found = [short(path) for path in tracked() if foreign.encode() in path.read_bytes()]
    assert not found, f"{foreign!r} means nothing to a stranger: the repository stands alone"


@pytest.mark.parametrize("path", files("rotator"), ids=short)
def test_output_has_one_door(path: Path) -> None:
    """A print that raises, or waits for a slow reader, would decide about the work of its command."""
    used = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    named = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    door = {"echo", "secho", "confirm", "prompt", "stdout"} & used | {"print"} & named
    allowed = short(path) == "rotator/cli/output.py" or not short(path).startswith("rotator/cli/")
    assert allowed or door <= ({"confirm"} if "output" in named else set()), "say it with rotator/cli/output.py"


@pytest.mark.parametrize("path", files("tests"), ids=short)
def test_no_secret_of_a_test_is_a_plain_word(path: Path) -> None:
    """A secret that lives in a process is redacted there: `other` would redact the word another of the next test."""
    found = re.findall(r'Secret\("([a-z]{5,})"\)', text(path))
    assert not found, f"{found}: write canary-{found[0] if found else ''}, as nobody writes that by chance"
