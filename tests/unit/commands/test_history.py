"""What happened to a credential: receipts, and what only the journal still tells."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from rotator.commands import history
from rotator.ports import Transient
from rotator.rotation.record import Phase, Record
from rotator.settings import Audit, DaemonConfig, Method, Settings, VaultAuth, VaultConfig
from tests.kit.fleet import named
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, published, record

pytestmark = pytest.mark.anyio
Version = tuple[datetime, Record, str]
OLD: list[Version] = [
    (NOW - 2 * HOUR, record(Phase.SETTLED, current=published(1)), "host-a/1/x"),
    (NOW - HOUR, record(Phase.REQUESTED), "host-a/2/y"),
]
NEW: list[Version] = [
    (NOW, record(Phase.STAGED), "host-a/2/y"),
    (NOW + MINUTE, record(Phase.VERIFIED), "host-b/9/z"),
    (NOW + HOUR, record(Phase.PUBLISHED), ""),
]


def receipt(at: datetime, said: str, name: str = "blog") -> str:
    return json.dumps(
        {
            "n": 1,
            "previous": "",
            "at": at.isoformat(),
            "by": "host-a/2/y",
            "credential": name,
            "event": "candidate.staged",
            "said": said,
            "detail": {"rotation": 2},
        }
    )


@pytest.fixture
def wanted(tmp_path: Path) -> Settings:
    made = Settings(VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, "")), DaemonConfig("host-a"))
    return replace(made, credentials={"blog": named("blog")}, audit=Audit(str(tmp_path / "receipts")))


def write(wanted: Settings, text: str) -> None:
    Path(wanted.audit.file).write_text(text)


def vault(versions: list[Version] | Exception) -> history.Versions:
    async def found() -> list[Version]:
        if isinstance(versions, Exception):
            raise versions
        return versions

    return found


async def test_after_logrotate_the_journal_tells_what_the_receipts_do_not(wanted: Settings) -> None:
    write(wanted, receipt(NOW, "another's", "shop") + "\n")
    moments, source = await history.past(wanted, "blog", vault(OLD))
    assert [each.at for each in moments] == [NOW - 2 * HOUR, NOW - HOUR]
    assert "tell nothing of it" in source


async def test_receipts_and_journal_are_one_history(wanted: Settings) -> None:
    """Of the journal: what is older than the receipts, and what another host did."""
    write(wanted, receipt(NOW, "staged") + "\n" + receipt(NOW + 2 * MINUTE, "more") + "\n")
    moments, source = await history.past(wanted, "blog", vault([*OLD, *NEW]))
    assert [(each.at, each.by) for each in moments] == [
        (NOW - 2 * HOUR, "host-a/1/x"),
        (NOW - HOUR, "host-a/2/y"),
        (NOW, "host-a/2/y"),
        (NOW + MINUTE, "host-b/9/z"),
        (NOW + 2 * MINUTE, "host-a/2/y"),
    ]
    assert moments[2].said == "staged"
    assert source.endswith(", and 3 of versions of its journal")


async def test_without_vault_the_receipts_tell_what_they_know(wanted: Settings) -> None:
    away = vault(Transient("sealed"))
    write(wanted, receipt(NOW, "staged") + "\n")
    moments, source = await history.past(wanted, "blog", away)
    assert [each.said for each in moments] == ["staged"]
    assert "what only its journal tells is not shown: sealed" in source
    write(wanted, "")
    with pytest.raises(Transient):
        await history.past(wanted, "blog", away)


async def test_a_name_that_is_none_and_one_that_nobody_knows_are_told_from_a_new_one(wanted: Settings) -> None:
    assert (await history.history(wanted, "no name", vault(OLD))).wrong
    assert (await history.history(wanted, "blgo", vault([]))).wrong.startswith("no credential is called 'blgo'")
    new = await history.history(wanted, "blog", vault([]))
    assert (new.entries, new.wrong) == ([], "")
