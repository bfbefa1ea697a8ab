"""The event of each change that is asked for, for every answer: at once, or by a request that waited in Vault."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Accepted, Inspection, Outcome, Rejected, Unknown
from rotator.rotation.credential import Pause
from rotator.rotation.faults import Fault, Transient
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import operators
from rotator.rotation.procedures.calls import (
    IdentifyValue,
    InspectToken,
    ReadConsumer,
    ReadOwners,
    ReadPath,
    RevokeToken,
    VerifyValue,
)
from rotator.rotation.procedures.operators import take_up, undo
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Token, Undo
from rotator.rotation.token_names import mint_name
from tests.kit.records import OnHold, replace
from tests.unit.rotation.builders import HOUR, NOW, PLACE, SECOND, STEM, credential, published, token
from tests.unit.rotation.script import (
    LATE,
    NAMED,
    NEW,
    NOTHING,
    OLD,
    OLD_READ,
    ONE_PLACE,
    PUBLISHED_NEW,
    SETTLED,
    THEIRS,
    doc,
    follow,
    mark,
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
    begun = follow(undo("ada", emergency=True)(seen, known), script, seen)
    assert begun == ev.UndoBegun(LATE, "ada", True, PLACE, ready_at, 1)


def test_an_undo_that_is_under_way_is_begun_once() -> None:
    assert record(Phase.UNDOING).undo == Undo("ada", NOW, Phase.PUBLISHED)
    assert follow(undo("ada", emergency=False)(observation(), UNDER_WAY), []) is None


# --- at once ----------------------------------------------------------------------------------------------------------


STRAY, MINE = Token("t1.9", mint_name(STEM, 1, 9)), token(9)
FREE = TokenOwners({}, {}, (), "rotator-home")
SPARES = TokenOwners({"x": Record("l9", current=published(1, token=MINE))}, {}, (), "rotator-home")
THEIRS_READ, IDENTIFIED = (ReadPath(PLACE), doc(THEIRS, 3)), (IdentifyValue, MINE)
NO_OWNER, SHOWN = (ReadOwners, FREE), (VerifyValue, Accepted())
ADOPTED = PublishedValue(
    token=MINE,
    fingerprint=mark(THEIRS),
    rotation=1,
    version=3,
    at=LATE,
    place=PLACE,
    target="blog",
    policy=credential().policy,
    reused=True,
    key="token",
)
DISPROVE = operators.disprove("t2.1", "401")
PUBLISHED_READ = (ReadPath(PLACE), doc(NEW, 2))
ALIVE_NOW = replace(SETTLED, current=KEPT.current, rotation=2)
REVOKED = (RevokeToken("blog", STRAY), Outcome.DONE)

# change, record, calls and answers, event
CHANGES = {
    "a pause for a while": (
        *(operators.pause("ada", "a freeze", HOUR), SETTLED, []),
        ev.Paused(LATE, "ada", "a freeze", LATE + HOUR),
    ),
    "a pause until a time": (
        *(operators.pause("ada", "", None, LATE + HOUR), SETTLED, []),
        ev.Paused(LATE, "ada", "", LATE + HOUR),
    ),
    "a pause until a resume": (operators.pause("ada", "", None), SETTLED, [], ev.Paused(LATE, "ada", "", None)),
    "the end of a pause": (operators.resume("ada"), PAUSED, [], ev.Unpaused(LATE, "ada")),
    "the end of no pause": (operators.resume("ada"), SETTLED, [], None),
    "the end of a hold": (operators.release("ada"), HELD, [], ev.Released(LATE, "ada")),
    "the end of no hold": (operators.release("ada"), SETTLED, [], None),
    "a word that an old value was ended, where none waits": (operators.take_word("ada"), SETTLED, [], None),
    "a claim": (operators.claim("ada", "l2"), SETTLED, [], ev.Claimed(LATE, "ada", "l2")),
    "a claim of what never was": (operators.claim("ada", "l2"), Record("l1"), [], None),
    "an adoption": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, IDENTIFIED, NO_OWNER, SHOWN]),
        ev.Adopted(LATE, "ada", ADOPTED, STEM, LATE + credential().retire.after),
    ),
    "an adoption of our own": (operators.adopt("ada"), SETTLED, [(ReadPath(PLACE), doc(OLD))], None),
    "a refusal by the probe": (DISPROVE, ALIVE_NOW, [PUBLISHED_READ], ev.Disproved(LATE, "401")),
    "a refusal of what is replaced": (DISPROVE, ALIVE_NOW, [(ReadPath(PLACE), doc(THEIRS, 3))], None),
    "a refusal of what is gone": (DISPROVE, ALIVE_NOW, [(ReadPath(PLACE), NOTHING)], None),
    "a refusal of another": (DISPROVE, SETTLED, [], None),
    "a refusal where nothing is published": (DISPROVE, Record("l1"), [], None),
    "a refusal that is known": (DISPROVE, replace(ALIVE_NOW, refused_at=NOW), [], None),
    "a refusal while another rotation goes on": (DISPROVE, record(Phase.STAGED), [], None),
    "the end of a stray": (
        *(operators.reap(STRAY, "ada"), KEPT, [NO_OWNER, REVOKED]),
        ev.Reaped(LATE, "t1.9", "ada"),
    ),
    "the end of no stray": (operators.reap(token(1), "ada"), SETTLED, [], None),
    "the end of an unclaimed token": (
        *(operators.disown(STRAY, "ada"), SETTLED, [NO_OWNER, REVOKED]),
        ev.Reaped(LATE, "t1.9", "ada"),
    ),
    "the end of what another publishes": (operators.disown(MINE, "ada"), SETTLED, [(ReadOwners, SPARES)], None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_comes_to(name: str) -> None:
    change, known, script, event = CHANGES[name]
    seen = observation()
    assert follow(change(seen, known), script, seen) == event


# change, record, calls and answers, capabilities, words
HELD_BY_ANOTHER = replace(
    SETTLED, phase=Phase.HELD, held=OnHold(HoldReason.FOREIGN_WRITE, "another's", Phase.SETTLED, NOW)
)
REFUSED = {
    "a pause until a time that is over": (operators.pause("ada", "", None, NOW), SETTLED, [], NAMED, "is over already"),
    "an adoption of nothing": (
        *(operators.adopt("ada"), SETTLED, [(ReadPath(PLACE), NOTHING)], NAMED),
        "holds nothing under 'token' that could be adopted",
    ),
    "an adoption of our own while it is held": (
        *(operators.adopt("ada"), replace(HELD, current=SETTLED.current), [(ReadPath(PLACE), doc(OLD))], NAMED),
        "nothing to adopt, release it",
    ),
    "an adoption in the middle of a rotation": (
        *(operators.adopt("ada"), record(Phase.STAGED), [THEIRS_READ], NAMED),
        "a rotation is under way",
    ),
    "an adoption of another's token": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, IDENTIFIED, (ReadOwners, SPARES)], NAMED),
        "one token cannot be two credentials'",
    ),
    "an adoption of a token with another's name": (
        *(operators.adopt("ada"), SETTLED),
        [THEIRS_READ, (IdentifyValue, Token("t7", "rotator-home-shop-l1-r1-a1")), NO_OWNER],
        *(NAMED, "was minted for another credential"),
    ),
    "an adoption of what is refused": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, IDENTIFIED, NO_OWNER, (VerifyValue, Rejected("401"))], NAMED),
        "is not what settings want: 401",
    ),
    "an adoption that is undecided": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, IDENTIFIED, NO_OWNER, (VerifyValue, Unknown("503"))], NAMED),
        "503",
    ),
    "an adoption of what has no handle": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, (IdentifyValue, None)], NAMED),
        "then end the old one by hand on target blog",
    ),
    "an adoption of what ends by its date": (
        *(operators.adopt("ada"), SETTLED, [THEIRS_READ, (IdentifyValue, None)], replace(NAMED, can_revoke=False)),
        "the old one ends by its date",
    ),
    "an adoption where the next value ends this": (
        *(operators.adopt("ada"), HELD_BY_ANOTHER, [THEIRS_READ, (IdentifyValue, None)], ONE_PLACE),
        'set on_foreign = "overwrite", release it and let `rotate now` write a new one; it ends this',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_is_refused(name: str) -> None:
    change, known, script, can, words = REFUSED[name]
    seen = observation(can)
    with pytest.raises(Fault) as refused:
        follow(change(seen, known), script, seen)
    assert words in refused.value.reason
    assert isinstance(refused.value, Transient) is (name == "an adoption that is undecided")
