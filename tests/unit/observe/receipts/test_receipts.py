"""What receipts say, and that a trouble with their file reaches nobody's visit."""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.observe.receipts import ReceiptFile, Receipts, keep, verify
from rotator.ports import Refused
from rotator.rotation import events as ev
from rotator.rotation.record import Phase, Trigger, Unended
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.settings import Audit
from tests.kit.fleet import named, settled, transition
from tests.unit.engine.world import World
from tests.unit.rotation.builders import NOW, candidate, published

BLOG = named("blog")


class Kept:
    """Receipts in a file, and what was told about troubles."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.path = folder / "receipts.jsonl"
        self.receipts = Receipts(ReceiptFile(self.path), self.told.append)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def whole(self) -> bool:
        with self.path.open("rb") as lines:
            return not verify([("it", lines)]).findings


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def fault(text: str = "HTTP 503"):
    return transition(BLOG, settled(), ev.Faulted(NOW, "mint", text))


def requested():
    event = ev.Requested(NOW, Trigger.ASKED, "asked for by ada", "ada", False, "stem", BLOG.place, "blog", BLOG.policy)
    return transition(BLOG, settled(), event)


def test_a_receipt_says_who_asked_and_why(kept: Kept) -> None:
    kept.receipts(requested())
    [line] = kept.lines()
    expected = {"credential": "blog", "target": "blog", "event": "rotation.requested", "by": "host-a/1/abc"}
    assert expected.items() <= line.items()
    assert (line["asked_by"], line["why"], line["from"]) == ("ada", "asked", "settled")
    assert line["at"] == "2026-03-01T12:00:00.000+00:00"


def test_a_receipt_names_the_evidence_that_opened_the_gate(kept: Kept) -> None:
    kept.receipts(transition(BLOG, settled(), ev.Condemned(NOW, "successor proven, last used 2026-02-28T10:00:00Z")))
    assert kept.lines()[0]["detail"]["evidence"] == "successor proven, last used 2026-02-28T10:00:00Z"


def test_a_receipt_has_names_and_fingerprints_of_every_token_it_is_about(kept: Kept) -> None:
    kept.receipts(transition(BLOG, settled(), ev.Staged(NOW, candidate())))
    [line] = kept.lines()
    assert line["candidate"] == {"id": "t2.1", "name": "rotator-home-blog-bot-l1-r2-a1", "fingerprint": "print-2.1"}
    assert line["current"]["fingerprint"] == "print-1.1"


def test_a_secret_that_a_target_echoes_does_not_get_into_a_receipt(kept: Kept) -> None:
    value = Secret("a-value-that-nobody-may-see-0123456789")
    kept.receipts(fault(f"the target said {value.reveal()}"))
    assert "nobody-may-see" not in kept.path.read_text()
    assert "[redacted]" in kept.lines()[0]["said"]


def test_what_cannot_be_written_waits_in_its_order_and_is_told_once(kept: Kept) -> None:
    kept.receipts(fault("first"))
    aside = kept.path.rename(kept.path.with_name("aside"))
    kept.path.mkdir()
    for text in ("second", "third"):
        kept.receipts(fault(text))
    assert [bool(text) for text in kept.told] == [True]
    kept.path.rmdir()
    aside.rename(kept.path)
    kept.receipts(fault("fourth"))
    assert [line["said"].split()[-1] for line in kept.lines()] == ["first", "second", "third", "fourth"]
    assert kept.whole()
    assert kept.told[-1] == "", "its end is told as well"


def test_what_had_to_be_forgotten_is_counted_in_the_chain(kept: Kept, monkeypatch) -> None:
    monkeypatch.setattr("rotator.observe.receipts._KEPT", 3)
    kept.path.mkdir()
    for number in range(5):
        kept.receipts(fault(f"number {number}"))
    kept.path.rmdir()
    assert kept.receipts.flush() == ""
    first, *others = kept.lines()
    assert (first["event"], first["transitions"], len(others)) == ("receipts.lost", 2, 3)
    assert kept.whole()


def test_nothing_is_kept_where_settings_name_no_file() -> None:
    assert keep(Audit()) is None


def test_a_required_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="required = true"):
        keep(Audit(str(tmp_path / "nowhere" / "receipts.jsonl"), required=True))


def test_a_wanted_file_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.CRITICAL)
    receipts = keep(Audit(str(tmp_path / "later" / "receipts.jsonl")))
    assert receipts
    assert "No such file" in receipts.trouble
    (tmp_path / "later").mkdir()
    receipts(fault())
    assert receipts.trouble == ""


@pytest.mark.anyio
async def test_no_rotation_begins_while_required_receipts_cannot_be_written(kept: Kept) -> None:
    world = World()
    actor = world.actor()
    actor.reconciler.barred = kept.receipts.barred
    kept.path.mkdir()
    seen = await actor.reconcile()
    assert (actor.events, seen.wait.reason) == ([], f"receipts {kept.path}: Is a directory")
    assert seen.wait.until == world.clock.now() + timedelta(seconds=30)
    kept.path.rmdir()
    await actor.reconcile()
    assert actor.events[-1] == "Swept"


@pytest.mark.anyio
async def test_what_is_under_way_goes_on_without_receipts(kept: Kept) -> None:
    world = World()
    actor = world.actor()
    await actor.reconcile()
    world.clock.move(1)
    await actor.reconcile(RotationRequest(world.clock.now(), "ada"))
    assert (await world.record()).phase is Phase.PUBLISHED
    kept.path.mkdir()
    actor.reconciler.barred = kept.receipts.barred
    world.clock.move(timedelta(hours=2))
    await actor.reconcile()
    assert (await world.record()).phase is Phase.SETTLED


class Meddled(ReceiptFile):
    """A file for which, as soon as a line is in it, another thread asks whether it can be written, as a probe does."""

    asking: threading.Thread | None = None

    def append(self, contents) -> None:
        super().append(contents)
        if self.asking is None:
            self.asking = threading.Thread(target=self.ask)
            self.asking.start()
            self.asking.join(0.2)  # it comes to its end in that time, or is kept waiting


@pytest.mark.parametrize("ask", ["barred", "flush"])
def test_a_probe_that_asks_while_a_receipt_is_written_neither_doubles_nor_drops_one(tmp_path: Path, ask: str) -> None:
    book = Meddled(tmp_path / "receipts.jsonl")
    receipts = Receipts(book, lambda text: None)
    book.ask = getattr(receipts, ask)
    for number in range(3):
        receipts(fault(str(number)))
    book.asking.join(10)
    lines = [json.loads(line) for line in book.path.read_text().splitlines()]
    assert [line["detail"]["reason"] for line in lines] == ["0", "1", "2"]


def test_what_waits_for_a_person_to_be_ended_is_in_every_receipt(kept: Kept) -> None:
    left = (Unended(published(0), "click on Revoke", NOW, NOW),)
    kept.receipts(transition(BLOG, settled(unended=left), ev.Faulted(NOW, "mint", "HTTP 503")))
    assert kept.lines()[-1]["unended"] == [{"id": "t0.1", "name": left[0].value.token.name, "fingerprint": "print-0.1"}]
    assert kept.whole()
