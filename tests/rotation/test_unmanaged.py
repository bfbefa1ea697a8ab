"""What credentials that left the settings have left alive."""

from __future__ import annotations

from rotator.rotation.record import Phase, Record
from rotator.rotation.unmanaged import unmanaged
from tests.rotation.builders import DAY, NOW, PLACE, published, record, token


def test_every_living_token_of_a_record_is_told_with_the_command_that_ends_it() -> None:
    gone = record(Phase.PUBLISHED, current=published(2, token=token(2, expires_at=NOW + DAY)))
    found = unmanaged({"gone": gone, "never": Record("l3")}, [], NOW, ())
    assert [(each.credential, each.token, each.path) for each in found] == [
        ("gone", "t2.1", str(PLACE)),
        ("gone", "t1.1", str(PLACE)),
    ]
    assert found[0].expires_at == NOW + DAY
    assert found[0].end == "rotate strays --reap --unclaimed t2.1"
    assert [each.token for each in unmanaged({"gone": gone}, [], NOW + DAY, ())] == ["t1.1"]


def test_what_was_taken_over_under_another_name_is_managed() -> None:
    gone = record(Phase.SETTLED, current=published(1))
    assert unmanaged({"gone": gone}, [record(Phase.SETTLED, current=published(1))], NOW, ()) == []
    assert unmanaged({"gone": gone}, [record(Phase.PUBLISHED)], NOW, ()) == []
    assert len(unmanaged({"gone": gone}, [record(Phase.SETTLED, current=published(3))], NOW, ())) == 1


def test_no_command_is_proposed_for_what_a_configured_path_may_publish() -> None:
    gone = record(Phase.SETTLED, current=published(1))
    [found] = unmanaged({"gone": gone}, [], NOW, {PLACE})
    assert found.read
    assert "rotate" not in found.end
