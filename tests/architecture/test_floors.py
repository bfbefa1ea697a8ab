"""Imports only point down, rooms of one floor do not see each other, and each outside library has one door.

The map is `rotator.FLOORS`. Imports inside functions and for type checkers count too.
"""

from __future__ import annotations

import sys

import pytest

from rotator import FLOORS
from tests.architecture.source import HOUSE, Import, files, imports, module, short, tree

SOURCES = files("rotator")
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# outside library -> the rooms or files that may import it
DOORS = {
    "hvac": {"vault"},
    "requests": {"vault"},
    "urllib3": {"vault"},
    "httpx": {
        "providers/http/transport",  # connections that end with the files they were made with
        "providers/http/client",
        "providers/http/errors",
        "providers/http/hook_client",
    },  # and calls that want no answer
    "apscheduler": {"host/cron"},
    "structlog": {"observe/logs"},
    "prometheus_client": {"observe/metrics"},
    "click": {"cli"},
    "h11": {"observe/status", "providers/http/transport"},
    "opentelemetry": {"observe/tracing"},
}


def room(name: str) -> str:
    """The room of a module of ours: the longest name on the map that it begins with; empty for the map itself."""
    parts = name.split(".")[1:]
    heads = [".".join(parts[:number]) for number in range(len(parts), 0, -1)]
    return next((head for head in heads if head in FLOOR), parts[0] if parts else "")


def ours(path) -> list[Import]:
    return [x for x in imports(path) if x.module.split(".")[0] == "rotator" and room(x.module)]


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_imports_only_point_down(path) -> None:
    here = room(module(path))
    for used in ours(path):
        there = room(used.module)
        if there == here or {here, there} - set(FLOOR):  # what is not on the map, the test of the map reports
            continue
        where = f"{short(path)}:{used.line} imports {used.module}"
        assert FLOOR[there] != FLOOR[here], (
            f"{where}: {here} and {there} stand on one floor and do not see each other; "
            "say what you need as a Protocol in ports/ and let app/composition.py introduce them"
        )
        assert FLOOR[there] < FLOOR[here], (
            f"{where}: imports only point down, and {there} is above {here}; "
            "move what both need to a lower floor, or take it as an argument"
        )


def test_the_map_imports_nothing() -> None:
    assert not imports(HOUSE / "rotator" / "__init__.py")


def test_every_room_is_on_the_map() -> None:
    rooms = {room(module(path)) for path in SOURCES if len(tree(path).body) > 1} - {""}
    assert rooms <= set(FLOOR), f"not on the map: {rooms - set(FLOOR)}; add them with their duty to rotator/__init__.py"


def test_no_room_is_on_two_floors() -> None:
    assert len(FLOOR) == sum(map(len, FLOORS))


@pytest.mark.parametrize("library", DOORS)
def test_an_outside_library_has_one_door(library: str) -> None:
    for path in SOURCES:
        inside = short(path).removeprefix("rotator/").removesuffix(".py")
        if any(inside == door or inside.startswith(f"{door}/") for door in DOORS[library]):
            continue
        for used in imports(path):
            assert used.module.split(".")[0] != library, (
                f"{short(path)}:{used.line} imports {used.module}: the door of {library} is "
                f"{' or '.join(sorted(DOORS[library]))}; ask for what you need there"
            )


@pytest.mark.parametrize("path", files("rotator/rotation"), ids=short)
def test_the_rotation_room_needs_the_standard_library_only(path) -> None:
    for used in imports(path):
        top = used.module.split(".")[0]
        allowed = top in sys.stdlib_module_names or used.module.startswith("rotator.rotation")
        assert allowed, (
            f"{short(path)}:{used.line} imports {used.module}: rotator/rotation is pure, standard library only; "
            "let the engine look and pass in what was seen"
        )
