"""One credential at a glance and in sentences."""

from __future__ import annotations

import pytest

from rotator.rotation.record import Failure, Phase, Why
from rotator.rotation.steps import Hold, HoldReason, Mint, Request, Wait
from rotator.rotation.summary import explain, summarise, words
from tests.rotation.builders import DAY, HOUR, MINUTE, NOW, credential, published, record, token

FAILURE = Failure("verify", "503", NOW)


def test_a_credential_without_a_record_is_due_and_says_that_nothing_was_done() -> None:
    seen = summarise(credential(), None, NOW)
    assert (seen.phase, seen.rotation, seen.live, seen.published_at) == ("settled", 0, 0, None)
    assert seen.next_at == NOW
    said = ["Nothing was ever done for this credential.", "Next: rotate now (missing): nothing published yet."]
    assert list(explain(credential(), None, NOW)) == said


def test_a_summary_shows_what_is_published_and_when_to_come_again() -> None:
    known = record(Phase.SETTLED, current=published(1, token=token(1, expires_at=NOW + 90 * DAY)))
    seen = summarise(credential(), known, NOW, "host-a")
    assert (seen.name, seen.target, seen.holder, seen.trouble) == ("blog/bot", "blog", "host-a", "")
    assert (seen.published_at, seen.expires_at, seen.next_at) == (NOW, NOW + 90 * DAY, NOW + 30 * DAY)


def test_the_trouble_of_a_summary_is_the_hold_or_else_the_last_failure() -> None:
    assert summarise(credential(), record(Phase.HELD, failure=FAILURE), NOW).trouble == "look at it"
    assert summarise(credential(), record(Phase.STAGED, failure=FAILURE), NOW).trouble == "verify: 503"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Wait(None, "held: look at it"), "held: look at it"),
        (Wait(NOW, "in grace"), "wait until 2026-03-01 12:00:00Z: in grace"),
        (Request(Why.AGED, "due"), "rotate now (aged): due"),
        (Hold(HoldReason.DELETED, "gone"), "hold (deleted_by_operator): gone"),
        (Mint("name"), "mint"),
    ],
)
def test_a_step_in_words(step, said) -> None:
    assert words(step) == said


# record, a sentence that explain says of it
SENTENCES = {
    "settled": (record(Phase.SETTLED), "By its schedule it is due at 2026-03-31 12:00:00Z."),
    "requested": (record(Phase.REQUESTED), "Next: mint."),
    "published without a predecessor": (
        record(Phase.PUBLISHED, predecessor=None),
        "Published: t2.1 is live; it has no predecessor.",
    ),
    "awaiting": (
        record(Phase.AWAITING),
        "Awaiting: a person has to act since 2026-03-01 12:00:00Z. What to do: paste the key",
    ),
    "installed": (record(Phase.INSTALLED), "Installed: the target was told t2.1; it is not proven yet."),
    "installed, the old value refused": (
        record(Phase.INSTALLED, cut_over_at=NOW),
        "Installed: the target was told t2.1; it is not proven yet, and until it is published consumers hold the old"
        " value, which is refused.",
    ),
    "staged": (record(Phase.STAGED), "Staged: t2.1 is minted and kept in the private slot; it is not proven yet."),
    "verified": (record(Phase.VERIFIED), "Verified: t2.1 is proven; it will be published over version 1."),
    "published": (record(Phase.PUBLISHED), "Published: t2.1 is live; its predecessor t1.1 is in grace."),
    "in grace": (
        record(Phase.PUBLISHED),
        "The predecessor may go from 2026-03-01 13:00:00Z on, once the published value is proven again.",
    ),
    "condemned": (record(Phase.CONDEMNED, evidence="quiet"), "Evidence: quiet."),
    "rejected": (record(Phase.REJECTED), "Last failure, 2026-03-01 12:00:00Z, at verify: refused."),
    "held": (record(Phase.HELD), "Held since 2026-03-01 12:00:00Z (foreign_write): look at it."),
    "pausing": (record(Phase.STAGED, retry_at=NOW + MINUTE), "Tried again at 2026-03-01 12:01:00Z."),
    "asked for": (
        record(Phase.STAGED, why=Why.ASKED, asked_by="ada"),
        "Rotation 2 was requested at 2026-03-01 12:00:00Z because: asked, asked by ada.",
    ),
    "due by itself": (
        record(Phase.STAGED, why=Why.AGED),
        "Rotation 2 was requested at 2026-03-01 12:00:00Z because: aged.",
    ),
    "worked on": (record(Phase.STAGED), "Worked on by host-a."),
    "without an end": (
        record(Phase.STAGED),
        "kv/blog/bot version 1 holds t1.1 since 2026-03-01 12:00:00Z (rotation 1); it never expires.",
    ),
}


@pytest.mark.parametrize(("known", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_explain_says(known, sentence) -> None:
    assert sentence in list(explain(credential(), known, NOW, "worked on by host-a"))


@pytest.mark.parametrize("phase", list(Phase))
def test_explain_is_plain_without_trouble_and_without_a_publication(phase: Phase) -> None:
    bare = record(phase, current=None, predecessor=None, candidate=None, held=None, failure=None, undo=None)
    said = list(explain(credential(), bare, NOW + HOUR))
    assert len(said) == 2
    assert said[1].startswith("Next: ")
