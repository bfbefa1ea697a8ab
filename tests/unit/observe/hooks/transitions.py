"""The transitions that hooks and traces are shown in tests, and a listener that counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from rotator.engine.reconciler import Transition
from rotator.rotation import events as ev
from rotator.rotation.record import HoldReason, Phase, Trigger, Unended
from tests.kit.fleet import named, settled, transition
from tests.unit.rotation.builders import NOW, candidate, published, record

BLOG = named("blog", labels={"team": "web"})


def requested() -> Transition:
    return transition(
        BLOG,
        settled(),
        ev.Requested(NOW, Trigger.ASKED, "asked for by ada", "ada", False, "stem", BLOG.place, "blog", BLOG.policy),
    )


def publication(credential=BLOG, at=NOW, version: int = 7) -> Transition:
    before = record(
        Phase.VERIFIED,
        rotation=3,
        place=credential.place,
        candidate=candidate(3),
        current=published(2),
        requested_at=NOW - timedelta(minutes=1),
    )
    return transition(credential, before, ev.Published(at, version))


def retirement() -> Transition:
    before = record(Phase.CONDEMNED, rotation=3, current=published(3), predecessor=published(2))
    return transition(BLOG, before, ev.Retired(NOW, "401 with the old value"))


def left() -> Transition:
    before = record(Phase.CONDEMNED, rotation=3, current=published(3), predecessor=published(2))
    return transition(BLOG, before, ev.LeftToPerson(NOW, "click on Revoke"))


def ended() -> Transition:
    unended = tuple(Unended(published(number), "click on Revoke", NOW, NOW) for number in (1, 2))
    return transition(BLOG, settled(unended=unended), ev.Ended(NOW, "t2.1", "t2.1 is dead"))


def fault(text: str = "HTTP 503", failures: int = 0, *, person: bool = False) -> Transition:
    event = ev.Faulted(NOW, "mint", text, person=person)
    return transition(BLOG, record(Phase.REQUESTED, failures=failures), event)


def surrender() -> Transition:
    return transition(BLOG, record(Phase.REQUESTED), ev.MintRefused(NOW, "HTTP 403"))


def hold() -> Transition:
    return transition(BLOG, settled(), ev.PutOnHold(NOW, HoldReason.FOREIGN_WRITE, "somebody wrote it"))


def settling() -> Transition:
    before = record(
        Phase.CONDEMNED,
        rotation=3,
        attempt=2,
        why=Trigger.AGED,
        current=published(3),
        requested_at=NOW - timedelta(hours=1),
    )
    return transition(BLOG, before, ev.Swept(NOW, ()), 0.5)


def labelled(each: Transition, **labels: str) -> Transition:
    return replace(each, credential=replace(each.credential, labels=labels))


class Counted:
    """What was counted, by hook and outcome."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    def __call__(self, hook: str, outcome: str) -> None:
        self.calls[hook, outcome] += 1
