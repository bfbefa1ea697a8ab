"""Who waits for the end of a value that only a person can end is told, and does not wait for ever."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from rotator.commands.outcomes import verdicts
from rotator.engine.worker_pool import PendingRequest
from rotator.rotation.record import Phase, Unended
from tests.unit.rotation.builders import NOW, SECOND, ask, published, record

OLD = published(1)
DONE = record(Phase.SETTLED, rotation=2, current=published(2, NOW + SECOND), unended=(Unended(OLD, "click", NOW, NOW),))


@pytest.mark.parametrize("emergency", [False, True])
def test_it_is_a_verdict_for_a_person(emergency: bool) -> None:
    asked = PendingRequest(ask(emergency=emergency, live=("t1.1",)), patient=True)
    asked.done.set()
    assert asked.hears(DONE)
    ((verdict,),) = (
        each["verdicts"] for each in verdicts(SimpleNamespace(), {"blog/bot": asked}, {}, emergency=emergency)
    )
    assert verdict["exit"] == 3
    assert verdict["said"].startswith("rotation 2: t2.1 is live at kv/blog/bot; a person has to end what was published")
    assert "t1.1: click" in verdict["said"]
    assert verdict.get("live", ["t1.1"]) == ["t1.1"]


def test_who_does_not_wait_for_an_end_is_content() -> None:
    asked = PendingRequest(ask(live=("t1.1",)), patient=False)
    assert asked.hears(DONE)
    assert asked.answer == "published"
