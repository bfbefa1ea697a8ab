"""What a request that waited in Vault comes to, for every answer: taken up, declined, or known already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Inspection
from rotator.rotation.calls import InspectToken, ReadConsumer, ReadPath
from rotator.rotation.credential import Pause
from rotator.rotation.faults import Transient
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.procedures.operators import take_up, undo
from rotator.rotation.record import Phase, Undo
from tests.unit.rotation.builders import HOUR, NOW, PLACE, SECOND, published
from tests.unit.rotation.script import (
    LATE,
    NAMED,
    NOTHING,
    OLD_READ,
    PUBLISHED_NEW,
    SETTLED,
    follow,
    observation,
    record,
)


def asked(verb: RequestVerb, **more: object) -> OperatorRequest:
    """A request of ada's."""
    return replace(OperatorRequest("a", verb, NOW, "ada"), **more)


KEPT, HELD = record(Phase.PUBLISHED), record(Phase.HELD)
PAUSED = replace(SETTLED, paused=Pause("ada", NOW))
UNDER_WAY, TAKE_BACK = record(Phase.UNDOING), asked(RequestVerb.UNDO)
ENDED = record(Phase.CONDEMNED)
RETIRED = record(Phase.SETTLED, retired=published(1), current=published(2), rotation=2)
RESTORABLE = replace(NAMED, can_restore=True)
GONE = "version 1 of kv/blog/bot is gone from Vault, and with it the value before"
FOR_A_WHILE = asked(RequestVerb.PAUSE, reason="a freeze", until=NOW + HOUR)
ROTATE = asked(RequestVerb.ROTATE)

# request, record, calls and answers, event
ASKED = {
    "a pause": (FOR_A_WHILE, SETTLED, [], ev.Paused(LATE, "ada", "a freeze", NOW + HOUR, "a")),
    "the end of a pause": (asked(RequestVerb.RESUME), PAUSED, [], ev.Unpaused(LATE, "ada", "a")),
    "the end of none": (asked(RequestVerb.RESUME), SETTLED, [], ev.RequestTaken(LATE, asked(RequestVerb.RESUME))),
    "the end of a hold": (asked(RequestVerb.RELEASE), HELD, [], ev.Released(LATE, "ada", "a")),
    "the end of no hold": (asked(RequestVerb.RELEASE), SETTLED, [], ev.RequestTaken(LATE, asked(RequestVerb.RELEASE))),
    "a rotation": (ROTATE, SETTLED, [], ev.RequestTaken(LATE, ROTATE)),
    "a rotation while it is held": (ROTATE, HELD, [], ev.RequestDeclined(LATE, ROTATE, "look at it")),
    "an undo": (
        *(TAKE_BACK, KEPT, [PUBLISHED_NEW, OLD_READ]),
        ev.UndoBegun(LATE, "ada", False, PLACE, LATE, 1, "a"),
    ),
    "an undo that is under way": (
        asked(RequestVerb.UNDO),
        UNDER_WAY,
        [],
        ev.RequestTaken(LATE, asked(RequestVerb.UNDO)),
    ),
    "an undo of what is gone": (
        *(TAKE_BACK, KEPT, [PUBLISHED_NEW, (ReadPath, NOTHING)]),
        ev.RequestDeclined(LATE, TAKE_BACK, GONE),
    ),
    "what is known already": (ROTATE, replace(SETTLED, taken=(TakenUp("a", NOW),)), [], None),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_request_comes_to(name: str) -> None:
    request, known, script, event = ASKED[name]
    seen = observation()
    assert follow(take_up(seen, known, request), script, seen) == event


def test_a_request_waits_while_nobody_can_say() -> None:
    with pytest.raises(Transient):
        follow(take_up(observation(), KEPT, asked(RequestVerb.UNDO)), [(ReadConsumer, Transient("503"))])


@pytest.mark.parametrize(
    ("known", "ready_at"),
    [
        (KEPT, LATE),
        (ENDED, LATE + 10 * SECOND),
        (replace(RETIRED, settled_at=NOW), NOW + 10 * SECOND),
        (RETIRED, LATE + 10 * SECOND),
    ],
    ids=["it lives", "its end is under way", "it ended", "it ended, nobody knows when"],
)
def test_an_undo_waits_until_no_revocation_can_be_on_its_way(known, ready_at) -> None:
    there = [] if known is KEPT else [(InspectToken, Inspection(exists=True))]
    script = [PUBLISHED_NEW, OLD_READ, *there]
    seen = observation(RESTORABLE)
    begun = follow(undo(seen, known, "ada", emergency=True), script, seen)
    assert begun == ev.UndoBegun(LATE, "ada", True, PLACE, ready_at, 1)


def test_an_undo_that_is_under_way_is_begun_once() -> None:
    assert record(Phase.UNDOING).undo == Undo("ada", NOW, Phase.PUBLISHED)
    assert follow(undo(observation(), UNDER_WAY, "ada", emergency=False), []) is None
