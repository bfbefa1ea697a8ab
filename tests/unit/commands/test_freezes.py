"""What `rotate check` says of freezes, and `rotate supply` in one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rotator.commands.freezes import check_freezes
from rotator.commands.supply import _objection as objection
from rotator.ports import Refused
from rotator.rotation.change_calendar import Calendar
from rotator.rotation.record import Phase, Record
from rotator.vault.fitness import FindingLevel
from tests.kit.clock import StillClock
from tests.unit.rotation.builders import DAY, NOW, credential, published, record, token
from tests.unit.rotation.calendars import freeze

pytestmark = pytest.mark.anyio

XMAS, OVER, NOBODY = freeze("xmas", 24, 240), freeze("over", -20, -10), freeze("nobody", 1, 2)


def actor(records: dict[str, Record | Refused | None]) -> Any:
    """An actor whose credentials are all covered by XMAS and OVER."""

    async def load(name: str) -> Any:
        found = records[name]
        if isinstance(found, Refused):
            raise found
        return SimpleNamespace(record=found)

    named = {name: credential(name=name, calendar=Calendar(freezes=(XMAS, OVER))) for name in records}
    settings = SimpleNamespace(freezes=(XMAS, OVER, NOBODY), credentials=named)
    return SimpleNamespace(settings=settings, clock=StillClock(NOW), journal=SimpleNamespace(load=load))


async def test_whose_value_does_not_outlive_a_freeze_is_told_before_it_begins() -> None:
    dying = published(1, NOW - 29 * DAY, token=token(1, expires_at=NOW + 5 * DAY))
    lives = published(1, NOW - 29 * DAY, token=token(1, expires_at=NOW + 60 * DAY))
    first = published(1, NOW - 29.5 * DAY, token=token(1, expires_at=NOW + 2 * DAY))
    records = {
        "dying": record(Phase.SETTLED, current=dying),
        "lives": record(Phase.SETTLED, current=lives),
        "first": record(Phase.SETTLED, current=first),
        "new": None,
        "unread": Refused("403"),
    }
    found = [(each.level, each.subject, each.text) async for each in check_freezes(actor(records))]
    assert found == [
        (
            FindingLevel.OK,
            "freeze xmas",
            "covers 5 credentials from 2026-03-02 12:00:00Z until 2026-03-11 12:00:00Z; of 1 the next rotation begins"
            " in it",
        ),
        (
            FindingLevel.WARNING,
            "credential dying",
            "its value does not outlive the freeze xmas: its successor begins at 2026-03-06 09:55:00Z, in it",
        ),
        (FindingLevel.NOTE, "freeze over", "is over since 2026-03-01 02:00:00Z"),
        (FindingLevel.WARNING, "freeze nobody", "covers no credential"),
    ]


async def test_without_freezes_nothing_is_read() -> None:
    nobody = SimpleNamespace(settings=SimpleNamespace(freezes=()), clock=StillClock(NOW))
    assert [each async for each in check_freezes(nobody)] == []  # type: ignore[arg-type]  # it has no journal


def test_a_value_is_not_taken_from_a_person_where_its_rotation_may_not_begin() -> None:
    frozen = credential(calendar=Calendar(freezes=(XMAS,)))
    settled = record(Phase.SETTLED)
    said = objection(frozen, settled, NOW + 2 * DAY)
    assert said == "freeze xmas until 2026-03-11 12:00:00Z: year's end; no rotation begins before 2026-03-11 12:00:00Z"
    assert not objection(frozen, settled, NOW)
    assert not objection(frozen, None, NOW + 2 * DAY)  # a first value
    assert not objection(frozen, record(Phase.AWAITING), NOW + 2 * DAY)  # it has begun
