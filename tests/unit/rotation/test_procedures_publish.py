"""What installing, proving, publishing and fencing come to, for every answer of Vault and of the target."""

from __future__ import annotations

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Document, Rejected, StagedValue, Unknown
from rotator.rotation.faults import (
    CannotPresent,
    Conflict,
    NeedsPerson,
    Refused,
    Transient,
)
from rotator.rotation.procedures import outcome
from rotator.rotation.procedures.calls import (
    InstallValue,
    ReadConsumer,
    ReadPath,
    ReadSlot,
    StillOurs,
    VerifyValue,
    WriteConsumer,
)
from rotator.rotation.procedures.publish import merged
from rotator.rotation.record import Phase, Undo
from rotator.rotation.steps import (
    Fence,
    Install,
    Poll,
    Publish,
    Verify,
)
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, PLACE, SECOND, credential, published, token
from tests.unit.rotation.script import (
    AT,
    BUSY,
    ENDED_BY_MINT,
    FOREIGN,
    GONE,
    INSTALLED,
    LATE,
    NAMED,
    NEW,
    NOBODYS,
    NOT_YET,
    NOTHING,
    OLD,
    ONE_PLACE,
    OURS,
    OVERWRITE,
    PENDING,
    PROVEN,
    PUBLISHED_NEW,
    PUBLISHED_OLD,
    STAGED,
    THEIRS,
    Row,
    doc,
    faulted,
    mark,
    observation,
    play,
    record,
    rows,
    slot,
)

# --- installed, polled ----------------------------------------------------------------------------------------------

AWAITING, WITH_KEY = record(Phase.AWAITING), record(Phase.AWAITING, candidate=PENDING.candidate)
INSTALLS = {
    "told": Row(Install(), PENDING, [STAGED, OURS, INSTALLED], ev.Installed(LATE, token(2), LATE + 10 * SECOND)),
    "told, where the predecessor ends": Row(
        Install(),
        PENDING,
        [STAGED, PUBLISHED_OLD, OURS, INSTALLED],
        ev.Installed(LATE, token(2), None, LATE),
        can=ONE_PLACE,
    ),
    "told, where the mint has ended it": Row(
        Install(), PENDING, [STAGED, OURS, INSTALLED], ev.Installed(LATE, token(2), None, NOW), can=ENDED_BY_MINT
    ),
    "the slot is empty": Row(Install(), PENDING, [GONE], ev.CandidateRejected(LATE, "the staged value is gone")),
    "there is no candidate": Row(
        Install(), record(Phase.STAGED, candidate=None), [], ev.CandidateRejected(LATE, "the staged value is gone")
    ),
    "the slot holds another value": Row(
        Install(), PENDING, [(ReadSlot, slot(THEIRS))], ev.CandidateRejected, "is gone"
    ),
    "consumers are not cut off where another's value is in the way": Row(
        Install(), PENDING, [STAGED, FOREIGN, NOBODYS], ev.PutOnHold, "did not write", ONE_PLACE
    ),
    "a person has to": Row(
        Install(), PENDING, [STAGED, OURS, (InstallValue, NeedsPerson("paste"))], ev.Awaited(LATE, "paste")
    ),
    "refused": Row(
        Install(),
        PENDING,
        [STAGED, OURS, (InstallValue, Refused("422"))],
        ev.CandidateRejected(LATE, "not installed: 422"),
    ),
    "no answer": Row(
        Install(), PENDING, [STAGED, OURS, (InstallValue, BUSY)], faulted("install", "503", 7.0, unanswered=AT)
    ),
    "the lease has passed on": Row(
        Install(), PENDING, [STAGED, (StillOurs, Transient("slow"))], faulted("install", "slow")
    ),
    "a person has not brought it": Row(Poll(remind=True), AWAITING, [], ev.Reminded, "waits for a person since 2026"),
    "... and what is published ends soon": Row(
        Poll(remind=True),
        record(Phase.AWAITING, current=published(1, token=token(1, expires_at=NOW + DAY))),
        [],
        ev.Reminded,
        "since 2026-03-01 12:00:00Z; the published value expires at",
    ),
    "a person has brought it": Row(
        Poll(remind=False), AWAITING, [], ev.NotMinted(LATE, resend=True), seen={"brings": True}
    ),
    "settings let us make it now": Row(
        Poll(remind=False), AWAITING, [], ev.NotMinted(LATE, resend=True), can=replace(NAMED, needs_install=True)
    ),
    "a person has installed it": Row(
        Poll(remind=False), WITH_KEY, [STAGED, PROVEN, PUBLISHED_OLD], ev.Verified(LATE, 1, HOUR)
    ),
    "not yet, and we may not": Row(
        Poll(remind=False),
        WITH_KEY,
        [STAGED, (VerifyValue, Rejected("401", final=True)), OURS, (InstallValue, NeedsPerson("paste"))],
        ev.Polled(LATE, AT + MINUTE, "401", since=AT),
        seen={"slot": None},
    ),
    "not yet: say it again": Row(
        Poll(remind=True),
        WITH_KEY,
        [STAGED, (VerifyValue, Rejected("401", final=True)), OURS, (InstallValue, NeedsPerson("paste"))],
        ev.Reminded,
        "paste the key",
    ),
    "not yet, and settings let us": Row(
        Poll(remind=True),
        WITH_KEY,
        [STAGED, (VerifyValue, Rejected("401", final=True)), OURS, INSTALLED],
        ev.Installed,
    ),
    "it has expired meanwhile": Row(
        Poll(remind=False),
        record(
            Phase.AWAITING,
            candidate=replace(PENDING.candidate, token=token(2, expires_at=AT)) if PENDING.candidate else None,
        ),
        [STAGED, (VerifyValue, Rejected("401", final=True))],
        ev.CandidateRejected(LATE, "401"),
    ),
}

