"""Where an event is chosen: in rotation/. The engine makes calls, and says that a record was read back."""

from __future__ import annotations

import ast
from collections import Counter

from tests.architecture.source import HOUSE, files, short, tree
from tests.tools.house import branches

# events that are made in the engine, with their count: they may become fewer
MADE = {
    "rotator/engine/reconciler.py": 1,  # a record was read back
}


def test_making_the_calls_of_a_step_chooses_nothing() -> None:
    assert branches() <= 2, "a fault is an answer, and the end of a procedure is its end; what follows is rotation/'s"


def test_events_are_chosen_in_the_rotation_room() -> None:
    found: Counter[str] = Counter()
    for path in files("rotator/engine"):
        for node in ast.walk(tree(path)):
            made = node.func if isinstance(node, ast.Call) else None
            if isinstance(made, ast.Attribute) and isinstance(made.value, ast.Name) and made.value.id == "ev":
                found[short(path)] += 1
    assert found == MADE, "an event is chosen by a procedure in rotation/procedures, with a table of tests"


def test_every_call_is_made_and_every_step_has_a_procedure() -> None:
    from rotator.engine.procedure_driver import _MAKE
    from rotator.rotation.procedures import _PROCEDURES
    from rotator.rotation.procedures.calls import Call
    from rotator.rotation.steps import Act

    names = {each.__name__ for each in Call.__subclasses__()}
    assert {each.__name__ for each in _MAKE} == names
    assert set(_PROCEDURES) == set(Act.__args__)
    assert not (HOUSE / "rotator" / "engine" / "steps").exists()
