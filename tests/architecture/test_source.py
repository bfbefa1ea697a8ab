"""The reader itself: no way of importing escapes it."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.source import HOUSE, _absolute, imports

TEXT = """
from __future__ import annotations
import hvac.adapters as adapters
from typing import TYPE_CHECKING
from rotator.engine import lease, circuit_breakers
from rotator import FLOORS
if TYPE_CHECKING:
    from httpx import Response
def late():
    import apscheduler
    importlib.import_module("rotator.vault")
    import_module("structlog")
    __import__("rotator.app")
"""


def test_imports_at_the_top_in_functions_for_type_checkers_and_by_name_are_all_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(TEXT)
    found = {(x.module, x.line) for x in imports(path)}
    assert found == {
        ("__future__", 2),
        ("hvac.adapters", 3),
        ("typing", 4),
        ("rotator.engine.lease", 5),
        ("rotator.engine.circuit_breakers", 5),
        ("rotator", 6),
        ("httpx", 8),
        ("apscheduler", 10),
        ("rotator.vault", 11),
        ("structlog", 12),
        ("rotator.app", 13),
    }


def test_relative_imports_are_seen_by_their_full_name() -> None:
    assert _absolute(HOUSE / "rotator/engine/reconciler.py", "context", 1) == "rotator.engine.context"
    assert _absolute(HOUSE / "rotator/engine/reconciler.py", "ports", 2) == "rotator.ports"
    assert _absolute(HOUSE / "rotator/engine/__init__.py", "", 1) == "rotator.engine"
