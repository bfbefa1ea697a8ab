"""Evidence of another journal: numbers that never go back, and times on one clock. Late mints of our own are none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.rotation.events import Claimed
from rotator.rotation.foreign_journal import (
    MARGIN,
    ahead,
    anothers,
    claimed,
    earlier,
    latest,
    made_before,
    newest,
    overtaken,
    own_stem,
    said,
    used,
)
from rotator.rotation.ownership import is_stray
from rotator.rotation.record import HoldReason, Phase, Token
from rotator.rotation.token_names import mint_name
from tests.kit.records import OnHold, known, replace
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, SECOND, STEM, published, record, token

SKEW = timedelta(hours=3)  # the target's clock is so much behind


def ours(phase: Phase = Phase.REQUESTED, **changes):
    current = published(1, NOW - HOUR, token=token(1, issued_at=NOW - HOUR - SKEW - SECOND))
    return record(phase, **{"lineage": "l1", "requested_told": NOW, "current": current, "rotation": 2, **changes})


def test_only_a_later_number_of_our_own_names_is_ahead() -> None:
    assert ahead(ours(), token(3))
    assert ahead(ours(), token(2, 2))
    assert not ahead(ours(), token(2))
    assert not ahead(ours(), token(1, 9))
    assert not ahead(ours(), replace(token(3), name=mint_name(f"{STEM}x", 3, 1)))
    assert not ahead(ours(), replace(token(3), name="by hand"))
    assert not ahead(ours(lineage="l2"), token(3))  # claimed since


@pytest.mark.parametrize(
    ("made", "evidence"),
    [
        (-SKEW - MARGIN - MINUTE, True),
        (-SKEW - MINUTE, False),
        (-SKEW, False),
        (-SKEW + HOUR, False),  # a late mint of our own
    ],
)
def test_a_token_made_before_it_was_asked_for_is_evidence_by_the_targets_own_clock(
    made: timedelta, evidence: bool
) -> None:
    assert earlier(ours(), token(2, issued_at=NOW + made)) is evidence


def test_where_a_time_is_missing_numbers_alone_count() -> None:
    long_ago = token(2, issued_at=NOW - 100 * HOUR)
    assert earlier(ours(), long_ago)
    assert not earlier(ours(), token(2))
    assert not earlier(ours(requested_told=None), long_ago)
    assert not earlier(ours(current=None), long_ago)
    assert not earlier(ours(current=published(1)), long_ago)
    assert not earlier(ours(target="other"), long_ago)
    assert not earlier(ours(), token(3, issued_at=NOW - 100 * HOUR))  # another attempt's: numbers judge it
    assert not earlier(ours(lineage="l2"), long_ago)


def test_a_lower_number_that_was_made_long_after_what_is_published_is_anothers() -> None:
    """The other copy mints more slowly; to us its token looks like a stray."""
    ours_now = ours(Phase.SETTLED, current=published(5, NOW, token=token(5, issued_at=NOW - SKEW)), rotation=5)
    theirs = token(3, issued_at=NOW - SKEW + MARGIN + SECOND)
    assert overtaken(ours_now, theirs)
    assert not is_stray(ours_now, theirs)
    assert "earlier number" in said(theirs, anothers(ours_now, theirs))
    late = replace(theirs, issued_at=NOW - SKEW + MARGIN)  # a mint of our own may land so late
    assert not overtaken(ours_now, late)
    assert is_stray(ours_now, late)
    assert not overtaken(ours_now, token(3))
    assert not overtaken(ours_now, token(6, issued_at=theirs.issued_at))
    assert not overtaken(ours(Phase.SETTLED, current=published(5), rotation=5), theirs)
    assert not overtaken(replace(ours_now, target="other"), theirs)
    assert not overtaken(replace(ours_now, lineage="l2"), theirs)
    assert not overtaken(replace(ours_now, current=None), theirs)
    assert not overtaken(replace(ours_now, current=published(5, token=Token("by-hand"))), theirs)


def test_the_newest_of_each_stem_is_kept() -> None:
    listed = newest([token(1), token(3), token(2, 7), replace(token(9), name="by hand")])
    assert listed == {STEM: ((3, 1), token(3))}
    assert "restored" in said(token(3))
    made = [token(1, issued_at=NOW), token(3, issued_at=NOW - HOUR), token(2), replace(token(9), name="by hand")]
    assert latest(made) == {STEM: made[0]}
    assert "copy" in said(token(3), made_before(token(3, issued_at=NOW)))


@pytest.mark.parametrize("phase", [Phase.REQUESTED, Phase.REJECTED, Phase.AWAITING])
def test_a_claim_gives_up_an_attempt_that_exists_by_its_name_alone(phase: Phase) -> None:
    held = OnHold(HoldReason.TWO_VAULTS, "two", phase, NOW)
    after = claimed(ours(Phase.HELD, held=held, candidate=None), Claimed(NOW, "ada", "l2"))
    assert (after.phase, after.held, after.stem, after.lineage) == (Phase.SETTLED, None, "", "l2")
    assert own_stem(after) == ""


def test_a_claim_keeps_what_is_in_hand_and_every_other_hold() -> None:
    staged = claimed(ours(Phase.STAGED), Claimed(NOW, "ada", "l2"))
    assert (staged.phase, staged.stem, staged.candidate is not None) == (Phase.STAGED, STEM, True)
    assert own_stem(staged) == ""
    told = claimed(ours(Phase.REJECTED, cut_over_at=NOW), Claimed(NOW, "ada", "l2"))
    assert (told.phase, told.stem) == (Phase.REJECTED, STEM)
    other = OnHold(HoldReason.DELETED, "look at it", Phase.REQUESTED, NOW)
    kept = claimed(ours(Phase.HELD, held=other), Claimed(NOW, "ada", "l2"))
    assert kept.phase is Phase.HELD
    assert known(kept)["held"] == replace(other, phase=Phase.SETTLED)
    settled = claimed(ours(Phase.SETTLED, strays=True), Claimed(NOW, "ada", "l2"))
    assert (settled.phase, settled.stem, settled.strays) == (Phase.SETTLED, "", False)


def test_what_was_used_without_its_value_in_our_hands_is_anothers() -> None:
    mine = ours(Phase.REJECTED)
    named = token(2, name=mine.mint_name)
    assert used(mine, named, NOW)
    assert not used(mine, named, None)
    assert not used(mine, token(9), NOW)
    assert not used(replace(mine, lineage="later"), named, NOW)
