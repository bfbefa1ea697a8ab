"""Each fuzz in its short form, always the same examples; and that each of them can fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rotator.app import control
from rotator.observe import status as server
from rotator.vault import journal_codec
from tests.hostile.fuzz.campaign import FUZZ, campaign, run
from tests.hostile.fuzz.control import door
from tests.hostile.fuzz.documents import journal, sound
from tests.unit.engine.world import JOURNAL

EXAMPLES = dict.fromkeys(FUZZ, 60) | {name: 200 for name in FUZZ if "settings" in name or "alone" in name}


@pytest.mark.parametrize("name", FUZZ)
def test_nothing_from_outside_ends_in_a_traceback_or_an_effect(name: str) -> None:
    assert run(FUZZ[name], EXAMPLES[name]) > 0


def test_the_campaign_counts_its_examples_and_names_its_seed() -> None:
    assert campaign(7, 0).text().startswith("seed 7: 0 examples")


@pytest.mark.parametrize(
    ("stop", "key", "value"),
    [
        ("", "phase", "\ud800"),
        ("", "schema", "9" * 5000),
        ("", "lease", {"holder": "host-a", "seq": "1", "ttl": "9" * 30}),
        ("", "settled_at", "9999-12-31T23:59:59Z"),
    ],
    ids=["half a character", "a schema of thousands of digits", "a lease without end", "a time beyond the calendar"],
)
def test_a_hand_edit_that_once_ended_in_a_traceback_is_refused(stop: str, key: str, value: object) -> None:
    journal((stop, {**json.loads(sound(stop, JOURNAL)), key: value}))


def test_a_publication_dated_beyond_the_calendar_is_refused() -> None:
    values = json.loads(sound("", JOURNAL))
    values["current"]["at"] = "9999-12-31T23:59:59Z"
    journal(("", values))


# --- planted weaknesses -----------------------------------------------------------------------------------------------


def test_a_codec_that_reads_newer_schemas_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_codec, "is_newer", lambda schema: False)
    with pytest.raises(AssertionError):
        run(FUZZ["a journal of a newer schema"], 30)


def test_a_codec_without_its_look_at_times_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_codec, "_beyond", lambda record, lease: "")
    values = json.loads(sound("", JOURNAL))
    values["current"]["at"] = "9999-12-31T23:59:59Z"
    with pytest.raises(OverflowError):
        journal(("", values))


def test_a_socket_that_takes_anything_for_a_wish_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gullible(stream: Any) -> dict[str, Any]:
        await stream.receive()
        return {"verb": "now", "everything": True}

    door()
    monkeypatch.setattr(control, "_request", gullible)
    with pytest.raises(AssertionError):
        run(FUZZ["the control socket"], 20)


def test_an_address_that_answers_to_any_name_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "strange", lambda header, known: "")
    with pytest.raises(AssertionError, match="a stranger's name was served"):
        run(FUZZ["the status address"], 200)
