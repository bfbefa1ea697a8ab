"""Thinking and visiting know no clock, chance or event loop but those they are given: a simulation needs that."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import HOUSE, files, imports, short, tree

VISITING = ("procedure_driver", "context", "lease", "reconciler")
PURE = [*files("rotator/rotation"), *(HOUSE / "rotator" / "engine" / f"{name}.py" for name in VISITING)]
IMPURE = {"anyio", "asyncio", "threading", "time", "random", "secrets", "uuid", "os", "socket"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


@pytest.mark.parametrize("path", PURE, ids=short)
def test_no_clock_no_chance_no_event_loop(path) -> None:
    used = {x.module.split(".")[0] for x in imports(path)} & IMPURE
    assert not used, f"{short(path)} imports {used}: take it as an argument, or through a port"
    calls = [x for x in ast.walk(tree(path)) if isinstance(x, ast.Attribute) and isinstance(x.value, ast.Name)]
    clocks = [f"line {x.lineno}" for x in calls if (x.value.id, x.attr) in CLOCKS]
    assert not clocks, f"{short(path)} reads the clock: time is an argument"


@pytest.mark.parametrize("path", files("rotator/rotation"), ids=short)
def test_thinking_never_waits(path) -> None:
    waits = [x for x in ast.walk(tree(path)) if isinstance(x, ast.Await | ast.AsyncFunctionDef)]
    assert not waits, f"{short(path)}: deciding is synchronous; the engine waits"
