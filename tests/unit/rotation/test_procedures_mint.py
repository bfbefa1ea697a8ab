"""What the first steps of a rotation come to, for every answer of Vault and of the target."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation import foreign_journal
from rotator.rotation.answers import Document, Inspection, Outcome, Rejected, Unknown
from rotator.rotation.faults import (
    Conflict,
    Duplicate,
    NeedsPerson,
    Refused,
    Transient,
)
from rotator.rotation.procedures.calls import (
    FindTokens,
    InspectToken,
    InstallValue,
    MintToken,
    ReadConsumer,
    ReadOwners,
    ReadPath,
    ReadSlot,
    ReceiveValue,
    RevokeToken,
    VerifyValue,
    WriteSlot,
)
from rotator.rotation.record import HoldReason, Phase, Trigger
from rotator.rotation.steps import (
    Escalate,
    Hold,
    Look,
    Request,
)
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, NOW, PLACE, SECOND, credential, published, token
from tests.unit.rotation.script import (
    ALIVE,
    AT,
    BURN,
    BUSY,
    DEAD,
    DELETED,
    ELSEWHERE,
    EXPIRES,
    FOREIGN,
    GONE,
    LATE,
    MADE,
    MINT,
    MINTED,
    NAME,
    NAMED,
    NOBODYS,
    NONCE,
    NOT_YET,
    NOTHING,
    OLD_READ,
    ONE_PLACE,
    OURS,
    OVERWRITE,
    PROVEN,
    PUBLISHED_OLD,
    REJECTED,
    REQUESTED,
    SETTLED,
    THEIRS,
    USED,
    Row,
    doc,
    faulted,
    play,
    record,
    rows,
    slot,
)

# --- requested, minted ----------------------------------------------------------------------------------------------

AGED = Request(Trigger.AGED, "due")
FIRST = record(Phase.SETTLED, current=None)

REQUESTS = {
    "a good value is renewed": Row(AGED, SETTLED, [PUBLISHED_OLD, PROVEN], ev.Requested, "value='accepted'"),
    "the first value": Row(AGED, FIRST, [(ReadConsumer, NOTHING)], ev.Requested, "value=''"),
    "the number on the path is taken": Row(
        AGED, FIRST, [(ReadConsumer, Document(7, {"rotation": "41"}))], ev.Requested, "above=41"
    ),
    "what is no number there is none": Row(
        AGED, FIRST, [(ReadConsumer, Document(7, {"rotation": "4e9"}))], ev.Requested, "above=0"
    ),
    "a known refusal is not asked about": Row(
        Request(Trigger.REFUSED, "401"), SETTLED, [PUBLISHED_OLD], ev.Requested, "value='refused'"
    ),
    "an emergency does not wait for the answer": Row(
        replace(AGED, emergency=True), SETTLED, [PUBLISHED_OLD], ev.Requested, "value='unknown'"
    ),
    "a refused value is replaced": Row(
        AGED, SETTLED, [PUBLISHED_OLD, (VerifyValue, Rejected("401"))], ev.Requested, "value='refused'"
    ),
    "nobody says": Row(
        AGED, SETTLED, [PUBLISHED_OLD, (VerifyValue, Transient("503"))], ev.Requested, "value='unknown'"
    ),
    "the target wants to be called later": Row(
        AGED, SETTLED, [PUBLISHED_OLD, (VerifyValue, BUSY)], faulted("request", "503", 7.0)
    ),
    "a target of one place is not asked twice": Row(
        AGED, SETTLED, [PUBLISHED_OLD], ev.Requested, "value='unknown'", ONE_PLACE
    ),
    "its target left the settings": Row(
        AGED, record(Phase.SETTLED, current=ELSEWHERE), [PUBLISHED_OLD], ev.Requested, "value='unknown'"
    ),
    "consumers find nothing, and settings let us write": Row(
        AGED, SETTLED, [DELETED], ev.Requested, "value='lost'", wanted=OVERWRITE
    ),
    "what is published lives at another path": Row(
        AGED,
        record(Phase.SETTLED, current=published(1, place=PLACE._replace(path="before"))),
        [(ReadConsumer, NOTHING)],
        ev.Requested,
        "value='unknown'",
    ),
    "Vault told the time": Row(
        AGED, FIRST, [(ReadConsumer, NOTHING)], ev.Requested, f"told={AT!r}", seen={"told": True}
    ),
    "another's value is in the way": Row(
        AGED, SETTLED, [FOREIGN, NOBODYS], ev.PutOnHold, "a value that we did not write"
    ),
    "whose it is cannot be read": Row(
        AGED, SETTLED, [FOREIGN, (ReadOwners, Transient("503"))], ev.PutOnHold, "a value that we did not write"
    ),
    "a deletion is in the way": Row(AGED, SETTLED, [DELETED], ev.PutOnHold, "was deleted"),
    "an emergency": Row(Escalate("ada"), record(Phase.PUBLISHED), [], ev.Escalated(LATE, "ada")),
    "a hold": Row(
        Hold(HoldReason.MINT_BUDGET, "6 mints"), SETTLED, [], ev.PutOnHold, "6 mints; `rotate release blog/bot`"
    ),
}

LOOK = Look(NAME, resend=True)
TAKEN = (MintToken, Duplicate("taken"))

MINTS = {
    "minted and staged": Row(MINT, REQUESTED, [MINTED, NONCE, (WriteSlot, 5)], ev.Staged, "slot_version=5"),
    "a token that never ends": Row(
        MINT,
        REQUESTED,
        [(MintToken("blog", NAME, None, (token(1),)), MADE), NONCE, (WriteSlot, 5)],
        ev.Staged,
        "pending=True",
        replace(NAMED, needs_install=True),
        credential(lifetime=None),
    ),
    "a person has to make it": Row(MINT, REQUESTED, [(MintToken, NeedsPerson("paste"))], ev.Awaited(LATE, "paste")),
    "refused": Row(MINT, REQUESTED, [(MintToken, Refused("403"))], ev.MintRefused(LATE, "403")),
    "undecided": Row(MINT, REQUESTED, [(MintToken, BUSY)], faulted("mint", "503", 7.0)),
    "an answer that is of no use": Row(
        MINT, REQUESTED, [(MintToken, replace(MADE, token=token(2, id="a b")))], ev.MintLost, "cannot be used"
    ),
    "Vault does not take it": Row(
        MINT, REQUESTED, [MINTED, NONCE, (WriteSlot, Transient("503"))], ev.MintLost, "could not be staged: 503"
    ),
    "the slot moved on, and holds nothing later": Row(
        MINT,
        REQUESTED,
        [MINTED, NONCE, (WriteSlot, Conflict("cas")), (ReadSlot, slot(of=token(1), version=8)), (WriteSlot, 9)],
        ev.Staged,
        "slot_version=9",
    ),
    "the slot moved on twice": Row(
        MINT,
        REQUESTED,
        [MINTED, NONCE, (WriteSlot, Conflict("cas")), GONE, (WriteSlot, Conflict("cas")), GONE],
        ev.MintLost,
        "the slot is written by others",
    ),
    "the name is taken by an earlier request of ours": Row(MINT, REQUESTED, [TAKEN], ev.MintLost, "the name is taken"),
    "the name is taken before we asked": Row(
        MINT,
        REQUESTED,
        [TAKEN, (FindTokens("blog", NAME), (token(2, id="x", name=f"{NAME}0"), token(2)))],
        ev.PutOnHold,
        foreign_journal.TAKEN,
        seen={"begun_here": (2, 1)},
    ),
    "the name is taken, and nobody has it any more": Row(
        MINT, REQUESTED, [TAKEN, (FindTokens, ())], ev.MintLost, "the name is taken", seen={"begun_here": (2, 1)}
    ),
    "a value that was brought": Row(
        MINT,
        REQUESTED,
        [(ReceiveValue("blog", NAME, LATE + 90 * DAY, (token(1),)), MADE), NONCE, (WriteSlot, 5)],
        ev.Staged,
        "supplied=True",
        seen={"brings": True},
    ),
    "a value that was brought, and its end": Row(
        MINT,
        REQUESTED,
        [(ReceiveValue("blog", NAME, NOW + HOUR, (token(1),)), MADE), NONCE, (WriteSlot, 5)],
        ev.Staged,
        f"expires_at={NOW + HOUR!r}",
        seen={"brings": True, "brought_until": NOW + HOUR},
    ),
    "a lost mint is in the slot": Row(LOOK, REQUESTED, [(ReadSlot, slot(version=3))], ev.Staged, "slot_version=3"),
    "a lost mint lives, without its value": Row(
        LOOK, REQUESTED, [GONE, (FindTokens, (token(2),))], ev.MintLost, "its secret was lost"
    ),
    "nothing was minted": Row(
        LOOK, REQUESTED, [(ReadSlot, slot(of=token(1))), (FindTokens, ())], ev.NotMinted(LATE, resend=True)
    ),
}

# --- burned ---------------------------------------------------------------------------------------------------------

NO_CANDIDATE = record(Phase.REJECTED, candidate=None)
FOUND = (FindTokens("blog", NAME), (token(2), token(3)))
TOLD = record(Phase.REJECTED, unanswered_at=AT - SECOND)
BURNED = ev.Burned(LATE, ("t2.1",), give_up=False)
PUT_BACK = (InstallValue, token(1))

BURNS = {
    "what lives is revoked, and dead": Row(BURN, REJECTED, [FOUND, (RevokeToken, Outcome.DONE), DEAD], BURNED),
    "it is not dead yet": Row(
        BURN,
        REJECTED,
        [FOUND, (RevokeToken, Outcome.DONE), ALIVE],
        faulted("burn", "not proven dead: t2.1", of_target=False),
    ),
    "nothing lives": Row(BURN, NO_CANDIDATE, [(FindTokens, ())], ev.Burned(LATE, (), give_up=False)),
    "a token whose value we never had, of a target that knows no use": Row(
        BURN, NO_CANDIDATE, [(FindTokens, (token(2),)), (RevokeToken, Outcome.DONE), DEAD], BURNED
    ),
    "... and was not used": Row(
        BURN,
        NO_CANDIDATE,
        [(FindTokens, (token(2),)), (InspectToken, Inspection(exists=True)), (RevokeToken, Outcome.DONE), DEAD],
        BURNED,
        can=USED,
    ),
    "... but was used by another": Row(
        BURN,
        NO_CANDIDATE,
        [(FindTokens, (token(2),)), (InspectToken, Inspection(exists=True, last_used=NOW))],
        ev.PutOnHold,
        foreign_journal.USED,
        USED,
    ),
    "... but was made before we asked": Row(
        BURN,
        record(
            Phase.REJECTED,
            candidate=None,
            requested_told=NOW,
            current=published(1, NOW - DAY, token=token(1, issued_at=NOW - DAY)),
        ),
        [(FindTokens, (token(2, issued_at=NOW - HOUR),))],
        ev.PutOnHold,
        "before we asked for it",
    ),
    "what nobody can revoke ends by its date": Row(
        BURN,
        REJECTED,
        [],
        ev.Burned(LATE, (), give_up=False, left="t2.1 is left to its date and ends by itself"),
        can=EXPIRES,
    ),
    "nothing was staged that could end by its date": Row(
        BURN, record(Phase.REJECTED, candidate=None), [], ev.Burned(LATE, (), give_up=False), can=EXPIRES
    ),
    "what was told may land yet": Row(
        BURN, TOLD, [], faulted("burn", "what the target was told without an answer may land yet", 9.0, of_target=False)
    ),
    "one place: nothing was published": Row(
        BURN, record(Phase.REJECTED, current=None), [], ev.Burned(LATE, (), give_up=False), can=ONE_PLACE
    ),
    "one place: what was published is over": Row(
        BURN,
        record(Phase.REJECTED, current=published(1, token=token(1, expires_at=AT))),
        [],
        BURNED,
        can=ONE_PLACE,
    ),
    "one place: the old value is gone": Row(
        BURN, NO_CANDIDATE, [(ReadPath, NOTHING)], ev.PutOnHold, "so the old value cannot be put back", ONE_PLACE
    ),
    "one place: the version holds another's value": Row(
        BURN, NO_CANDIDATE, [(ReadPath, doc(THEIRS))], ev.PutOnHold, "so the old value cannot be put back", ONE_PLACE
    ),
    "one place: it is accepted still": Row(
        BURN, NO_CANDIDATE, [OLD_READ, PROVEN], ev.Burned(LATE, (), give_up=False), can=ONE_PLACE
    ),
    "one place: nobody says": Row(
        BURN, REJECTED, [OLD_READ, (VerifyValue, Unknown("503", 7.0))], faulted("burn", "503", 7.0), can=ONE_PLACE
    ),
    "one place: it is put back": Row(
        BURN, REJECTED, [OLD_READ, NOT_YET, OURS, PUT_BACK, PROVEN], BURNED, can=ONE_PLACE
    ),
    "one place: put back, and nobody says": Row(
        BURN,
        REJECTED,
        [OLD_READ, NOT_YET, OURS, PUT_BACK, (VerifyValue, Unknown("503"))],
        faulted("burn", "the old value is not accepted again: 503"),
        can=ONE_PLACE,
    ),
    "one place: put back, and not accepted yet": Row(
        BURN,
        REJECTED,
        [OLD_READ, NOT_YET, OURS, PUT_BACK, NOT_YET],
        faulted("burn", "the old value is not accepted again: 401", of_target=False),
        can=ONE_PLACE,
    ),
    "one place: never accepted again": Row(
        BURN,
        record(Phase.REJECTED, failures=4),
        [OLD_READ, NOT_YET, OURS, (InstallValue, Refused("used before"))],
        replace(BURNED, lost="the old value is not accepted again: used before"),
        can=ONE_PLACE,
    ),
    "one place: a person has to put it back": Row(
        BURN,
        REJECTED,
        [OLD_READ, NOT_YET, OURS, (InstallValue, NeedsPerson("paste"))],
        ev.PutOnHold,
        "paste",
        ONE_PLACE,
    ),
    "one place: no answer, so it may land": Row(
        BURN,
        REJECTED,
        [OLD_READ, NOT_YET, OURS, (InstallValue, BUSY)],
        faulted("burn", "503", 7.0, unanswered=AT),
        can=ONE_PLACE,
    ),
}


@pytest.mark.parametrize("row", rows(REQUESTS, MINTS, BURNS))
def test_a_step_comes_to(row: Row) -> None:
    play(row)
