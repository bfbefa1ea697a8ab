"""What the campaigns judge by, without a world: who was told what, where to strike, how a kill is summed up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.campaign import leaks
from tests.system.daemon import Daemon
from tests.system.kill_anywhere import at_effects, everywhere, late
from tests.system.kinds import KINDS, Heard, taking_turns
from tests.system.outcome import Crash, Outcome, percentiles
from tests.system.proxy import Call, Side

CALLS = (
    Call("vault", "GET", "/v1/secret/data/rotator/journal/a"),
    Call("vault", "POST", "/v1/secret/data/rotator/journal/a"),
    Call("desk", "POST", "/auth/token?tenant=sandbox"),
    Call("vault", "POST", "/v1/secret/data/rotator/staged/a"),
    Call("desk", "POST", "/api/Application"),
    Call("vault", "POST", "/v1/secret/data/apps/a/halo"),
    Call("vault", "POST", "/v1/secret/destroy/rotator/staged/a"),
)


def test_a_value_that_vault_never_kept_is_known_to_nobody() -> None:
    heard = Heard()
    for value in ("canary-kept", "canary-discarded"):
        heard.desk(json.dumps([{"id": 7, "new_apikey1": value, "concurrencyToken": "3"}]).encode())
    heard.vault(json.dumps({"data": {"value": "canary-kept"}}).encode())
    assert list(heard.known("7")) == [("new_apikey1", "canary-kept")]
    assert list(heard.known("8")) == []


def test_a_form_tells_no_application_anything() -> None:
    heard = Heard()
    heard.desk(b"grant_type=client_credentials&client_secret=canary-in-a-form")
    assert not heard.told


@pytest.mark.parametrize(
    ("active", "fine"),
    [
        ({"spare": False}, True),
        ({"crm": True, "spare": False}, True),  # after the first rotation: its value is a person's
        ({"crm": False, "spare": False}, False),
        ({"crm": False}, False),
        ({"crm": True}, False),
        ({}, False),
    ],
)
def test_of_two_applications_that_take_turns_only_a_value_from_before_us_may_live_beside_the_published_one(
    active: dict[str, bool], fine: bool
) -> None:
    assert (taking_turns({"client_id": "spare", "rotation": "1"}, active) == []) is fine


def test_the_short_form_strikes_after_each_write_but_the_journals() -> None:
    assert at_effects(CALLS) == [(number, Side.AFTER) for number in (4, 5, 6)]
    assert len(everywhere(CALLS)) == 2 * len(CALLS)
    assert {side for _, side in late(CALLS)} == {Side.LATE}


def test_an_outcome_tells_of_every_kind_and_of_the_time_in_which_consumers_were_cut_off() -> None:
    crashes = (
        Crash("halo-client-secret", CALLS[4], Side.AFTER, 11.0, cut=(14.0,), fair=(0.05,)),
        Crash("halo-client-secret", CALLS[5], Side.AFTER, 12.0, missed=True),
    )
    text = str(Outcome({"halo-client-secret": CALLS}, crashes, 100, ()))
    assert "1 kills at 7 calls (5 vault, 2 desk)" in text
    assert "1 came too late" in text
    assert "p50 14000.0" in text
    assert percentiles(()) == "none seen"


@pytest.mark.parametrize("value", ["canary-" + "0123456789abcdef" * 4, "canary-line-of-a-key-0123456789\n" * 4])
def test_a_piece_of_a_value_in_a_log_is_found_and_so_is_a_bug(tmp_path: Path, value: str) -> None:
    daemon = object.__new__(Daemon)  # one that never ran
    daemon.log = tmp_path / "daemon-1.log"
    daemon.log.write_text(json.dumps({"event": "token.minted", "name": "a-r1"}))
    assert leaks([daemon], [value]) == []
    daemon.log.write_text(json.dumps({"event": "visit.failed", "said": f"of {value[8:]}"}))
    found = {text.partition(":")[0] for text in leaks([daemon], [value])}
    assert found == {"daemon-1.log holds a secret", "daemon-1.log tells of a bug"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_only_what_has_one_slot_may_cut_consumers_off(kind) -> None:  # type: ignore[no-untyped-def] # a row of ours
    assert kind.overlap is (kind.name not in ("halo-client-secret", "halo-assertion-key"))
