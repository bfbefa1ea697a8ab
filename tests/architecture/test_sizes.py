"""Files of at most 400 lines (tests, which are tables: 500), functions of at most 50.

Exceptions are written down here with their size: they may shrink, not grow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import files, short, text, tree

FILE = {"rotator": 400, "tests": 500}
FUNCTION = 50
LARGE_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

SOURCES = files("rotator", "tests")


def functions(path) -> Iterator[tuple[str, int]]:
    """Each function with its length, decorators and docstring included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(x.lineno for x in node.decorator_list)])
            yield f"{short(path)}:{node.name}", (node.end_lineno or first) - first + 1


@pytest.mark.parametrize("folder", FILE)
def test_files_are_small(folder: str) -> None:
    limit = FILE[folder]
    large = {short(path): size for path in files(folder) if (size := len(text(path).splitlines())) > limit}
    grown = {name: size for name, size in large.items() if size > LARGE_FILES.get(name, limit)}
    assert not grown, f"more than {limit} lines: one subject, one file; split it"
    allowed = {name for name in LARGE_FILES if name.startswith(f"{folder}/")}
    assert allowed <= set(large), "an exception is no longer needed: take it off the list"


def test_functions_are_short() -> None:
    long = {name: size for path in SOURCES for name, size in functions(path) if size > FUNCTION}
    grown = {name: size for name, size in long.items() if size > LONG_FUNCTIONS.get(name, FUNCTION)}
    assert not grown, f"more than {FUNCTION} lines: give its parts names"
    assert set(LONG_FUNCTIONS) <= set(long), "an exception is no longer needed: take it off the list"
