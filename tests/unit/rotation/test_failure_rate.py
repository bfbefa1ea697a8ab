"""When too much fails at a target: what counts as an attempt, which share stops it, and what a person has ended."""

from __future__ import annotations

import pytest

from rotator.rotation.credential import Retirement
from rotator.rotation.credential_state import Headline, state
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.failure_rate import Attempt, latest_attempt, stops_to_make, why_stop
from rotator.rotation.pause import covered, pause_on, resumed_at, with_pause, with_stop, without_pause, words
from rotator.rotation.record import Failure, Pause, Phase, Record
from rotator.rotation.steps import Condemn, Request, Wait
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, credential, published, record

GOOD = record(Phase.SETTLED, current=published(2, NOW - HOUR))
FAILED = Failure("verify", "no", NOW - HOUR)
BAD = record(Phase.SETTLED, current=published(1, NOW - 30 * DAY), given_up=1, failure=FAILED)
REFUSED = replace(record(Phase.SETTLED, current=published(2, NOW - HOUR)), refused_at=NOW - 30 * MINUTE)
OLD = record(Phase.SETTLED, current=published(2, NOW - 25 * HOUR))
PLACE = ("blog", "halo-pat")


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (Record(""), None),
        (GOOD, Attempt(NOW - HOUR, failed=False)),
        (BAD, Attempt(NOW - HOUR, failed=True)),
        (REFUSED, Attempt(NOW - 30 * MINUTE, failed=True, refused=True)),
        (replace(REFUSED, refused_at=NOW + HOUR), Attempt(NOW - HOUR, failed=False)),
        (record(Phase.SETTLED, current=published(2, NOW, reused=True)), None),
        (record(Phase.REQUESTED, current=published(1, NOW - HOUR), failures=9), Attempt(NOW - HOUR, failed=False)),
    ],
    ids=["nothing", "published", "given up", "refused", "refused later", "adopted", "not over"],
)
def test_the_outcome_of_the_latest_rotation(known: Record, found: Attempt | None) -> None:
    assert latest_attempt(known) == found


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([BAD, BAD], ""),
        ([BAD] * 3, "3 of the latest 3 rotations there failed"),
        ([BAD] * 3 + [GOOD] * 3, ""),
        ([BAD] * 4 + [GOOD] * 3, "4 of the latest 7 rotations there failed"),
        ([BAD] * 6 + [OLD] * 90, "6 of the latest 6 rotations there failed"),
        ([REFUSED] + [GOOD] * 9, ""),
        ([REFUSED] * 2 + [GOOD] * 8, "it refused 2 values soon after their publication"),
    ],
)
def test_a_share_of_the_latest_stops_and_a_single_bad_one_never(records: list[Record], said: str) -> None:
    assert why_stop(records, NOW, None, 0.5) == said


def test_what_failed_before_a_person_let_it_go_on_does_not_count() -> None:
    assert not why_stop([BAD] * 5, NOW, NOW - 30 * MINUTE, 0.5)
    assert why_stop([BAD] * 5, NOW, NOW - 2 * HOUR, 0.5)


def test_each_target_and_kind_is_judged_alone_and_a_share_of_one_never_stops() -> None:
    records = {PLACE: [BAD] * 3, ("blog", "other"): [GOOD], ("shop", "halo-pat"): [BAD] * 3}
    assert stops_to_make(records, NOW, {}, {"blog": 0.5, "shop": 1.0}) == {
        PLACE: "3 of the latest 3 rotations there failed"
    }


STOPPED = with_stop((), *PLACE, NOW, "3 of the latest 3 rotations there failed")
OURS = credential(kind="halo-pat")


def test_a_stop_covers_its_kind_at_its_target_and_is_made_once() -> None:
    assert with_stop(STOPPED, *PLACE, NOW + HOUR, "more") is STOPPED
    assert covered(OURS, STOPPED).paused
    assert not covered(credential(kind="other"), STOPPED).paused
    assert not covered(replace(OURS, target="shop"), STOPPED).paused


def test_it_ends_by_a_person_alone_and_its_end_is_known_for_a_day() -> None:
    assert resumed_at(STOPPED, NOW + 9 * DAY) == {}
    for labels, target in (({}, "blog"), ({}, "")):
        ended = without_pause(STOPPED, labels, NOW + HOUR, target)
        assert resumed_at(ended, NOW + HOUR) == {PLACE: NOW + HOUR}
        assert not pause_on(covered(OURS, ended), GOOD, NOW + HOUR)
        assert with_pause(ended, Pause("ada", NOW + DAY), {})[0] == ended[0]
        assert len(with_pause(ended, Pause("ada", NOW + 2 * DAY), {})) == 1
    paused = with_pause(STOPPED, Pause("ada", NOW), {}, "blog")
    assert [each.pause.by for each in paused] == ["rotator", "ada"]


def test_nothing_begins_and_displays_say_why_and_what_ends_it() -> None:
    stopped = covered(OURS, STOPPED)
    due = NOW + 40 * DAY
    assert isinstance(next_step(OURS, GOOD, due), Request)
    assert next_step(stopped, GOOD, due) == Wait(None, words(stopped.paused))
    seen = state(stopped, GOOD, due)
    assert (seen.word, seen.exit, seen.do) == (Headline.STOPPED, 3, "rotate resume --target blog")
    assert "Stopped since 2026-03-01 12:00:00Z until somebody resumes it: 3 of the latest" in " ".join(
        explain(stopped, GOOD, due)
    )


def test_a_predecessor_is_kept_until_its_deadline_and_no_longer() -> None:
    retire = Retirement(after=HOUR, quiet=MINUTE, deadline=DAY)
    stopped = covered(replace(OURS, retire=retire), STOPPED)
    known = record(Phase.PUBLISHED, current=published(2, NOW), predecessor=published(1, NOW - DAY))
    assert next_step(stopped, known, NOW + 2 * HOUR) == Wait(NOW + DAY, words(stopped.paused))
    assert isinstance(next_step(stopped, known, NOW + DAY), Condemn)
    forever = covered(OURS, STOPPED)
    assert next_step(forever, known, NOW + 9 * DAY) == Wait(None, words(stopped.paused))
