"""What a record says to `rotate now`."""

from __future__ import annotations

import pytest

from rotator.rotation.record import Failure, Phase
from rotator.rotation.rotation_request import RequestAnswer, answer, wanted
from tests.unit.rotation.builders import DAY, MINUTE, NOW, ask, published, record

LATER = ask(NOW + MINUTE)
FAILED = Failure("mint", "no", NOW + 2 * MINUTE)
EARLIER_FAILED = Failure("mint", "no", NOW)

TABLE = {
    "settled before the ask: go on": (record(Phase.SETTLED), LATER, RequestAnswer.OPEN),
    "never published: go on": (record(Phase.SETTLED, current=None), LATER, RequestAnswer.OPEN),
    "minting: go on": (record(Phase.REQUESTED), LATER, RequestAnswer.OPEN),
    "staged: go on": (record(Phase.STAGED), LATER, RequestAnswer.OPEN),
    "about to publish: go on": (record(Phase.VERIFIED), LATER, RequestAnswer.OPEN),
    "revoking an earlier predecessor: go on": (record(Phase.CONDEMNED), LATER, RequestAnswer.OPEN),
    "published since the ask": (record(Phase.PUBLISHED), ask(NOW), RequestAnswer.PUBLISHED),
    "revoking what the answer replaced": (record(Phase.CONDEMNED), ask(NOW), RequestAnswer.PUBLISHED),
    "settled since the ask": (record(Phase.SETTLED), ask(NOW), RequestAnswer.DONE),
    "an earlier predecessor is in grace": (record(Phase.PUBLISHED), LATER, RequestAnswer.IN_GRACE),
    "an emergency does not wait for an earlier predecessor": (
        record(Phase.PUBLISHED),
        ask(NOW + MINUTE, emergency=True),
        RequestAnswer.OPEN,
    ),
    "given up since the ask": (record(Phase.SETTLED, failure=FAILED, retry_at=NOW + DAY), LATER, RequestAnswer.FAILED),
    "given up before the ask: try again": (
        record(Phase.SETTLED, failure=EARLIER_FAILED, retry_at=NOW + DAY),
        LATER,
        RequestAnswer.OPEN,
    ),
    "a failure that has no pause is being worked on": (
        record(Phase.SETTLED, failure=FAILED),
        LATER,
        RequestAnswer.OPEN,
    ),
    "held": (record(Phase.HELD), LATER, RequestAnswer.HELD),
    "held is held, even when published since the ask": (
        record(Phase.HELD, current=published(2, NOW + DAY)),
        LATER,
        RequestAnswer.HELD,
    ),
}


@pytest.mark.parametrize(("known", "wish", "said"), TABLE.values(), ids=TABLE)
def test_answer(known, wish, said) -> None:
    assert answer(known, wish) is said


@pytest.mark.parametrize(("known", "wish", "said"), TABLE.values(), ids=TABLE)
def test_an_ask_is_wanted_exactly_while_it_is_open(known, wish, said) -> None:
    assert wanted(known, wish) is (said is RequestAnswer.OPEN)


def test_nobody_asking_wants_nothing() -> None:
    assert not wanted(record(Phase.SETTLED), None)
