"""What the end of a predecessor comes to, and an undo, for every answer of Vault and of the target."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation import foreign_journal
from rotator.rotation.answers import Document, Inspection, Outcome, Unknown
from rotator.rotation.credential import AtDeadline, Retirement
from rotator.rotation.faults import (
    CannotPresent,
    NeedsPerson,
    Refused,
)
from rotator.rotation.procedures.calls import (
    DestroySlot,
    FindTokens,
    InspectToken,
    ProveDead,
    ReadConsumer,
    ReadPath,
    RestoreToken,
    RevokeToken,
    VerifyValue,
)
from rotator.rotation.procedures.retire import take_word
from rotator.rotation.record import Phase, Unended
from rotator.rotation.steps import (
    Condemn,
    LookWhetherEnded,
    Restore,
    Revoke,
    Sweep,
)
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, NOW, PLACE, SECOND, STEM, credential, published, token
from tests.unit.rotation.script import (
    ALIVE,
    AT,
    BACK_FROM_DEATH,
    BUSY,
    DEAD,
    DELETED,
    ELSEWHERE,
    ENDED_BY_MINT,
    EXPIRES,
    FOREIGN,
    LATE,
    NAMED,
    NOBODYS,
    NOT_YET,
    NOTHING,
    OLD,
    OLD_READ,
    OURS,
    OVERWRITE,
    PROVEN,
    PUBLISHED_NEW,
    STAGED,
    USED,
    Row,
    doc,
    faulted,
    follow,
    mark,
    observation,
    play,
    record,
    rows,
)

# --- condemned, revoked, swept --------------------------------------------------------------------------------------

IN_GRACE, CONDEMNED = record(Phase.PUBLISHED), record(Phase.CONDEMNED, evidence="proven")
OVER = record(Phase.PUBLISHED, current=published(2, NOW - DAY))
QUIET = credential(retire=Retirement(HOUR, quiet=HOUR, deadline=2 * HOUR, at_deadline=AtDeadline.HOLD))
CONDEMNS = {
    "proven, and its grace is over": Row(Condemn(), OVER, [PUBLISHED_NEW, PROVEN], ev.Condemned, "successor proven"),
    "it is in grace by a wall clock that is wrong, and was watched for as long as that is": Row(
        Condemn(watched=True), IN_GRACE, [PUBLISHED_NEW, PROVEN], ev.Condemned, "since publication"
    ),
    "it is in grace": Row(Condemn(), IN_GRACE, [PUBLISHED_NEW, PROVEN], ev.Deferred(LATE, NOW + HOUR, "in grace", AT)),
    "it is still used": Row(
        Condemn(),
        OVER,
        [PUBLISHED_NEW, PROVEN, (InspectToken, Inspection(exists=True, last_used=AT))],
        ev.PutOnHold,
        "predecessor last used",
        USED,
        QUIET,
    ),
    "its use is not reported": Row(
        Condemn(), OVER, [PUBLISHED_NEW, PROVEN], ev.Condemned, "since publication", wanted=QUIET
    ),
    "nobody says whether its successor works": Row(
        Condemn(), OVER, [PUBLISHED_NEW, (VerifyValue, Unknown("503", 7.0))], faulted("condemn", "503", 7.0)
    ),
    "its successor is refused": Row(Condemn(), OVER, [PUBLISHED_NEW, NOT_YET], ev.Disproved(LATE, "401")),
    "its successor is refused early": Row(
        Condemn(),
        record(Phase.PUBLISHED, current=published(2, AT - SECOND)),
        [PUBLISHED_NEW, NOT_YET],
        faulted("verify", "not accepted yet: 401", of_target=False),
    ),
    "its successor cannot be shown": Row(
        Condemn(), OVER, [PUBLISHED_NEW, (VerifyValue, CannotPresent("no key"))], ev.Condemned, "cannot be shown"
    ),
    "consumers read another's value": Row(Condemn(), OVER, [FOREIGN], ev.PutOnHold, "set on_foreign"),
    "consumers read the predecessor": Row(
        Condemn(), OVER, [(ReadConsumer, doc(OLD, 3))], ev.PutOnHold, "put our value back", wanted=OVERWRITE
    ),
    "consumers read nothing": Row(Condemn(), OVER, [DELETED], ev.PutOnHold, "undelete", wanted=OVERWRITE),
    "another's value, and settings allow it": Row(
        Condemn(), OVER, [FOREIGN], ev.Condemned, "the path holds another's value", wanted=OVERWRITE
    ),
    "no value, and settings allow it": Row(
        Condemn(), OVER, [(ReadConsumer, Document(3, {}))], ev.Condemned, "the path holds no value", wanted=OVERWRITE
    ),
    "nobody can revoke it": Row(
        Condemn(),
        OVER,
        [(InspectToken, Inspection(exists=True, expires_at=NOW + DAY))],
        ev.LeftToExpire(LATE, NOW + DAY),
        can=EXPIRES,
    ),
    "nobody can revoke it, and nobody knows its end": Row(
        Condemn(), OVER, [(InspectToken, Inspection(exists=True)), PUBLISHED_NEW, PROVEN], ev.Condemned, can=EXPIRES
    ),
    "the mint has ended it": Row(
        Condemn(), OVER, [(ReadPath, doc(OLD)), DEAD], ev.LeftToExpire(LATE, LATE), can=ENDED_BY_MINT
    ),
    "the mint should have ended it": Row(
        Condemn(),
        OVER,
        [(ReadPath, NOTHING), ALIVE, (InspectToken, Inspection(exists=True, expires_at=NOW + DAY))],
        ev.LeftToExpire(LATE, NOW + DAY),
        can=ENDED_BY_MINT,
    ),
    "its target left the settings": Row(
        Condemn(),
        record(Phase.PUBLISHED, predecessor=replace(ELSEWHERE, fingerprint=mark(OLD))),
        [],
        ev.PutOnHold,
        "put the target back into the settings",
    ),
}

REVOKED, OLD_SHOWN = (RevokeToken("blog", token(1)), Outcome.DONE), (ReadPath(PLACE, 1, strong=False), doc(OLD))
BY_DATE = record(
    Phase.SETTLED, predecessor=published(1, token=token(1, expires_at=NOW)), ends_at=NOW, current=published(2)
)
LONG_AGO = record(Phase.CONDEMNED, condemned_at=NOW - DAY)
REVOKES = {
    "revoked and refused": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, REVOKED, OLD_SHOWN, DEAD],
        ev.Retired(LATE, "t1.1 is dead, its value is refused; revoked (done); proven"),
    ),
    "its value is not safe to show": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, REVOKED, (ProveDead("blog", token(1), None), True)],
        ev.Retired,
        "the target says so",
        replace(NAMED, old_is_safe_to_present=False),
    ),
    "its value cannot be shown": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, REVOKED, OLD_SHOWN, (ProveDead, CannotPresent("no key")), DEAD],
        ev.Retired,
        "its value was not tried: no key",
    ),
    "still accepted, and just condemned": Row(
        Revoke(),
        record(Phase.CONDEMNED, condemned_at=AT - SECOND),
        [PUBLISHED_NEW, OURS, REVOKED, OLD_SHOWN, ALIVE],
        ev.Deferred(
            LATE, AT + 9 * SECOND, "predecessor t1.1 is still accepted: the target may take a while to notice", AT
        ),
    ),
    "still accepted, and condemned by a clock that was days ahead": Row(
        Revoke(),
        record(Phase.CONDEMNED, condemned_at=AT + 100 * DAY),
        [PUBLISHED_NEW, OURS, REVOKED, OLD_SHOWN, ALIVE],
        ev.Deferred(
            LATE, AT + 10 * SECOND, "predecessor t1.1 is still accepted: the target may take a while to notice", AT
        ),
    ),
    "still accepted": Row(
        Revoke(),
        LONG_AGO,
        [PUBLISHED_NEW, OURS, REVOKED, OLD_SHOWN, ALIVE],
        faulted("revoke", "predecessor t1.1 is still accepted", of_target=False),
    ),
    "nobody says": Row(
        Revoke(),
        LONG_AGO,
        [PUBLISHED_NEW, OURS, REVOKED, (ReadPath, NOTHING), (ProveDead, None)],
        faulted("revoke", "predecessor t1.1 cannot be proven dead yet", of_target=False),
    ),
    "a person has to end it": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, (RevokeToken, NeedsPerson("end it")), OLD_SHOWN, ALIVE],
        ev.LeftToPerson(LATE, "end it"),
    ),
    "a person has to end it, as its proof tells": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, (RevokeToken, Outcome.ALREADY), OLD_SHOWN, (ProveDead, NeedsPerson("write it over"))],
        ev.LeftToPerson(LATE, "write it over"),
    ),
    "a person has ended it": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, OURS, (RevokeToken, NeedsPerson("end it")), OLD_SHOWN, DEAD],
        ev.Retired,
        "ended by a person",
    ),
    "consumers read the predecessor by now": Row(Revoke(), CONDEMNED, [(ReadConsumer, doc(OLD, 3))], ev.PutOnHold),
    "another's value by now, and settings allow it": Row(
        Revoke(),
        CONDEMNED,
        [FOREIGN, OURS, REVOKED, OLD_SHOWN, DEAD],
        ev.Retired,
        "(when it was condemned: proven)",
        wanted=OVERWRITE,
    ),
    "it was so when it was condemned": Row(
        Revoke(),
        record(Phase.CONDEMNED, evidence="not proven: the path holds another's value, and on_foreign allows it"),
        [FOREIGN, OURS, REVOKED, OLD_SHOWN, DEAD],
        ev.Retired(
            LATE,
            "t1.1 is dead, its value is refused; revoked (done); "
            "not proven: the path holds another's value, and on_foreign allows it",
        ),
        wanted=OVERWRITE,
    ),
    "its date is over": Row(
        Revoke(),
        BY_DATE,
        [OURS, (RevokeToken, Outcome.ALREADY), OLD_SHOWN, DEAD],
        ev.Retired,
        "t1.1 expired at",
        EXPIRES,
    ),
    "the mint had ended it": Row(
        Revoke(),
        BY_DATE,
        [OURS, (RevokeToken, Outcome.ALREADY), OLD_SHOWN, DEAD],
        ev.Retired,
        "the mint of its successor ended it, or its date did",
        ENDED_BY_MINT,
    ),
}

LEFT = record(
    Phase.SETTLED,
    rotation=2,
    current=published(2),
    unended=(Unended(published(1, fingerprint=mark(OLD)), "end it", NOW, NOW),),
)
LOOK = LookWhetherEnded("t1.1")
LOOKS = {
    "it is dead": Row(LOOK, LEFT, [OLD_SHOWN, DEAD], ev.Ended, "t1.1 is dead, its value is refused; ended by a person"),
    "it lives": Row(LOOK, LEFT, [OLD_SHOWN, ALIVE], ev.NotEnded(LATE, "t1.1")),
    "nobody says": Row(LOOK, LEFT, [(ReadPath, NOTHING), (ProveDead, None)], ev.NotEnded(LATE, "t1.1")),
    "its proof does not get through": Row(LOOK, LEFT, [OLD_SHOWN, (ProveDead, BUSY)], ev.NotEnded(LATE, "t1.1")),
    "only a person can end it": Row(
        LOOK, LEFT, [OLD_SHOWN, (ProveDead, NeedsPerson("end it"))], ev.NotEnded(LATE, "t1.1")
    ),
    "its target left the settings": Row(
        LOOK, replace(LEFT, unended=(Unended(ELSEWHERE, "end it", NOW, NOW),)), [], ev.NotEnded(LATE, "t1.1")
    ),
}

STRAY, LATER = token(1, 2), token(2, 3)
SWEEP, EMPTY = Sweep(strays=True), (DestroySlot, None)
TIDY = record(Phase.SETTLED, rotation=2, current=published(2), slot_version=2, attempt=2)
SWEEPS = {
    "the slot is emptied": Row(
        Sweep(strays=False),
        replace(TIDY, slot_version=12),
        [(DestroySlot(tuple(range(3, 13))), None)],
        ev.Swept(LATE, ()),
    ),
    "there is nothing to empty": Row(Sweep(strays=False), replace(TIDY, slot_version=0), [], ev.Swept(LATE, ())),
    "a stray is ended": Row(
        SWEEP,
        TIDY,
        [STAGED, EMPTY, (FindTokens("blog", f"{STEM}-"), (token(2), STRAY)), NOBODYS, (RevokeToken, Outcome.DONE)],
        ev.Swept(LATE, ("t1.2",)),
    ),
    "no stray": Row(SWEEP, TIDY, [STAGED, EMPTY, (FindTokens, (token(2),))], ev.Swept(LATE, ())),
    "strays cannot be listed": Row(
        SWEEP, TIDY, [STAGED, EMPTY], ev.Swept(LATE, ()), can=replace(NAMED, can_list=False)
    ),
    "another journal mints under our names": Row(
        SWEEP, TIDY, [STAGED, EMPTY, (FindTokens, (LATER,))], ev.PutOnHold, foreign_journal.HIGHER
    ),
}

# --- taken back -----------------------------------------------------------------------------------------------------

BACK = record(Phase.UNDOING)
RESTORES = {
    "the value before is there": Row(Restore(), BACK, [OLD_READ, PUBLISHED_NEW, OURS], ev.Restored),
    "its revocation is taken back": Row(
        Restore(), BACK_FROM_DEATH, [OLD_READ, PUBLISHED_NEW, OURS, (RestoreToken, Outcome.DONE)], ev.Restored
    ),
    "its revocation stands": Row(
        Restore(),
        BACK_FROM_DEATH,
        [OLD_READ, PUBLISHED_NEW, OURS, (RestoreToken, Refused("gone"))],
        ev.UndoFailed(LATE, "gone"),
    ),
    "the value before is gone": Row(Restore(), BACK, [(ReadPath, NOTHING)], ev.UndoFailed, "is gone from Vault"),
    "another's value is in the way": Row(
        Restore(), BACK, [OLD_READ, FOREIGN, NOBODYS], ev.UndoFailed, "a value that we did not write"
    ),
}


TAKEN = {
    "it is dead": ([OLD_SHOWN, DEAD], "t1.1 is dead, its value is refused; ended by a person"),
    "nobody says": ([(ReadPath, NOTHING), (ProveDead, None)], "t1.1 is not proven dead: ada says that it was ended"),
    "its target is away": ([OLD_SHOWN, (ProveDead, BUSY)], "t1.1 is not proven dead: ada says that it was ended"),
}
LIVES = {"it lives": ALIVE, "only a person can end it": (ProveDead, NeedsPerson("end it"))}


@pytest.mark.parametrize(("script", "proof"), TAKEN.values(), ids=TAKEN)
def test_a_persons_word_counts_where_no_look_can_tell(script: list[Any], proof: str) -> None:
    seen = observation()
    assert follow(take_word(seen, LEFT, "ada"), script, seen) == ev.Ended(LATE, "t1.1", proof)


@pytest.mark.parametrize("shown", LIVES.values(), ids=LIVES)
def test_a_persons_word_does_not_count_where_the_target_accepts_the_value(shown: Any) -> None:
    seen = observation()
    with pytest.raises(Refused, match=r"the target still accepts t1\.1"):
        follow(take_word(seen, LEFT, "ada"), [OLD_SHOWN, shown], seen)


def test_no_word_is_taken_where_nothing_is_left_to_a_person() -> None:
    assert follow(take_word(observation(), TIDY, "ada"), []) is None


@pytest.mark.parametrize("row", rows(CONDEMNS, REVOKES, LOOKS, SWEEPS, RESTORES))
def test_a_step_comes_to(row: Row) -> None:
    play(row)
