"""What calls are for: an emergency's go first, a look's last."""

from __future__ import annotations

import pytest

from rotator.rotation.purpose import Purpose, purpose_of
from rotator.rotation.record import Phase, Trigger
from rotator.rotation.steps import Act, LookWhetherEnded, Mint, Reopen, Request
from tests.unit.rotation.builders import record


@pytest.mark.parametrize(
    ("step", "emergency", "purpose"),
    [
        (Request(Trigger.AGED, "due"), False, Purpose.DUE),
        (Request(Trigger.ASKED, "asked for", "ada", emergency=True), False, Purpose.EMERGENCY),
        (Mint("m"), False, Purpose.IN_FLIGHT),
        (Mint("m"), True, Purpose.EMERGENCY),
        (Reopen("t"), False, Purpose.EMERGENCY),
        (LookWhetherEnded("t"), True, Purpose.REST),
    ],
)
def test_what_the_calls_of_a_step_are_for(step: Act, emergency: bool, purpose: Purpose) -> None:
    assert purpose_of(record(Phase.REQUESTED, emergency=emergency), step) is purpose
