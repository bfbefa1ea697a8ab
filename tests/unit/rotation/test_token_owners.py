"""Whose a token is: nothing that a configured path publishes is a stray, whichever record or target it is listed by."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation import foreign_journal
from rotator.rotation.ownership import ENDABLE, Owner, PathContent, TokenOwners, TokenState, living, same
from rotator.rotation.record import Phase, Record, Token
from rotator.rotation.token_names import mint_name
from tests.kit.records import replace
from tests.unit.rotation.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PLACE,
    STEM,
    candidate,
    changes,
    published,
    record,
    token,
)

FAMILY = "rotator-home-"
OTHER = "rotator-home-web-l2"
MINE, OLD = token(2), token(1)


def path(**changes) -> PathContent:
    return replace(PathContent("third", PLACE, written_at=NOW, grace=HOUR), **changes)


def owners(
    configured: dict[str, Record] | None = None,
    left: dict[str, Record] | None = None,
    paths: tuple[PathContent, ...] = (),
    unreadable: dict[str, str] | None = None,
) -> TokenOwners:
    return TokenOwners(configured or {}, left or {}, paths, FAMILY, unreadable)


def state(made: TokenOwners, of: Token = MINE, at=NOW) -> TokenState:
    return made.of(of, at).state


IN_GRACE = record(Phase.PUBLISHED, grace_ends=NOW + HOUR)


def test_what_a_record_of_the_settings_names_is_its_own() -> None:
    made = owners({"bot": IN_GRACE})
    assert made.of(MINE, NOW) == Owner(TokenState.PUBLISHED, "bot", PLACE)
    assert made.of(OLD, NOW) == Owner(TokenState.IN_GRACE, "bot", PLACE)
    assert state(owners({"bot": record(Phase.STAGED)})) is TokenState.CANDIDATE


def test_after_a_rename_the_value_at_the_path_is_published_still_and_its_author_is_named() -> None:
    made = owners(left={"second": IN_GRACE}, paths=(path(fingerprints=frozenset({"print-2.1"})),))
    assert made.of(MINE, NOW) == Owner(TokenState.PUBLISHED, "third", PLACE, "written by second")


def test_the_provider_id_at_a_path_is_enough() -> None:
    made = owners(paths=(path(provider_id="t2.1"),))
    assert made.of(MINE, NOW) == Owner(TokenState.PUBLISHED, "third", PLACE)


def test_a_candidate_of_a_credential_that_left_is_recognised_by_its_value() -> None:
    left = record(Phase.STAGED, candidate=candidate())
    assert state(owners(left={"second": left}, paths=(path(fingerprints=frozenset({"print-2.1"})),))) is (
        TokenState.PUBLISHED
    )


def test_a_retired_token_that_a_person_put_back_is_published() -> None:
    ended = record(Phase.SETTLED, current=published(2), retired=published(1), rotation=2)
    made = owners({"bot": ended}, paths=(path(credential="bot", fingerprints=frozenset({"print-1.1"})),))
    assert made.of(OLD, NOW) == Owner(TokenState.PUBLISHED, "bot", PLACE)


def test_the_grace_of_a_credential_that_left_is_honoured_at_a_path_that_settings_still_have() -> None:
    made = owners(left={"second": IN_GRACE}, paths=(path(fingerprints=frozenset({"print-2.1"})),))
    assert made.of(OLD, NOW) == Owner(TokenState.IN_GRACE, "third", PLACE, "written by second")
    assert state(made, OLD, NOW + HOUR) is TokenState.UNMANAGED


def test_what_was_overwritten_a_moment_ago_stays_for_the_grace_of_the_path() -> None:
    left = record(Phase.SETTLED, current=published(2))
    made = owners(left={"second": left}, paths=(path(fingerprints=frozenset({"anothers"})),))
    assert state(made, at=NOW + 59 * MINUTE) is TokenState.IN_GRACE
    assert state(made, at=NOW + HOUR) is TokenState.UNMANAGED
    unknown = owners(left={"second": left}, paths=(path(written_at=None),))
    assert state(unknown) is TokenState.UNMANAGED


def test_what_a_credential_that_left_published_elsewhere_is_unmanaged() -> None:
    made = owners(left={"second": record(Phase.SETTLED, current=published(2))})
    assert made.of(MINE, NOW) == Owner(TokenState.UNMANAGED, "second", PLACE)
    assert TokenState.UNMANAGED in ENDABLE


def test_by_its_name_a_token_is_a_stray_or_in_flight_of_whatever_target_it_is_listed_by() -> None:
    made = owners({"bot": record(Phase.SETTLED, rotation=3)})
    assert made.of(token(2, 7), NOW) == Owner(TokenState.STRAY, "bot")
    assert made.of(token(4), NOW) == Owner(
        TokenState.IN_FLIGHT, "bot", said=foreign_journal.SHORT.format(foreign_journal.HIGHER)
    )


def test_a_number_higher_than_the_record_is_told_as_a_restored_or_copied_vault() -> None:
    ours = replace(record(Phase.SETTLED, rotation=3), lineage=STEM.rpartition("-")[2], stem=STEM)
    assert owners({"bot": ours}).of(token(4), NOW) == Owner(
        TokenState.IN_FLIGHT, "bot", said=foreign_journal.SHORT.format(foreign_journal.HIGHER)
    )


def test_a_name_that_no_record_knows_is_unmanaged_and_anothers_is_not_ours() -> None:
    made = owners({"bot": record(Phase.SETTLED)})
    assert made.of(Token("x", mint_name(OTHER, 1, 1)), NOW) == Owner(TokenState.UNMANAGED)
    assert state(made, Token("x", "rotator-away-web-l2-r1-a1")) is TokenState.STRANGE
    assert state(made, Token("x", "personal laptop")) is TokenState.STRANGE
    assert state(made, Token("x")) is TokenState.STRANGE


def test_where_a_record_cannot_be_read_its_tokens_are_nobodys_to_end() -> None:
    made = owners({"web": Record("l2")}, unreadable={"rotator-home-blog-bot": "the journal of blog/bot was deleted"})
    assert made.of(MINE, NOW) == Owner(TokenState.IN_FLIGHT, said="the journal of blog/bot was deleted")
    assert state(made, Token("x", mint_name(OTHER, 1, 1))) is TokenState.UNMANAGED


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (Token("7"), Token("7", "name", "serial"), True),
        (Token("7", "a"), Token("7", "b"), False),
        (Token("7", "", "1"), Token("7", "", "2"), False),
        (Token("7"), Token("8"), False),
    ],
)
def test_two_handles_are_one_token_when_nothing_they_say_differs(one, other, verdict) -> None:
    assert same(one, other) is verdict
    assert STEM.startswith(FAMILY)


def test_what_has_expired_lives_no_more() -> None:
    ending = published(1, token=token(1, expires_at=NOW))
    assert living(record(Phase.PUBLISHED, predecessor=ending), NOW) == (published(2),)
    assert living(record(Phase.PUBLISHED, predecessor=ending), NOW - DAY) == (published(2), ending)
    assert living(record(Phase.SETTLED, current=None), NOW) == ()
    assert living(record(Phase.SETTLED, refused_at=NOW), NOW) == ()


def test_who_else_knows_a_value_is_told_with_its_token() -> None:
    made = owners({"bot": IN_GRACE}, {"second": record(Phase.SETTLED, current=published(3))})
    assert made.author(["print-2.1"], besides="third") == ("bot", MINE, True)
    assert made.author(["print-3.1"], besides="third") == ("second", token(3), False)
    assert made.author(["print-2.1"], besides="bot") is None
    assert made.author(["anothers"], besides="third") is None


def test_one_token_is_one_credentials() -> None:
    made = owners({"bot": IN_GRACE}, {"second": record(Phase.SETTLED, current=published(3))})
    assert made.held_by(MINE, besides="third") == "bot"
    assert made.held_by(MINE, besides="bot") == ""
    assert made.held_by(token(3), besides="third") == ""


def test_who_left_the_settings_may_be_followed() -> None:
    left = {"second": record(Phase.SETTLED, current=published(3), stem=OTHER)}
    made = owners({"bot": IN_GRACE}, left)
    assert made.left_by(token(3)) == "second"
    assert made.left_by(Token("x", mint_name(OTHER, 1, 1))) == "second"
    assert made.left_by(MINE) == ""
    assert made.left_by(token(9)) == ""
    assert made.left_by(Token("x")) == ""


def test_what_consumers_may_read_and_what_goes_on_is_spared() -> None:
    made = owners({"bot": record(Phase.SETTLED, rotation=3, current=published(3))})
    assert [made.spares(token(number), NOW) for number in (2, 3, 4)] == [False, True, True]
    assert not made.spares(Token("x"), NOW)


def test_what_a_person_ended_of_a_credential_that_left_lives_no_more_by_its_record() -> None:
    """Named again, it rotates at once: what the path holds is dead."""
    before = record(Phase.PUBLISHED)
    assert changes(before, ev.Reaped(NOW, "t2.1", "ada")) == {"refused_at": NOW}
    assert changes(before, ev.Reaped(NOW, "t1.1", "ada")) == {"predecessor": None}
    assert changes(before, ev.Reaped(NOW, "t1.7", "ada")) == {}
    assert changes(Record("l1"), ev.Reaped(NOW, "t1.7")) == {}
