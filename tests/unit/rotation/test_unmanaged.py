"""What credentials that left the settings have left alive."""

from __future__ import annotations

from datetime import datetime

from rotator.rotation import events as ev
from rotator.rotation.ownership import tokens, unmanaged, without
from rotator.rotation.record import Phase, Record, Unended
from rotator.rotation.transitions import advance
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, NOW, PLACE, SECOND, published, record, token


def test_every_living_token_of_a_record_is_told_with_the_command_that_ends_it() -> None:
    gone = record(Phase.PUBLISHED, current=published(2, token=token(2, expires_at=NOW + DAY)))
    found = unmanaged({"gone": gone, "never": Record("l3")}, [], NOW, {})
    assert [(each.credential, each.token, each.path) for each in found] == [
        ("gone", "t2.1", str(PLACE)),
        ("gone", "t1.1", str(PLACE)),
    ]
    assert found[0].expires_at == NOW + DAY
    assert found[0].end == "rotate strays --reap --unclaimed t2.1"
    assert [each.token for each in unmanaged({"gone": gone}, [], NOW + DAY, {})] == ["t1.1"]


def test_what_was_taken_over_under_another_name_is_managed() -> None:
    gone = record(Phase.SETTLED, current=published(1))
    assert unmanaged({"gone": gone}, [record(Phase.SETTLED, current=published(1))], NOW, {}) == []
    assert unmanaged({"gone": gone}, [record(Phase.PUBLISHED)], NOW, {}) == []
    assert len(unmanaged({"gone": gone}, [record(Phase.SETTLED, current=published(3))], NOW, {})) == 1


def test_no_command_is_proposed_for_what_a_configured_path_may_publish() -> None:
    gone = record(Phase.SETTLED, current=published(1))
    [found] = unmanaged({"gone": gone}, [], NOW, {PLACE: HOUR})
    assert found.read
    assert "rotate" not in found.end
    over = record(Phase.SETTLED, current=published(7, NOW))  # under another name, at that path
    assert unmanaged({"gone": gone}, [over], NOW + HOUR - SECOND, {PLACE: HOUR})[0].read
    [found] = unmanaged({"gone": gone}, [over], NOW + HOUR, {PLACE: HOUR})
    assert found.next == "nothing by itself; to end it: rotate strays --reap --unclaimed t1.1"


def adopted(before: Record, number: int, at: datetime) -> Record:
    """The record after it has taken over what another one published."""
    taken = replace(published(number), at=at, reused=True)
    return advance(before, ev.Adopted(at, "ada", taken, before.stem or "rot-i-other", at + HOUR))


def test_what_was_taken_over_and_ended_under_another_name_lives_no_more() -> None:
    """Its own record was not told: it left the settings before."""
    gone = record(Phase.SETTLED, current=published(1))
    later = adopted(Record("l2"), 1, NOW + HOUR)
    assert unmanaged({"gone": gone}, [later], NOW + HOUR, {}) == []
    since = replace(later, current=published(2), predecessor=None)
    assert unmanaged({"gone": gone}, [since], NOW + DAY, {}) == []


def test_renamed_there_and_back_nothing_dead_is_told_and_what_lives_is_told_once() -> None:
    first = record(Phase.SETTLED, current=published(1))
    second = replace(adopted(Record("l2"), 1, NOW + HOUR), current=replace(published(2), at=NOW + 2 * HOUR))
    second = replace(second, predecessor=None, phase=Phase.SETTLED)
    back = replace(adopted(first, 2, NOW + 3 * HOUR), predecessor=None, phase=Phase.SETTLED)
    since = replace(back, current=replace(published(3), at=NOW + 4 * HOUR))
    assert unmanaged({"second": second}, [since], NOW + DAY, {}) == []
    told = unmanaged({"second": second, "first": since}, [], NOW + DAY, {})
    assert [(each.credential, each.token) for each in told] == [("first", "t3.1")]
    told = unmanaged({"second": second, "first": back}, [], NOW + DAY, {})
    assert [(each.credential, each.token) for each in told] == [("first", "t2.1")]


def test_a_token_that_went_there_and_back_is_told_once() -> None:
    first = record(Phase.SETTLED, current=published(1))
    second = replace(adopted(Record("l2"), 1, NOW + HOUR), phase=Phase.SETTLED)
    back = replace(adopted(replace(first, current=None), 1, NOW + 2 * HOUR), phase=Phase.SETTLED)
    told = unmanaged({"second": second, "first": back}, [], NOW + DAY, {})
    assert [(each.credential, each.token) for each in told] == [("first", "t1.1")]


def test_what_a_rotation_had_made_when_its_credential_left_is_told() -> None:
    gone = record(Phase.STAGED, current=None)
    [found] = unmanaged({"gone": gone}, [], NOW, {})
    assert (found.token, found.target, found.path, found.published_at) == ("t2.1", "blog", str(PLACE), NOW)
    assert found.end == "rotate strays --reap --unclaimed t2.1"
    assert gone.candidate
    untold = replace(gone, candidate=replace(gone.candidate, pending=True))
    over = replace(gone, candidate=replace(gone.candidate, token=token(2, expires_at=NOW)))
    assert unmanaged({"untold": untold, "over": over}, [], NOW, {}) == []


def test_what_the_target_says_is_dead_lives_on_no_more() -> None:
    """A person had ended it by hand, and `status` called it alive for ever."""
    left = record(Phase.PUBLISHED)
    assert [(target, each.id) for target, each in tokens(left, NOW)] == [("blog", "t2.1"), ("blog", "t1.1")]
    half = without(left, {"t1.1"}, NOW)
    assert [each.token for each in unmanaged({"gone": half}, [], NOW, {})] == ["t2.1"]
    assert unmanaged({"gone": without(half, {"t2.1"}, NOW)}, [], NOW, {}) == []
    begun = record(Phase.STAGED)
    made = begun.candidate
    assert made
    assert made.token.id in [each.id for _, each in tokens(begun, NOW)]
    assert without(begun, {made.token.id}, NOW).candidate is None
    assert without(begun, {"another"}, NOW) == begun
    by_hand = record(Phase.SETTLED, unended=(Unended(published(0), "click on Revoke", NOW, NOW),))
    assert without(by_hand, {published(0).token.id}, NOW).unended == ()
    assert without(by_hand, {"another"}, NOW) == by_hand
