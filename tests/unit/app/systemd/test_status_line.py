"""The fleet in one line: who needs a person comes first, long lists are cut, the next one is named."""

from __future__ import annotations

from rotator.app.systemd import status_line
from rotator.observe.health import states
from rotator.rotation.record import Failure, HoldReason, Phase, Record
from tests.kit.fleet import fleet, named, settled
from tests.kit.records import OnHold
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, published, record, token

HELD = record(Phase.HELD, held=OnHold(HoldReason.DELETED, "look", Phase.SETTLED, NOW))
FAILING = settled(failure=Failure("mint", "503", NOW), retry_at=NOW + 3 * DAY)
EXPIRED = settled(current=published(1, NOW - 91 * DAY, token=token(1, expires_at=NOW)), requested_at=NOW - 91 * DAY)


def line(**records: Record | None) -> str:
    _, view, _ = fleet(*((named(name), found) for name, found in records.items()))
    return status_line(states(view, NOW), NOW)


def test_a_quiet_fleet_says_how_large_it_is_and_what_comes_next() -> None:
    said = line(blog=settled(NOW - 30 * DAY + 50 * HOUR), shop=settled(NOW - 30 * DAY + 90 * MINUTE))
    assert said == "2 credentials; next: shop in 90m"


def test_who_needs_a_person_is_named_before_what_is_under_way() -> None:
    staged = record(Phase.STAGED, requested_at=NOW - 20 * SECOND)
    said = "3 credentials, 1 HELD (a), 1 failing (b), 1 under way; next: c within a minute"
    assert line(a=HELD, b=FAILING, c=staged) == said


def test_a_value_that_is_of_no_use_any_more_is_named() -> None:
    assert line(a=EXPIRED) == "1 credential, 1 EXPIRED (a); next: a within a minute"


def test_many_names_are_counted_instead() -> None:
    assert line(**dict.fromkeys("abcde", HELD)) == "5 credentials, 5 HELD (a, b, c and 2 more)"


def test_what_was_not_looked_at_yet_is_said() -> None:
    assert line(a=None) == "1 credential, 1 not looked at yet"
