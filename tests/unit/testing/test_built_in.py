"""The kit passes every built-in kind, and says of each which rules have nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.providers import KINDS
from rotator.testing.conformance import RULES
from tests.unit.testing.stages import STAGES, broken, keep, verdicts

pytestmark = pytest.mark.anyio

SPARED = {  # how many rules have nothing to say
    "halo-pat": 5,
    "client-assertion": 16,
    "oauth-token": 16,
    "oauth-token, revoked": 12,
    "assertion-key": 4,
    "halo-api-key": 9,
    "halo-client-secret": 14,
    "halo-client-secret, two applications": 9,
    "halo-assertion-key": 14,
    "manual": 27,
}


def test_every_built_in_kind_has_a_stage() -> None:
    assert {name.partition(" on ")[0].partition(",")[0] for name in STAGES} == set(KINDS)


@pytest.mark.parametrize("name", STAGES)
async def test_a_built_in_kind_keeps_every_promise(name: str, tmp_path: Path) -> None:
    async with STAGES[name](tmp_path) as kit:
        rows = await verdicts(kit)
    assert broken(rows) == {}
    assert [row.rule for row in rows] == [rule.name for rule in RULES]
    usual = name.partition(" on ")[0].removesuffix(", single use")
    assert len(keep(rows)) == SPARED[usual]
    assert len(kit.memory.names) <= 85  # what `rotate conformance` announces
