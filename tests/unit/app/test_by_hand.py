"""What a person can do at the target while Vault is away: which token, where, how."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from rotator.commands.rotate import instructions
from rotator.observe.receipts import ReceiptFile, Receipts
from rotator.providers import KINDS
from rotator.rotation.events import Faulted
from rotator.rotation.record import Phase, Record, Unended
from tests.kit.fleet import named, transition
from tests.unit.rotation.builders import NOW, credential, published, record


def settings(kind: str = "halo-pat", *, self_minting: bool = False, receipts: Path | None = None) -> SimpleNamespace:
    minter = SimpleNamespace(self_minting=self_minting)
    target = SimpleNamespace(config=SimpleNamespace(url="https://blog.example/"), minter=minter)
    return SimpleNamespace(
        credentials={"bot": credential(name="bot", kind=kind)},
        targets={"blog": target},
        audit=SimpleNamespace(file=str(receipts) if receipts else ""),
        daemon=SimpleNamespace(name_prefix="ours"),
    )


def of(known: SimpleNamespace, remembered: Record | None, **how: bool) -> str:
    [said] = instructions(known, ["bot"], {"bot": remembered} if remembered else {}, **how)
    return said


def receipt(token: str, at: str, name: str = "bot") -> bytes:
    return msgspec.json.encode(
        {
            "n": 1,
            "previous": "",
            "credential": name,
            "target": "blog",
            "at": at,
            "current": {"id": token},
            "predecessor": None,
        }
    )


def test_every_value_that_lives_is_named_with_the_call_that_ends_it() -> None:
    said = of(settings(), record(Phase.PUBLISHED))
    assert said.startswith("bot: nothing may be begun while Vault is away. By hand, end t2.1 at target blog: ")
    for token in ("t2.1", "t1.1"):
        assert f"end {token} at target blog: " in said
        assert (
            f"https://blog.example/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens/{token}/actions" in said
        )
    assert said.endswith("once Vault is back, `rotate revoke` finds it dead and publishes a new value at once")
    assert "mints its own" not in said
    assert "a person has to bring the next one" in of(settings(self_minting=True), record(Phase.SETTLED))


def test_a_vault_that_refuses_us_is_mended_before_consumers_are_cut_off() -> None:
    said = of(settings(), record(Phase.SETTLED), locked_out=True)
    assert "mend that first, which costs consumers nothing. Should it take too long, by hand, end t1.1" in said


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_where(kind: str) -> None:
    said = of(settings(kind), record(Phase.SETTLED))
    assert "https://blog.example" in said
    assert not set("{}") & set(said)


@pytest.mark.parametrize("lost", [None, "/nowhere/receipts"])
def test_where_nobody_knows_the_token_its_name_is_told_as_far_as_it_can_be(lost: str | None) -> None:
    said = of(settings(receipts=lost and Path(lost)), None)
    assert "at target blog: nobody here knows which token that is" in said
    assert "begins with `ours-` and has `bot` in it" in said


def test_receipts_tell_the_newest_with_its_age_also_where_logrotate_has_put_them_away(tmp_path: Path) -> None:
    book = tmp_path / "receipts.jsonl"
    first, second = receipt("t1", "2026-01-02T03:04:05.6Z"), receipt("t2", "2026-02-02T03:04:05.6Z")
    book.write_bytes(first + b"\n" + second + b"\n" + receipt("t9", "2026-03-01T00:00:00Z", "shop") + b"\n")
    said = of(settings(receipts=book), None)
    assert "end t2 at target blog" in said
    assert "so the receipts of this host knew it at 2026-02-02 03:04:05Z; another host may have made" in said
    (tmp_path / "receipts.jsonl.2.gz").write_bytes(gzip.compress(book.read_bytes()))
    book.rename(tmp_path / "receipts.jsonl.1")
    book.write_bytes(receipt("t9", "2026-03-01T00:00:00Z", "shop") + b"\n")
    assert of(settings(receipts=book), None) == said
    (tmp_path / "receipts.jsonl.1").unlink()
    assert of(settings(receipts=book), None) == said
    book.unlink()
    assert of(settings(receipts=book), None) == said


def test_what_waits_for_a_person_already_is_named_too_from_memory_and_from_receipts(tmp_path: Path) -> None:
    left = record(Phase.SETTLED, unended=(Unended(published(0), "click on Revoke", NOW, NOW),))
    book = tmp_path / "receipts.jsonl"
    Receipts(ReceiptFile(book), print)(transition(named("bot"), left, Faulted(NOW, "mint", "HTTP 503")))
    for said in (of(settings("manual"), left), of(settings("manual", receipts=book), None)):
        assert "end t0.1 at target" in said
        assert "end t1.1 at target" in said
