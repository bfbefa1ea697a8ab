"""What `rotate verify` says of a value that its target refuses: who replaces it, and with which command."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rotator.cli.check import _said
from rotator.commands.verify import ShownValue, VerifyResult, obstacle
from rotator.rotation.credential import Pause
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.settings import Minter
from tests.kit.records import OnHold
from tests.unit.rotation.builders import NOW, credential, published, record

SETTLED = record(Phase.SETTLED)
PAUSED = Pause("bob", NOW, "frozen")
HELD = record(Phase.HELD, held=OnHold(HoldReason.MINT_BUDGET, "6 mints in 24 h", Phase.SETTLED, NOW))
CASES: dict[str, tuple[dict[str, Any], Record, str]] = {
    "a plain request is enough": ({}, SETTLED, ""),
    "also during a rotation, which it joins": ({}, record(Phase.STAGED), ""),
    "a copy looks only": ({"read_only": True}, SETTLED, "read_only = true"),
    "held": ({}, HELD, "rotate release blog/bot"),
    "a person must act": ({}, record(Phase.AWAITING, awaiting="paste the key"), "a person must act first: paste the"),
    "paused": ({"paused": PAUSED}, SETTLED, "rotate resume blog/bot, or rotate now blog/bot --emergency"),
    "in grace": (
        {},
        record(Phase.PUBLISHED, predecessor=published(1)),
        "rotate now blog/bot --emergency, which ends the grace, or rotate undo blog/bot",
    ),
    "in the grace of an emergency": ({}, record(Phase.PUBLISHED, emergency=True), ""),
    "it was its own minter": ({"minter": Minter(self_minting=True)}, SETTLED, "`rotate adopt blog/bot`"),
}


@pytest.mark.parametrize(("world", "known", "said"), CASES.values(), ids=CASES)
def test_a_command_is_proposed_where_it_helps(world: dict[str, Any], known: Record, said: str) -> None:
    ours = credential(paused=world.get("paused"))
    settings: Any = SimpleNamespace(
        daemon=SimpleNamespace(read_only=world.get("read_only", False)),
        targets={ours.target: SimpleNamespace(minter=world.get("minter"))},
    )
    found = obstacle(settings, ours, known, NOW)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize("daemon", [True, False])
def test_of_many_that_are_refused_each_has_its_own_way(capsys: pytest.CaptureFixture[str], daemon: bool) -> None:
    shown = [
        ShownValue("a", VerifyResult.REFUSED, "no", waits="paused by bob: rotate resume a"),
        ShownValue("b", VerifyResult.REFUSED, "no"),
    ]
    assert _said(shown, daemon=daemon, as_json=False) == 5
    said = capsys.readouterr().err
    assert "a is refused, and no new value comes by itself: paused by bob: rotate resume a" in said
    assert ("the running daemon asks once more" in said) is daemon
    assert ("a new value: rotate now b" in said) is not daemon