# --- proven, published, fenced --------------------------------------------------------------------------------------

VERIFIED = record(Phase.VERIFIED)
UNDOING = record(
    Phase.STAGED,
    rotation=3,
    undo=Undo("ada", NOW, Phase.PUBLISHED),
    current=published(2),
    predecessor=published(1, beside=("id", "second", "third"), public=("id",)),
)
UNDOING = replace(UNDOING, candidate=replace(UNDOING.candidate, fingerprint=mark(OLD), token=token(1)))
WRITTEN = (WriteConsumer, 2)
PUBLISH, FENCE = Publish(1, reprove=False), Fence(1)
PUBLISHED = ev.Published(LATE, 2, LATE + HOUR)

PROOFS = {
    "proven": Row(Verify(), PENDING, [STAGED, PROVEN, PUBLISHED_OLD], ev.Verified(LATE, 1, HOUR)),
    "proven, and published already": Row(
        Verify(), PENDING, [STAGED, PROVEN, PUBLISHED_NEW], ev.Verified(LATE, 1, HOUR)
    ),
    "proven, by what was seen before": Row(
        Verify(), PENDING, [PROVEN], ev.Verified(LATE, 1, HOUR), seen={"slot": slot(), "consumer": doc(OLD)}
    ),
    "another value was seen in the slot before": Row(
        Verify(),
        PENDING,
        [STAGED, PROVEN],
        ev.Verified(LATE, 1, HOUR),
        seen={"slot": slot(of=token(1)), "consumer": doc(OLD)},
    ),
    "proven, and another's value is in the way": Row(
        Verify(), PENDING, [STAGED, PROVEN, FOREIGN, NOBODYS], ev.PutOnHold
    ),
    "proven, and settings let us write over it": Row(
        Verify(), PENDING, [STAGED, PROVEN, FOREIGN], ev.Verified(LATE, 3, HOUR), wanted=OVERWRITE
    ),
    "the value is gone": Row(Verify(), PENDING, [GONE], ev.CandidateRejected(LATE, "the staged value is gone")),
    "nobody says": Row(Verify(), PENDING, [STAGED, (VerifyValue, Unknown("503", 7.0))], faulted("verify", "503", 7.0)),
    "refused": Row(Verify(), PENDING, [STAGED, NOT_YET], ev.CandidateRejected(LATE, "401")),
    "it cannot be shown from here": Row(
        Verify(), PENDING, [STAGED, (VerifyValue, CannotPresent("no key"))], ev.CandidateRejected(LATE, "no key")
    ),
    "refused early": Row(
        Verify(),
        record(Phase.INSTALLED, installed_at=AT - SECOND, ready_at=AT - SECOND),
        [STAGED, NOT_YET],
        faulted("verify", "not accepted yet: 401", of_target=False),
    ),
    "refused as soon as it may be known: caches may have been read late": Row(
        Verify(),
        record(Phase.INSTALLED, installed_at=AT - HOUR, ready_at=AT - SECOND),
        [STAGED, NOT_YET],
        faulted("verify", "not accepted yet: 401", of_target=False),
    ),
    "refused long after it may be known": Row(
        Verify(),
        record(Phase.INSTALLED, installed_at=AT - HOUR, ready_at=AT - HOUR),
        [STAGED, NOT_YET],
        ev.CandidateRejected(LATE, "401"),
    ),
    "refused early in a cut-over": Row(
        Verify(),
        record(Phase.INSTALLED, installed_at=AT - SECOND, ready_at=AT - SECOND, cut_over_at=AT),
        [STAGED, NOT_YET],
        faulted("verify", "not accepted yet: 401", of_target=False),
    ),
    "refused early by one clock, in a cut-over": Row(
        Verify(),
        record(Phase.INSTALLED, installed_at=LATE + SECOND, cut_over_at=AT),
        [STAGED, NOT_YET],
        ev.CandidateRejected(LATE, "401"),
    ),
    "an undo: the value before is in its own version": Row(
        Verify(),
        UNDOING,
        [(ReadPath(PLACE, 1, strong=True), doc(OLD, id="7", second="canary-beside")), PROVEN, PUBLISHED_NEW],
        ev.Verified(LATE, 2, HOUR),
    ),
    "an undo: the value before is gone": Row(Verify(), UNDOING, [(ReadPath, NOTHING)], ev.CandidateRejected, "is gone"),
    "an undo of nothing": Row(Verify(), replace(UNDOING, predecessor=None), [], ev.CandidateRejected, "is gone"),
    "published": Row(PUBLISH, VERIFIED, [PUBLISHED_OLD, STAGED, OURS, WRITTEN], PUBLISHED),
    "published for a longer grace that was promised": Row(
        PUBLISH,
        record(Phase.VERIFIED, grace=DAY),
        [PUBLISHED_OLD, STAGED, OURS, WRITTEN],
        ev.Published(LATE, 2, LATE + DAY),
    ),
    "published already": Row(PUBLISH, VERIFIED, [PUBLISHED_NEW], PUBLISHED),
    "the path moved on with our value": Row(PUBLISH, VERIFIED, [(ReadConsumer, doc(OLD, 4))], ev.Overtaken(LATE, 4)),
    "the path holds another's value": Row(PUBLISH, VERIFIED, [FOREIGN, NOBODYS], ev.PutOnHold),
    "the staged value is gone": Row(
        PUBLISH, VERIFIED, [PUBLISHED_OLD, GONE], ev.CandidateRejected(LATE, "the staged value is gone")
    ),
    "the proof is old, and made again": Row(
        Publish(1, reprove=True), VERIFIED, [PUBLISHED_OLD, STAGED, PROVEN], ev.Verified(LATE, 1, HOUR)
    ),
    "the proof is old, and fails now": Row(
        Publish(1, reprove=True), VERIFIED, [PUBLISHED_OLD, STAGED, NOT_YET], ev.CandidateRejected(LATE, "401")
    ),
    "another wrote at the same moment": Row(
        PUBLISH,
        VERIFIED,
        [PUBLISHED_OLD, STAGED, OURS, (WriteConsumer, Conflict("cas"))],
        faulted("publish", "the consumer path was written by somebody else at the same moment", of_target=False),
    ),
    "fenced": Row(FENCE, VERIFIED, [PUBLISHED_OLD, OURS, WRITTEN], ev.Fenced(LATE, 2)),
    "fenced by whoever wrote": Row(FENCE, VERIFIED, [(ReadConsumer, doc(OLD, 4))], ev.Fenced(LATE, 4)),
    "to be fenced, and published meanwhile": Row(FENCE, VERIFIED, [PUBLISHED_NEW], PUBLISHED),
    "to be fenced, and deleted": Row(FENCE, VERIFIED, [(ReadConsumer, doc(None, 1, deleted=True))], ev.PutOnHold),
    "an empty path is fenced": Row(
        FENCE, record(Phase.VERIFIED, current=None), [(ReadConsumer, Document(1)), OURS, WRITTEN], ev.Fenced(LATE, 2)
    ),
    "to be fenced, and another wrote at the same moment": Row(
        FENCE,
        VERIFIED,
        [PUBLISHED_OLD, OURS, (WriteConsumer, Conflict("cas"))],
        faulted("fence", "the consumer path was written by somebody else at the same moment", of_target=False),
    ),
}


