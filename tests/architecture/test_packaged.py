"""The sandbox and the demo are among the tests: the wheel has nothing of them, and nothing in it needs them."""

from __future__ import annotations

import ast
import tomllib

from tests.architecture.source import HOUSE, files, imports, module, short, tree

BUILD = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
LEFT_OUT = ("tests",)


def left_out(name: str) -> bool:
    """Whether a module is one of those, or inside."""
    return any(name == each or name.startswith(f"{each}.") for each in LEFT_OUT)


def test_the_wheel_leaves_them_out_and_the_source_distribution_keeps_them() -> None:
    assert BUILD["wheel"]["packages"] == ["rotator"]
    assert set(BUILD["wheel"]) == {"packages", "hooks"}
    assert "tests" in BUILD["sdist"]["include"]
    assert "rotator" in BUILD["sdist"]["include"]
    assert "exclude" not in BUILD["sdist"]


def test_nothing_in_the_wheel_imports_or_names_what_is_left_out_of_it() -> None:
    for path in files("rotator"):
        if left_out(module(path)):
            continue
        imported = [f"line {x.line}: {x.module}" for x in imports(path) if left_out(x.module)]
        assert not imported, f"{short(path)} imports what the wheel does not have: {imported}"
        named = [
            f"line {node.lineno}: {node.value}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and left_out(node.value)
        ]
        assert not named, f"{short(path)} names what the wheel does not have: {named}"


def test_every_command_runs_what_is_async_by_way_of_one_place() -> None:
    """There a fault of the world becomes a sentence and an exit code, and a signal is heeded."""
    runs = {
        short(path)
        for path in files("rotator/cli")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "run"
        and getattr(node.value, "id", "") in ("anyio", "asyncio")
    }
    assert runs == {"rotator/cli/base.py"}
