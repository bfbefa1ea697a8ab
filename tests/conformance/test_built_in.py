"""The kit passes every built-in kind, and says of each which rules have nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.conformance.table import RULES
from rotator.providers import KINDS
from tests.conformance.stages import STAGES, broken, spared, verdicts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", STAGES)
async def test_a_built_in_kind_keeps_every_promise(name: str, tmp_path: Path) -> None:
    async with STAGES[name](tmp_path) as kit:
        rows = await verdicts(kit)
    import os
    if os.environ.get("SHOW"):
        for row in rows: print(f"{row.rule:20}{row.verdict:16}{row.seconds:6.2f} {row.text}")
    assert broken(rows) == {}
