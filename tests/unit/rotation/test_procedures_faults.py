"""What no step turns into an event of its own: faults that are the same for all, and steps that nobody decided."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Document, Inspection, Minted, read_staged
from rotator.rotation.faults import (
    Conflict,
    MinterRefused,
    StoreRefused,
    TargetNotConfigured,
)
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.procedures import outcome, without_minter
from rotator.rotation.procedures.calls import (
    InspectToken,
    InstallValue,
    MintToken,
    ReadOwners,
    ReadPath,
    RestoreToken,
    VerifyValue,
    WriteSlot,
)
from rotator.rotation.procedures.consumer_path import watch
from rotator.rotation.procedures.restore import impossible
from rotator.rotation.record import HoldReason, LostValue, Phase, Record, Trigger
from rotator.rotation.steps import (
    Condemn,
    Install,
    Request,
    Restore,
    Revoke,
    Sweep,
    Verify,
)
from tests.kit.records import replace
from tests.unit.rotation.builders import NOW, PLACE, published, token
from tests.unit.rotation.script import (
    BACK_FROM_DEATH,
    BURN,
    FOREIGN,
    LATE,
    MINT,
    MINTED,
    NAMED,
    NEW,
    NOBODYS,
    NONCE,
    NOT_YET,
    NOTHING,
    OLD,
    OLD_READ,
    ONE_PLACE,
    OURS,
    PENDING,
    PUBLISHED_NEW,
    REJECTED,
    REQUESTED,
    SETTLED,
    STAGED,
    THEIRS,
    Row,
    doc,
    faulted,
    follow,
    mark,
    observation,
    play,
    record,
    slot,
)

RAISES = {
    "the minter is refused at the mint": (MINT, REQUESTED, [(MintToken, MinterRefused("403"))], NAMED),
    "the minter is refused at an installation": (
        Install(),
        PENDING,
        [STAGED, OURS, (InstallValue, MinterRefused("403"))],
        NAMED,
    ),
    "the minter is refused when the old value is put back": (
        *(BURN, REJECTED, [OLD_READ, NOT_YET, OURS, (InstallValue, MinterRefused("403"))]),
        ONE_PLACE,
    ),
    "the minter is refused at an undo": (
        *(Restore(), BACK_FROM_DEATH, [OLD_READ, PUBLISHED_NEW, OURS, (RestoreToken, MinterRefused("403"))]),
        NAMED,
    ),
    "the slot holds a later attempt": (MINT, REQUESTED, [MINTED, NONCE, (WriteSlot, Conflict("cas")), STAGED], NAMED),
    "a later rotation has begun": (Sweep(strays=True), SETTLED, [STAGED], NAMED),
}


@pytest.mark.parametrize("name", RAISES)
def test_whoever_is_overtaken_or_refused_as_minter_ends_there(name: str) -> None:
    step, known, script, can = RAISES[name]
    with pytest.raises((Conflict, MinterRefused)):
        follow(outcome(observation(can), known, step), script)


@pytest.mark.parametrize(
    ("step", "known"),
    [
        (Condemn(), record(Phase.PUBLISHED, predecessor=None)),
        (Revoke(), record(Phase.CONDEMNED, predecessor=None)),
        (Restore(), SETTLED),
    ],
)
def test_a_step_that_was_not_decided_is_a_bug(step, known) -> None:
    with pytest.raises(ValueError, match=r"nothing to|no undo"):
        follow(outcome(observation(), known, step), [])


def test_a_mint_without_a_minter_is_refused_and_other_steps_are_tried_again() -> None:
    fault = MinterRefused("403")
    assert without_minter(observation(), MINT, fault) == ev.MintRefused(LATE, "403")
    assert without_minter(observation(), Revoke(), fault) == faulted("revoke", "403")


def test_a_store_that_refuses_the_staged_value_loses_it() -> None:
    play(Row(MINT, REQUESTED, [MINTED, NONCE, (WriteSlot, StoreRefused("403"))], ev.MintLost, "could not be staged"))


def test_settings_that_lost_the_target_hold() -> None:
    script = [(VerifyValue, TargetNotConfigured("no `shop`"))]
    seen = {"slot": slot(), "consumer": doc(OLD)}
    play(Row(Verify(), PENDING, script, ev.PutOnHold, "put the target back", seen=seen))


# --- what consumers find ---------------------------------------------------------------------------------------------

LOST = replace(SETTLED, lost=LostValue(HoldReason.FOREIGN_WRITE, PLACE, NOW))
WEAK = ReadPath(PLACE, strong=False)
WATCHED = {
    "nothing is published": (record(Phase.SETTLED, current=None), [], None),
    "a step will look": (record(Phase.STAGED), [], None),
    "it is there": (SETTLED, [(WEAK, doc(OLD))], None),
    "it is lost still": (LOST, [(WEAK, doc(THEIRS))], None),
    "it is back": (LOST, [(WEAK, doc(OLD)), (ReadPath(PLACE), doc(OLD))], ev.Returned(LATE, PLACE)),
    "a standby had not heard of it": (SETTLED, [(WEAK, NOTHING), (ReadPath(PLACE), doc(OLD))], None),
    "it was deleted": (SETTLED, [(WEAK, NOTHING), (ReadPath(PLACE), doc(None, 3, deleted=True))], ev.Lost),
    "another wrote": (SETTLED, [(WEAK, doc(THEIRS)), (ReadPath(PLACE), doc(THEIRS)), NOBODYS], ev.Lost),
}


@pytest.mark.parametrize("name", WATCHED)
def test_a_look_at_what_consumers_read(name: str) -> None:
    known, script, event = WATCHED[name]
    came_to = follow(watch(observation(), known), script)
    assert came_to == event or type(came_to) is event


def other(name: str) -> Record:
    """The record of another credential, which published THEIRS."""
    theirs = published(1, fingerprint=mark(THEIRS), token=token(9))
    return replace(SETTLED, stem=f"rotator-home-{name}-l1", current=theirs)


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (TokenOwners({"shop": other("shop")}, {}, (), "rotator-home"), "a value of the credential shop"),
        (TokenOwners({}, {"old": other("old")}, (), "rotator-home"), "`rotate adopt blog/bot`"),
        (TokenOwners({"shop": SETTLED}, {}, (), "rotator-home"), "a value that we did not write"),
    ],
)
def test_whose_the_value_in_the_way_is(owners: TokenOwners, said: str) -> None:
    play(Row(Request(Trigger.AGED, "due"), SETTLED, [FOREIGN, (ReadOwners, owners)], ev.PutOnHold, said))


# --- whether a rotation can be taken back ----------------------------------------------------------------------------

KEPT = record(Phase.PUBLISHED)
ENDED = record(Phase.CONDEMNED)
RESTORABLE = replace(NAMED, can_restore=True)
IMPOSSIBLE = {
    "the value before lives": (KEPT, NAMED, [PUBLISHED_NEW, OLD_READ], ""),
    "there is none": (record(Phase.SETTLED), NAMED, [], "no rotation to take back"),
    "consumers read another's": (KEPT, NAMED, [FOREIGN], "does not hold what we published"),
    "Vault has it no more": (KEPT, NAMED, [PUBLISHED_NEW, (ReadPath, NOTHING)], "is gone from Vault"),
    "one place": (KEPT, ONE_PLACE, [PUBLISHED_NEW, OLD_READ], "keeps one value only"),
    "it is ended for good": (ENDED, NAMED, [PUBLISHED_NEW, OLD_READ], "cannot take that back"),
    "its record is gone": (
        *(ENDED, RESTORABLE, [PUBLISHED_NEW, OLD_READ, (InspectToken, Inspection(exists=False))]),
        "was deleted at the target since",
    ),
    "it can be restored": (ENDED, RESTORABLE, [PUBLISHED_NEW, OLD_READ, (InspectToken, Inspection(exists=True))], ""),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_why_a_rotation_cannot_be_taken_back(name: str) -> None:
    known, can, script, said = IMPOSSIBLE[name]
    text = follow(impossible(observation(can), known), script)
    assert (said in text) if said else (text == "")


# --- the staged document ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [{}, "t1", {"id": "t1", "issued_at": "yesterday"}, {"id": "t1", "issued_at": 7}, {"id": "no word"}],
    ids=str,
)
def test_a_staged_document_that_names_no_token_holds_no_candidate(token: object) -> None:
    assert read_staged(Document(1, {"value": "canary-new", "token": token})) is None


def test_what_is_staged_is_read_back_as_it_was_made() -> None:
    staged = read_staged(slot())
    assert staged
    assert staged.minted == Minted(token(2), staged.secret, {}, {})
    assert staged.secret.matches(NEW)
