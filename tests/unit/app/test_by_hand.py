"""What a person can do at the target while Vault is away: which token, where, how."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from rotator.commands.end_by_hand import from_memory, from_receipts
from rotator.providers import KINDS
from rotator.rotation.record import Phase
from tests.unit.rotation.builders import credential, record


def settings(kind: str = "halo-pat", *, self_minting: bool = False, receipts: Path | None = None) -> SimpleNamespace:
    minter = SimpleNamespace(self_minting=self_minting)
    target = SimpleNamespace(keys=SimpleNamespace(url="https://blog.example/"), minter=minter)
    return SimpleNamespace(
        credentials={"bot": credential(name="bot", kind=kind)},
        targets={"blog": target},
        audit=SimpleNamespace(file=str(receipts) if receipts else ""),
    )


def test_every_value_that_lives_is_named_with_the_call_that_ends_it() -> None:
    said = from_memory(settings(), "bot", record(Phase.PUBLISHED))
    for token in ("t2.1", "t1.1"):
        assert f"end {token} at target blog: " in said
        assert (
            f"https://blog.example/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{token}/actions" in said
        )
    assert said.endswith("once Vault is back, `rotate revoke` finds it dead and publishes a new value at once")
    assert "mints its own" not in said
    assert "a person has to bring the next one" in from_memory(
        settings(self_minting=True), "bot", record(Phase.SETTLED)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_where(kind: str) -> None:
    said = from_memory(settings(kind), "bot", record(Phase.SETTLED))
    assert "https://blog.example" in said
    assert not set("{}") & set(said)


@pytest.mark.parametrize("lost", [None, "/nowhere/receipts"])
def test_where_nobody_knows_the_token_it_says_so(lost: str | None) -> None:
    for said in (from_memory(settings(), "bot", None), *from_receipts(settings(receipts=lost and Path(lost)), ["bot"])):
        assert "nobody here knows which token that is" in said
        assert "at target blog" in said
