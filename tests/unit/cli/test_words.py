"""Lines that commands print, word for word where a word too many was seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.app.strays import Leftover
from rotator.cli.strays import _row
from rotator.commands.history import _receipts
from rotator.rotation.ownership import Owner, TokenState
from rotator.rotation.record import Token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_last_use_of_a_stray_is_so_long_ago() -> None:
    stray = Leftover("blog", Token("t1"), Owner(TokenState.UNMANAGED, "gone"), NOW - timedelta(seconds=48))
    assert "48s ago" in _row(stray, "unclaimed", NOW)


def test_whoever_asked_is_named_once(tmp_path: Path) -> None:
    begun = {
        "n": 1,
        "previous": "",
        "credential": "bot",
        "event": "rotation.requested",
        "asked_by": "ada",
        "by": "host-a/1",
    }
    said = ("rotation 2 begins: asked for by ada", "rotation 3 begins: nothing published yet")
    path = tmp_path / "receipts.jsonl"
    path.write_text("".join(f"{json.dumps({**begun, 'at': NOW.isoformat(), 'said': each})}\n" for each in said))
    assert [each.said for each in _receipts(path, "bot")] == [said[0], f"{said[1]}, asked by ada"]
