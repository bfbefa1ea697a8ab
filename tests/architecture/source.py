"""How the architecture tests read the house: files, syntax trees, imports. What is allowed, each test says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a module, wherever it stands: at the top, in a function, or for type checkers only."""

    module: str
    line: int


def files(*folders: str) -> list[Path]:
    """Every Python file below these folders of the house."""
    return sorted(path for folder in folders for path in (HOUSE / folder).rglob("*.py"))


def short(path: Path) -> str:
    """The path as people say it."""
    return path.relative_to(HOUSE).as_posix()


@cache
def text(path: Path) -> str:
    """The file's text."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text(path), filename=str(path))


def module(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def exists(name: str) -> bool:
    """Whether a dotted name is a module of ours."""
    path = HOUSE.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import in the file. `from package import module` counts as the module, when it is ours."""
    return tuple(Import(name, node.lineno) for node in ast.walk(tree(path)) for name in _named(node, path))


def _named(node: ast.AST, path: Path) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=base, names=names, level=level):
            start = _absolute(path, base or "", level)
            inner = [f"{start}.{alias.name}" for alias in names]
            yield from (name if exists(name) else start for name in inner)
        case ast.Call(func=ast.Name(id="__import__" | "import_module"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            yield name


def _absolute(path: Path, base: str, level: int) -> str:
    if not level:
        return base
    package = module(path).split(".") if path.name == "__init__.py" else module(path).split(".")[:-1]
    above = package[: len(package) - level + 1]
    return ".".join([*above, base] if base else above)