def test_what_is_published_replaces_the_keys_of_the_value_before_and_no_others() -> None:
    before = record(Phase.VERIFIED, current=published(1, key="password", beside=("user",)))
    there = Document(1, {"password": OLD.reveal(), "user": "ada", "note": "kept"})
    staged = {**(slot(of=token(2, issued_at=NOW, expires_at=NOW + DAY)).values or {}), "fields": {"user": "bob"}}
    wanted = {"note": "kept", "user": "bob", "rotation": "2", "provider_id": "t2.1"}
    wanted |= {"issued_at": NOW.isoformat(), "expires_at": (NOW + DAY).isoformat()}
    procedure = outcome(
        observation(),
        replace(before, candidate=replace(before.candidate, token=token(2, issued_at=NOW, expires_at=NOW + DAY))),
        PUBLISH,
    )
    script = [(ReadConsumer, there), (ReadSlot, Document(2, staged)), OURS]
    written = _asked(procedure, script)
    assert isinstance(written, WriteConsumer)
    assert {key: text for key, text in written.values.items() if key != "token"} == wanted
    assert written.values["token"].matches(NEW)


def test_what_is_published_says_nothing_else_where_settings_want_that() -> None:
    wanted = credential(describe=False)
    procedure = outcome(observation(wanted=wanted), VERIFIED, PUBLISH)
    written = _asked(procedure, [(ReadConsumer, Document(1, {"token": OLD.reveal()})), STAGED, OURS])
    assert set(written.values) == {"token"}


def _asked(procedure, script):
    """The call after those of the script."""
    call = next(procedure)
    for expected, answer in script:
        assert type(call) is expected
        call = procedure.send(answer)
    return call


@pytest.mark.parametrize("row", rows(INSTALLS, PROOFS))
def test_a_step_comes_to(row: Row) -> None:
    play(row)


def test_the_number_is_greater_than_what_another_name_has_published_here_since() -> None:
    there, staged = Document(3, {"rotation": "7", "token": "theirs"}), StagedValue(token(2), NEW, {}, {}, 1)
    assert merged(there, credential(), record(Phase.VERIFIED), staged)["rotation"] == "8"
    assert merged(Document(0), credential(), record(Phase.VERIFIED), staged)["rotation"] == "2"
