"""`make house`: how the code is laid out, in counts. The zeros and ones among them are enforced by `make check`.

    python -m tests.tools.house [--no-rotation]

Without --no-rotation, one rotation of a Halo token runs on a real OpenBao and the sandbox Halo, under a profiler.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from statistics import median, quantiles
from types import FrameType
from typing import Any

import anyio

from tests.architecture.source import HOUSE, files, imports, module, short, text, tree

SMALL = 60  # lines: below it a module with a single importer needs a reason
METAPHORS = {
    *("herald", "lookout", "keyhouse", "letterbox", "crew", "bench", "desk", "wheel", "turnstile", "courier"),
    *("book", "pulse", "voice", "shelf", "cast", "stage"),
}
EMPTY = {"manager", "handler", "helper", "helpers", "util", "utils", "common", "data", "info"}
STEPS = ("engine/procedure_driver.py",)

# small modules with one importer, each with its reason
REASONS = {
    "rotator.__main__": "python -m rotator",
    "rotator.app.settings_watch": "one rule, with tests of its own",
    "rotator.cli.": "imported when it is called",
    "rotator.providers.": "one file name per duty in each family",
    "rotator.rotation.": "one rule, with tables of tests of its own",
}


def product() -> list[Path]:
    """The files of the package."""
    return files("rotator")


def loose() -> list[str]:
    """Modules at the top of the package, beside the two that belong there."""
    return sorted(path.name for path in (HOUSE / "rotator").glob("*.py") if path.stem not in ("__init__", "__main__"))


def functions(path: Path) -> Iterator[int]:
    """The length of each function in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def small() -> list[tuple[str, int, str]]:
    """Small modules with one importer: name, lines and that importer."""
    importers: dict[str, set[str]] = defaultdict(set)
    for path in product():
        for used in imports(path):
            importers[used.module].add(module(path))
    rows = []
    for path in product():
        name, lines = module(path), len(text(path).splitlines())
        if path.name != "__init__.py" and lines < SMALL and len(importers[name] - {name}) == 1:
            rows.append((name, lines, *importers[name]))
    return rows


def twice() -> dict[str, list[str]]:
    """Names of classes that are given more than once, private ones aside."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in product():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(short(path))
    return {name: places for name, places in found.items() if len(places) > 1}


def words(name: str) -> set[str]:
    """The words in a name."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def banned() -> list[str]:
    """Modules and classes of the package that are called by a metaphor or an empty word."""
    found = []
    for path in product():
        named = [path.stem, *(node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))]
        found += [f"{short(path)}: {name}" for name in named if words(name) & (METAPHORS | EMPTY)]
    return found


def calls(name: str) -> Counter[str]:
    """Where something of this name is called, the kit for authors of kinds aside."""
    found: Counter[str] = Counter()
    for path in product():
        if path.is_relative_to(HOUSE / "rotator" / "testing"):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
                found[short(path)] += 1
    return found


def branches() -> int:
    """Lines that branch where the engine makes the calls of a step: `if`, cases of `match`, `except`."""
    count = 0
    for path in product():
        if short(path).removeprefix("rotator/").startswith(STEPS):
            kinds = (ast.If, ast.IfExp, ast.match_case, ast.ExceptHandler)
            count += sum(isinstance(node, kinds) for node in ast.walk(tree(path)))
    return count


def harness() -> int:
    """Lines of tests that are no tests, without sandbox and demo. Campaigns and tools count, as ever."""
    paths = [path for path in files("tests") if not path.is_relative_to(HOUSE / "tests" / "sandbox")]
    return sum(len(text(path).splitlines()) for path in paths if not path.name.startswith("test_"))


def of_one_rotation() -> tuple[int, int, int]:
    """Files and functions of the second rotation of a Halo token, by an actor that stands, and calls from file to file.

    A coroutine that goes on is no further call. By this count b46e062 came to 55 files, 294 functions and 908 calls.
    """
    from rotator.app.standalone import working
    from rotator.commands.rotate import RotateCommand, follow
    from rotator.settings import load
    from tests.sandbox.environment import World

    package = str(HOUSE / "rotator")
    seen_files: set[str] = set()
    seen_functions: set[tuple[str, str]] = set()
    begun: set[FrameType] = set()
    moves = 0

    def profiled(frame: FrameType, event: str, _: Any) -> None:
        nonlocal moves
        path = frame.f_code.co_filename
        if event != "call" or not path.startswith(package):
            return
        seen_files.add(path)
        seen_functions.add((path, frame.f_code.co_qualname))
        caller = frame.f_back
        if frame not in begun and caller is not None and caller.f_code.co_filename.startswith(package):
            moves += caller.f_code.co_filename != path
        begun.add(frame)

    with World() as world:
        world.add("bot", every="30d")
        settings = load(str(world.write_settings()))
        wanted = RotateCommand(names=("bot",), emergency=True, patient=True)

        async def rotate(*, profiling: bool) -> None:
            async with working(settings, wanted.within) as (app, transitions):
                sys.setprofile(profiled if profiling else None)
                try:
                    async with aclosing(follow(app, ("bot",), wanted, transitions)) as lines:
                        async for line in lines:
                            if line.get("exit"):
                                raise RuntimeError(f"the rotation failed: {line}")
                finally:
                    sys.setprofile(None)

        for profiling in (False, True):
            anyio.run(lambda now=profiling: rotate(profiling=now))
    return len(seen_files), len(seen_functions), moves


def _spread(label: str, values: list[int]) -> str:
    return f"{label}: median {median(values):g}, p90 {quantiles(values, n=10)[-1]:g}, longest {max(values)}"


def report() -> Iterator[str]:
    """The counts, a line each."""
    yield f"modules loose at the top: {len(loose())} {' '.join(loose())}"
    yield f"product files: {len(product())}"
    yield _spread("lines of a file", [len(text(path).splitlines()) for path in product()])
    yield _spread("lines of a function", [length for path in product() for length in functions(path)])
    rows = small()
    yield f"modules under {SMALL} lines with a single importer: {len(rows)}"
    for name, lines, importer in rows:
        reason = next((why for start, why in REASONS.items() if name.startswith(start)), "no reason is written down")
        yield f"    {name}, {lines} lines, of {importer}: {reason}"
    yield f"names given more than once: {len(twice())}"
    for name, places in sorted(twice().items()):
        yield f"    {name}: {', '.join(places)}"
    yield f"banned words: {len(banned())} {'; '.join(banned())}"
    yield f"callers of journal.save: {sum(calls('save').values())}"
    yield f"compositions of an actor: {sum(calls('Actor').values())}"
    yield f"branching lines where steps make their calls: {branches()}"
    yield f"harness lines of tests: {harness()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.house", description=__doc__)
    parser.add_argument("--no-rotation", action="store_true", help="count what is read from the files alone")
    wanted = parser.parse_args()
    for line in report():
        sys.stdout.write(f"{line}\n")
    if not wanted.no_rotation:
        found = of_one_rotation()
        sys.stdout.write("one rotation: {} files, {} functions, {} calls from file to file\n".format(*found))


if __name__ == "__main__":
    main()
