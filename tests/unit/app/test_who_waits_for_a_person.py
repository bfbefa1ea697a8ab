"""Who waits for the end of a value that only a person or its date can end is told, and does not wait for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rotator.commands.outcomes import verdicts
from rotator.engine.worker_pool import PendingRequest
from rotator.rotation.operator_request import TakenUp
from rotator.rotation.record import Failure, LeftValue, Phase, Unended
from tests.kit.records import replace
from tests.unit.rotation.builders import HOUR, NOW, SECOND, ask, published, record

OLD = published(1)
DONE = record(Phase.SETTLED, rotation=2, current=published(2, NOW + SECOND), unended=(Unended(OLD, "click", NOW, NOW),))


def verdict_on(asked: PendingRequest) -> dict[str, Any]:
    actor: Any = SimpleNamespace()
    lines = verdicts(actor, {"blog/bot": asked}, {}, emergency=asked.ask.emergency)
    ((verdict,),) = (each["verdicts"] for each in lines)
    return verdict


@pytest.mark.parametrize("emergency", [False, True])
def test_it_is_a_verdict_for_a_person(emergency: bool) -> None:
    asked = PendingRequest(ask(emergency=emergency, live=("t1.1",)), patient=True)
    asked.done.set()
    assert asked.hears(DONE)
    verdict = verdict_on(asked)
    assert verdict["exit"] == 3
    assert verdict["said"].startswith("rotation 2: t2.1 is live at kv/blog/bot; a person has to end what was published")
    assert "t1.1: click" in verdict["said"]
    assert verdict.get("live", ["t1.1"]) == ["t1.1"]


def test_who_does_not_wait_for_an_end_is_content() -> None:
    asked = PendingRequest(ask(live=("t1.1",)), patient=False)
    assert asked.hears(DONE)
    assert asked.answer == "published"


def test_a_leak_that_could_not_be_revoked_is_no_success_of_any_emergency() -> None:
    left = LeftValue(OLD, NOW + HOUR, "HTTP 403", NOW, NOW, leaked=True)
    known = record(Phase.SETTLED, rotation=3, current=published(3, NOW + SECOND), left=(left,))
    asked = PendingRequest(ask(emergency=True, live=("t2.1", "t1.1")), patient=True)
    asked.done.set()
    assert asked.hears(known)
    verdict = verdict_on(asked)
    assert (verdict["answer"], verdict["exit"]) == ("published", 1)
    assert (verdict["ended"], verdict["live"]) == (["t2.1"], ["t1.1"])
    assert verdict["said"].endswith(
        "not proven dead yet: t1.1 (t1.1 ends by itself at 2026-03-01 13:00:00Z, not revoked: HTTP 403; "
        "`rotate revoke blog/bot` tries again)"
    )
    dead = PendingRequest(ask(emergency=True, live=("t2.1", "t1.1")), patient=True)
    dead.done.set()
    assert dead.hears(replace(known, left=()))
    assert (verdict_on(dead)["answer"], verdict_on(dead)["exit"]) == ("done", 0)
    again = replace(known, left=(replace(left, again=True),))
    assert not PendingRequest(asked.ask, patient=True).hears(again), "it is revoked once more before"


@pytest.mark.parametrize("patient", [False, True])
def test_an_end_that_fails_until_a_person_has_acted_is_a_verdict_for_them(patient: bool) -> None:
    failure = Failure("revoke", "get another token", NOW, NOW)
    known = record(Phase.CONDEMNED, rotation=2, current=published(2, NOW + SECOND), failures=3, failure=failure)
    asked = PendingRequest(ask(), patient=patient)
    assert asked.hears(known)
    assert asked.answer == ("awaiting" if patient else "published")
    asked.done.set()
    said = "ending the old value failed: get another token"
    assert not patient or verdict_on(asked)["said"].endswith(f"a person has to act, then it goes on by itself: {said}")
    later = PendingRequest(ask(live=("t2.1",), id="r2"), patient=patient)
    assert not later.hears(known), "it is not taken up: the next look is for it"
    assert later.hears(replace(known, taken=(TakenUp("r2", NOW),)))
    assert later.answer == "awaiting"
