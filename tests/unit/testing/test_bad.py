"""A provider that breaks a promise fails the rules about it, and no other."""

from __future__ import annotations

import pytest

from tests.unit.testing import bad
from tests.unit.testing.bad import Bad
from tests.unit.testing.stages import broken, verdicts

pytestmark = pytest.mark.anyio


def breaks(provider: type, *rules: str, slots: int = 0) -> Bad:
    return Bad(provider, frozenset(rules), slots)


PLANTED = {
    "honest": breaks(bad.Honest),
    "honest, with one slot": breaks(bad.SlotProvider, slots=1),
    "a slot is written over whenever asked, and not looked at": breaks(
        bad.WritesOverWithoutALook, *("refused", "repeated", "dead", "resumed"), slots=2
    ),
    "verify accepts anything": breaks(bad.AcceptsAnything, "junk", "others", "refused"),
    "verify does not look whose it is": breaks(bad.AcceptsAnyOfOurs, "others"),
    "revoke says done and does nothing": breaks(
        bad.RevokesInWordsOnly,
        *("refused", "repeated", "dead", "unfound", "restored", "resumed", "killed: settled"),
    ),
    "revoke ends the others, too": breaks(bad.RevokesEverything, "alone", "killed: accepted", "killed: one living"),
    "revoke cannot be repeated": breaks(bad.RevokesOnceOnly, "repeated", "resumed", "killed: settled"),
    "find misses one": breaks(bad.MissesOne, "found"),
    "find takes r12 for r1": breaks(bad.FindsByPlainPrefix, "found"),
    "find knows what this process minted": breaks(bad.RemembersInProcess, "killed: one living"),
    "mint ignores the name": breaks(bad.IgnoresTheName, "found", "taken", "lost", "killed: one living"),
    "is_dead says yes": breaks(bad.SaysDead, "living"),
    "is_dead wants the value": breaks(bad.NeverSaysDead, "dead", "resumed"),
    "a fault quotes the value": breaks(bad.QuotesTheValue, "discreet"),
    "restore says done and does nothing": breaks(bad.RestoresInWordsOnly, "restored"),
    "inspect tells of no revocation": breaks(bad.InspectsNothing, "refused"),
    "it revokes what it cannot find": breaks(bad.Contradicts, "capabilities"),
    "install is not idempotent": breaks(bad.InstallsAnew, "twice", "living", slots=1),
    "mint installs": breaks(bad.InstallsWhenMinting, "unheard", slots=1),
    "overlap is declared with one slot": breaks(
        bad.OverlapsInWordsOnly,
        *("capabilities", "overlap", "refused", "repeated", "dead", "resumed"),
        slots=1,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_a_broken_promise_is_found_where_it_is_broken(name: str) -> None:
    rows = await verdicts(PLANTED[name].kit())
    assert broken(rows).keys() == PLANTED[name].breaks, broken(rows)
