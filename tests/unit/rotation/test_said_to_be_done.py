"""A person did what they were asked for, and says so with `rotate now`: it is tried again at once, and once."""

from __future__ import annotations

import pytest

from rotator.rotation.decide import next_step
from rotator.rotation.record import Phase
from rotator.rotation.steps import Poll, Wait
from tests.kit.records import replace
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, ask, credential, record

TOLD = NOW + MINUTE


@pytest.mark.parametrize(
    ("asked_at", "told_at", "polls"),
    [
        pytest.param(TOLD + MINUTE, TOLD, True, id="asked after the person was told"),
        pytest.param(TOLD, TOLD, False, id="the ask that led to the wait"),
        pytest.param(TOLD - MINUTE, TOLD, False, id="asked before"),
    ],
)
def test_an_ask_after_the_telling_is_a_word_that_it_is_done(asked_at, told_at, polls: bool) -> None:
    known = record(Phase.AWAITING, reminded_at=told_at)
    step = next_step(credential(), known, NOW + HOUR, replace(ask(), at=asked_at))
    assert isinstance(step, Poll) is polls
    assert isinstance(step, Wait) is not polls
