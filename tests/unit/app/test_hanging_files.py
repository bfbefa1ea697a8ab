"""Files that settings name on a drive that hangs: whoever needs them is told in time, and the loop goes round."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rotator.app import factories, secret_resolver
from rotator.app.secret_resolver import VaultSecretResolver
from rotator.host.cron import SystemClock
from rotator.observe import observers, receipts
from rotator.observe.observers import Observers
from rotator.observe.receipts import ReceiptFile
from rotator.ports import Transient
from rotator.rotation import events as ev
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Audit
from rotator.vault.login import Login
from tests.kit.fleet import named, settled, transition
from tests.unit.rotation.builders import NOW

pytestmark = pytest.mark.anyio
REF = SecretRef(SecretSource.FILE, "/net/minter")


@pytest.fixture
def drive() -> Iterator[threading.Event]:
    """A drive that hangs until it is set."""
    event = threading.Event()
    yield event
    event.set()


def settings(folder: Path, **audit: Any) -> Any:
    wanted = Audit(str(folder / "receipts.jsonl"), **audit)
    return SimpleNamespace(audit=wanted, hooks={}, ping=None, tracing=None)


async def test_a_secret_file_that_hangs_is_undecided_and_another_is_read_meanwhile(drive, monkeypatch) -> None:
    def read(ref: SecretRef, *, blanks: bool = True) -> Secret:
        if ref == REF:
            drive.wait(30)
        return Secret("a-value-of-a-file")

    monkeypatch.setattr(secret_resolver, "local_secret", read)
    monkeypatch.setattr(secret_resolver, "_PATIENCE", 0.2)
    keys = VaultSecretResolver(Any, SystemClock(), lambda: Any)
    with anyio.fail_after(10):
        with pytest.raises(Transient, match="/net/minter: no answer within"):
            await keys.fetch(REF)
        assert await keys.fetch(SecretRef(SecretSource.FILE, "/etc/other"))
        drive.set()
        with anyio.move_on_after(5):
            while True:
                try:
                    assert await keys.fetch(REF)
                except Transient:
                    await anyio.sleep(0.01)
                    continue
                return
    raise AssertionError("a drive that answers again is not asked")


async def test_what_we_log_in_with_may_hang_and_is_then_taken_for_something_else(drive, monkeypatch) -> None:
    def held() -> Secret:
        drive.wait(30)
        return Secret("a-token-of-a-file")

    monkeypatch.setattr(factories, "vault_login", lambda settings: Login("token", lambda client: Any, holds=held))
    monkeypatch.setattr(factories, "_MARK", 0.1)
    tried, asked = factories.Tried(), object()
    with anyio.fail_after(10):
        await tried.begins(asked)
        assert await tried.stands(asked)
        assert not await tried.stands(object()), "a reload has the login tried at once"


async def test_receipts_on_a_drive_that_hangs_stop_nothing_but_what_requires_them(drive, tmp_path, monkeypatch) -> None:
    made, append, blot = Observers(settings(tmp_path, required=True)), ReceiptFile.append, named("blog")
    monkeypatch.setattr(made._file, "_seconds", 0.2)
    moved = transition(blot, settled(), ev.Faulted(NOW, "mint", "HTTP 503"))

    def hangs(book: ReceiptFile, contents: list[Any]) -> None:
        drive.wait(30)
        append(book, contents)

    with anyio.fail_after(10):
        made.told[0](moved)
        await made.recorded()
        assert made.barred() == ""
        monkeypatch.setattr(ReceiptFile, "append", hangs)
        for _ in range(20):
            made.told[0](moved)
            await made.recorded()
        assert "no answer within 0.2 s; is it on a drive that hangs?" in made.barred()
        drive.set()
        while made.barred():
            await made.recorded()
            await anyio.sleep(0.01)
    lines = (tmp_path / "receipts.jsonl").read_text().splitlines()
    assert len(lines) == 21, "each once, in their order"
    made.close()


def test_a_start_and_an_end_wait_for_such_a_drive_for_a_while_only(drive, tmp_path, monkeypatch) -> None:
    made = Observers(settings(tmp_path))
    monkeypatch.setattr(observers, "_DISK", 0.1)
    monkeypatch.setattr(receipts, "_PATIENCE", 0.1)
    monkeypatch.setattr(ReceiptFile, "open", lambda book: drive.wait(30))
    monkeypatch.setattr(ReceiptFile, "append", lambda book, contents: drive.wait(30))
    made.told[0](transition(named("blog"), settled(), ev.Faulted(NOW, "mint", "HTTP 503")))
    made.close()
    late = Observers(settings(tmp_path))
    assert late.receipts
    assert "no answer within 0.1 s" in late.receipts.trouble
