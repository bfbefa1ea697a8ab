"""No module imports itself by way of others, late imports and imports for type checkers included."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tests.architecture.source import files, imports, module


def test_there_is_no_cycle_of_imports() -> None:
    graph = {module(path): {x.module for x in imports(path)} - {module(path)} for path in files("rotator")}
    own = {name: {x for x in used if x in graph} for name, used in graph.items()}
    try:
        TopologicalSorter(own).prepare()
    except CycleError as cycle:
        way = " -> ".join(reversed(cycle.args[1]))
        raise AssertionError(f"a cycle of imports: {way}; move what both need into a file of its own") from None
