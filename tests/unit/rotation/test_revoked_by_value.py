"""Tokens that their target ends when it is shown their value, and that end by their own date where that fails."""

from __future__ import annotations

from typing import Any

import pytest

from rotator.rotation import events as ev
from rotator.rotation.answers import Inspection, Outcome, Unknown
from rotator.rotation.credential import Pause, Retirement
from rotator.rotation.decide import next_step
from rotator.rotation.explanation import explain
from rotator.rotation.faults import CannotPresent, MinterRefused, Refused, StoreRefused, Transient
from rotator.rotation.messages import EventSeverity, describe
from rotator.rotation.procedures.calls import (
    InspectToken,
    MintToken,
    ProveDead,
    ReadPath,
    RevokeToken,
    StillOurs,
    VerifyValue,
    WriteSlot,
)
from rotator.rotation.record import Failure, Phase, Record, Trigger
from rotator.rotation.rotation_request import RequestAnswer, answer
from rotator.rotation.schedule import Every
from rotator.rotation.steps import Condemn, Request, Revoke, Sweep, Wait
from rotator.rotation.transitions import advance
from rotator.rotation.troubles import Observed
from rotator.rotation.wording import when
from tests.kit.records import replace
from tests.unit.rotation.builders import DAY, HOUR, MINUTE, NOW, SECOND, ask, credential, published, token
from tests.unit.rotation.script import (
    ALIVE,
    AT,
    BURN,
    DEAD,
    EXPIRES,
    FOREIGN,
    GONE,
    LATE,
    MADE,
    MINT,
    MINTED,
    NAMED,
    NEW,
    NONCE,
    NOT_YET,
    NOTHING,
    OLD,
    OLD_READ,
    OURS,
    OVERWRITE,
    PROVEN,
    PUBLISHED_NEW,
    REJECTED,
    REQUESTED,
    STAGED,
    Row,
    doc,
    faulted,
    mark,
    play,
    record,
    rows,
)

BY_VALUE = replace(NAMED, can_list=False, takes_token_name=False, revokes_by_value=True)
END = NOW + 30 * MINUTE
DATED = published(1, token=token(1, expires_at=END), fingerprint=mark(OLD))
OVER = record(Phase.PUBLISHED, current=published(2, NOW - DAY), predecessor=DATED)
TOGETHER = replace(OVER, ends_together="blog")
LATE_DATE = (InspectToken, Inspection(exists=True, expires_at=END))
CONDEMNED = record(Phase.CONDEMNED, predecessor=DATED, evidence="proven")
TRIED = replace(CONDEMNED, failures=1)
LAST = record(Phase.CONDEMNED, predecessor=DATED, in_vain=3, condemned_at=NOW - DAY)
AGAIN = {"of_target": False, "in_vain": True}
REVOKED = (RevokeToken("blog", DATED.token, OLD), Outcome.DONE)
SHOWN = (ReadPath, doc(OLD))  # for its proof
BEGINS = [PUBLISHED_NEW, OLD_READ, OURS]
PROOF = "t1.1 is dead, its value is refused; revoked (done); proven"

CONDEMNS = {
    "its value is at hand": Row(Condemn(), OVER, [OLD_READ, PUBLISHED_NEW, PROVEN], ev.Condemned, can=BY_VALUE),
    "its value is gone from Vault": Row(
        Condemn(),
        OVER,
        [(ReadPath, NOTHING), LATE_DATE],
        ev.LeftToExpire(LATE, END, "version 1 of kv/blog/bot is gone from Vault, and only its value ends it"),
        can=BY_VALUE,
    ),
    "the published value would end with it": Row(
        Condemn(),
        TOGETHER,
        [LATE_DATE],
        ev.LeftToExpire(LATE, END, "at target blog the published value ends with it"),
        can=BY_VALUE,
    ),
    "... but it leaked": Row(
        Condemn(),
        replace(TOGETHER, emergency=True),
        [OLD_READ, PUBLISHED_NEW, PROVEN],
        ev.Condemned,
        can=BY_VALUE,
    ),
    "the next rotation is due": Row(
        Condemn(overdue=True),
        OVER,
        [],
        ev.LeftToExpire(LATE, END, "the next rotation is due before its grace is over"),
        can=BY_VALUE,
    ),
    "the next rotation is due, and nothing helped until now": Row(
        Condemn(overdue=True),
        replace(CONDEMNED, failure=Failure("revoke", "503", NOW)),
        [],
        ev.LeftToExpire(LATE, END, "ending the old value failed: 503"),
        can=BY_VALUE,
    ),
    "the next rotation is due, and nobody knows its date": Row(
        Condemn(overdue=True),
        record(Phase.PUBLISHED, current=published(2, NOW - DAY)),
        [OLD_READ, PUBLISHED_NEW, PROVEN],
        ev.Condemned,
        can=BY_VALUE,
    ),
}

REFUSED = (RevokeToken, Refused("unsupported_token_type"))
REVOKES = {
    "revoked and refused, and the published value lives": Row(
        Revoke(), CONDEMNED, [*BEGINS, REVOKED, DEAD, PROVEN], ev.Retired(LATE, PROOF), can=BY_VALUE
    ),
    "it has expired meanwhile": Row(
        Revoke(),
        replace(CONDEMNED, predecessor=published(1, token=token(1, expires_at=AT), fingerprint=mark(OLD))),
        [*BEGINS, (RevokeToken, Outcome.ALREADY), DEAD, PROVEN],
        ev.Retired,
        "t1.1 expired at",
        can=BY_VALUE,
    ),
    "it has expired meanwhile, and the published value has ended with it": Row(
        Revoke(),
        replace(TRIED, predecessor=published(1, token=token(1, expires_at=AT), fingerprint=mark(OLD))),
        [*BEGINS, (RevokeToken, Outcome.DONE), DEAD, NOT_YET],
        ev.Retired(LATE, f"t1.1 expired at {when(AT)}", "401"),
        can=BY_VALUE,
    ),
    "nobody says whether the published value lives": Row(
        Revoke(),
        CONDEMNED,
        [*BEGINS, REVOKED, DEAD, (VerifyValue, Unknown("503", 7.0))],
        faulted("revoke", "503", 7.0),
        can=BY_VALUE,
    ),
    "the published value cannot be shown": Row(
        Revoke(),
        CONDEMNED,
        [*BEGINS, REVOKED, DEAD, (VerifyValue, CannotPresent("no key"))],
        ev.Retired(LATE, PROOF),
        can=BY_VALUE,
    ),
    "consumers read another's value, and settings allow it": Row(
        Revoke(), CONDEMNED, [FOREIGN, OLD_READ, OURS, REVOKED, DEAD], ev.Retired, can=BY_VALUE, wanted=OVERWRITE
    ),
    "the published value is refused once": Row(
        Revoke(),
        CONDEMNED,
        [*BEGINS, REVOKED, DEAD, NOT_YET],
        faulted("revoke", "the published value: 401", of_target=False),
        can=BY_VALUE,
    ),
    "the published value has ended with it": Row(
        Revoke(), TRIED, [*BEGINS, REVOKED, DEAD, NOT_YET], ev.Retired(LATE, PROOF, "401"), can=BY_VALUE
    ),
    "the revocation is refused": Row(
        Revoke(),
        CONDEMNED,
        [*BEGINS, REFUSED, ALIVE],
        faulted("revoke", "its revocation is refused: unsupported_token_type", 15.0, **AGAIN),
        can=BY_VALUE,
    ),
    "the revocation is refused after others that got no answer": Row(
        Revoke(),
        replace(CONDEMNED, failures=99),
        [*BEGINS, REFUSED, ALIVE],
        faulted("revoke", "its revocation is refused: unsupported_token_type", 15.0, **AGAIN),
        can=BY_VALUE,
    ),
    "the revocation is refused again": Row(
        Revoke(),
        replace(LAST, in_vain=2),
        [*BEGINS, REFUSED, ALIVE],
        faulted("revoke", "its revocation is refused: unsupported_token_type", 60.0, **AGAIN),
        can=BY_VALUE,
    ),
    "the revocation is refused again and again": Row(
        Revoke(),
        LAST,
        [*BEGINS, REFUSED, ALIVE],
        ev.LeftToExpire(LATE, END, "its revocation is refused: unsupported_token_type"),
        can=BY_VALUE,
    ),
    "the revocation is refused, as it is dead": Row(
        Revoke(),
        CONDEMNED,
        [*BEGINS, REFUSED, DEAD, PROVEN],
        ev.Retired(LATE, "t1.1 is dead, its value is refused; it was dead already; proven"),
        can=BY_VALUE,
    ),
    "the answer to the revocation is lost": Row(
        Revoke(), CONDEMNED, [*BEGINS, (RevokeToken, Transient("lost"))], faulted("revoke", "lost"), can=BY_VALUE
    ),
    "the server says 200 and does nothing": Row(
        Revoke(),
        LAST,
        [*BEGINS, REVOKED, ALIVE],
        ev.LeftToExpire(LATE, END, "it is still accepted after its revocation"),
        can=BY_VALUE,
    ),
    "the server says 200 and does nothing yet": Row(
        Revoke(),
        replace(LAST, in_vain=0),
        [*BEGINS, REVOKED, ALIVE],
        faulted("revoke", "it is still accepted after its revocation", 15.0, **AGAIN),
        can=BY_VALUE,
    ),
    "nobody says whether it is dead": Row(
        Revoke(),
        LAST,
        [*BEGINS, REVOKED, (ProveDead, None)],
        faulted("revoke", "predecessor t1.1 cannot be proven dead yet", of_target=False),
        can=BY_VALUE,
    ),
    "settings have no revocation any more": Row(
        Revoke(),
        LAST,
        [PUBLISHED_NEW, OURS, (RevokeToken("blog", DATED.token), Refused("by expiry")), SHOWN, ALIVE],
        ev.LeftToExpire(LATE, END, "its revocation is refused: by expiry"),
        can=EXPIRES,
    ),
    "its value is gone from Vault since": Row(
        Revoke(),
        CONDEMNED,
        [PUBLISHED_NEW, (ReadPath, NOTHING)],
        ev.LeftToExpire(LATE, END, "only its value ends it, and that is gone from Vault"),
        can=BY_VALUE,
    ),
    "it was left to its date, which is not over at the target": Row(
        Revoke(),
        record(Phase.SETTLED, predecessor=DATED, current=published(2), ends_at=END),
        [OLD_READ, OURS, REFUSED],
        faulted("revoke", "unsupported_token_type"),
        can=BY_VALUE,
    ),
    "it was left to its date": Row(
        Revoke(),
        record(Phase.SETTLED, predecessor=DATED, current=published(2), ends_at=END),
        [OLD_READ, OURS, (RevokeToken, Outcome.ALREADY), DEAD],
        ev.Retired,
        "t1.1 expired at",
        can=BY_VALUE,
    ),
}

KILLED = (RevokeToken("blog", token(2), NEW), Outcome.DONE)


def left(why: str) -> ev.Burned:
    return ev.Burned(LATE, (), give_up=False, left=f"t2.1 is left to its date and ends by itself ({why})")


MIGHT_END = "its revocation might end the published value with it"
BURNED, LEFT = ev.Burned(LATE, ("t2.1",), give_up=False), ev.Burned(LATE, (), give_up=False)
BURNS = {
    "the candidate is revoked, and dead": Row(
        BURN, REJECTED, [STAGED, KILLED, (ProveDead("blog", token(2), NEW), True)], BURNED, can=BY_VALUE
    ),
    "its value is lost": Row(
        BURN, REJECTED, [GONE], left("only its value ends it, and that is gone from Vault"), can=BY_VALUE
    ),
    "there is no candidate": Row(BURN, record(Phase.REJECTED, candidate=None), [], LEFT, can=BY_VALUE),
    "it is not dead yet": Row(
        BURN, REJECTED, [STAGED, KILLED, ALIVE], faulted("burn", "not proven dead: t2.1", of_target=False), can=BY_VALUE
    ),
    "its revocation is refused": Row(
        BURN,
        REJECTED,
        [STAGED, REFUSED],
        faulted("burn", "not revoked: unsupported_token_type: t2.1", of_target=False),
        can=BY_VALUE,
    ),
    "the server wants to be asked later": Row(
        BURN,
        replace(REJECTED, failures=2),
        [STAGED, (RevokeToken, Transient("429", retry_after=7.0))],
        faulted("burn", "not revoked: 429: t2.1", 7.0, of_target=False),
        can=BY_VALUE,
    ),
    "nothing helps": Row(
        BURN,
        replace(REJECTED, failures=2),
        [STAGED, REFUSED],
        left("not revoked: unsupported_token_type"),
        can=BY_VALUE,
    ),
    "the published value would end with it": Row(
        BURN, replace(REJECTED, ends_together="blog"), [], left(MIGHT_END), can=BY_VALUE
    ),
    "the published value might end with it": Row(
        BURN, REJECTED, [], left(MIGHT_END), can=replace(BY_VALUE, shared_grant=True)
    ),
}

UNSTAGED = [MINTED, NONCE, (WriteSlot, StoreRefused("403"))]
MADE_UNTIL = replace(MADE, token=replace(MADE.token, expires_at=END))
MINTS = {
    "it cannot be staged, and the published value might end with it": Row(
        MINT,
        REQUESTED,
        UNSTAGED,
        ev.MintLost(LATE, "could not be staged: 403"),
        can=replace(BY_VALUE, shared_grant=True),
    ),
    "it cannot be staged, and is revoked while we have it": Row(
        MINT,
        REQUESTED,
        [*UNSTAGED, OURS, KILLED],
        ev.MintLost(LATE, "could not be staged: 403; it was revoked"),
        can=BY_VALUE,
    ),
    "it cannot be staged, and not be revoked either": Row(
        MINT,
        REQUESTED,
        [*UNSTAGED, OURS, (RevokeToken, Transient("503"))],
        ev.MintLost(LATE, "could not be staged: 403; it is expected to end by itself, as it cannot be revoked: 503"),
        can=BY_VALUE,
    ),
    "its slot did not answer for longer than the lease lasts, so another process may have published it": Row(
        MINT,
        REQUESTED,
        [*UNSTAGED, (StillOurs, Transient("too late"))],
        ev.MintLost,
        "as it cannot be revoked: too late",
        can=BY_VALUE,
    ),
    "it cannot be staged, and its date is known": Row(
        MINT,
        REQUESTED,
        [(MintToken, MADE_UNTIL), *UNSTAGED[1:], OURS, (RevokeToken, Refused("401"))],
        ev.MintLost,
        "by itself at 2026-03-01 12:30:00Z, as it cannot be revoked: 401",
        can=BY_VALUE,
    ),
}


@pytest.mark.parametrize("row", rows(CONDEMNS, REVOKES, BURNS, MINTS))
def test_what_it_comes_to(row: Row) -> None:
    play(row)


def test_a_minter_that_is_refused_is_no_refused_revocation() -> None:
    with pytest.raises(MinterRefused):
        play(Row(Revoke(), CONDEMNED, [*BEGINS, (RevokeToken, MinterRefused("401"))], None, can=BY_VALUE))


# what is next

GIVES_WAY = credential(schedule=Every(HOUR, jitter=0), retire=Retirement(MINUTE, gives_way=True))
DUE = NOW + HOUR
FAILING = replace(CONDEMNED, current=published(2), retry_at=NOW + DAY, retry_from=NOW, failures=9)


@pytest.mark.parametrize(
    ("before", "wanted", "now", "step"),
    [
        pytest.param(FAILING, GIVES_WAY, DUE, Condemn(overdue=True), id="whatever it waits for"),
        pytest.param(FAILING, GIVES_WAY, DUE - SECOND, Wait, id="not due yet"),
        pytest.param(FAILING, replace(GIVES_WAY, retire=Retirement(MINUTE)), DUE, Wait, id="it has to be revoked"),
        pytest.param(
            replace(FAILING, predecessor=published(1)),
            GIVES_WAY,
            DUE,
            Wait,
            id="nobody knows its date",
        ),
        pytest.param(replace(FAILING, predecessor=None), GIVES_WAY, DUE, Wait, id="it is dead"),
        pytest.param(
            replace(FAILING, emergency=True, failures=0, retry_at=None), GIVES_WAY, DUE, Revoke, id="it leaked"
        ),
        pytest.param(replace(FAILING, emergency=True), GIVES_WAY, DUE, Condemn(overdue=True), id="it leaked, in vain"),
        pytest.param(
            replace(FAILING, paused=Pause("ada", NOW)), GIVES_WAY, DUE, Wait, id="no rotation begins in a pause"
        ),
    ],
)
def test_the_next_rotation_waits_for_none_that_ends_by_its_date(
    before: Record, wanted: Any, now: Any, step: Any
) -> None:
    found = next_step(wanted, before, now)
    assert found == step if isinstance(step, Condemn) else isinstance(found, step)


def test_where_the_published_value_ended_with_it_a_new_one_is_due_and_none_is_revoked_again() -> None:
    after = advance(CONDEMNED, ev.Retired(NOW, "dead", "401"))
    assert (after.refused_at, after.ends_together, after.predecessor) == (NOW, "blog", None)
    assert isinstance(next_step(GIVES_WAY, after, NOW), Sweep)
    after = advance(after, ev.Swept(NOW, ()))
    due = next_step(GIVES_WAY, after, NOW)
    assert isinstance(due, Request)
    assert due.why is Trigger.REFUSED
    assert advance(after, ev.Retired(NOW, "dead")).ends_together == "blog"  # that stays known


def test_an_emergency_is_not_over_while_what_it_published_is_refused() -> None:
    wanted = ask(NOW - SECOND, emergency=True)
    done = record(Phase.SETTLED, rotation=2, current=published(2))
    assert answer(done, wanted) is RequestAnswer.DONE
    assert answer(replace(done, refused_at=NOW), wanted) is RequestAnswer.OPEN
    assert answer(replace(done, refused_at=NOW), replace(wanted, emergency=False)) is RequestAnswer.DONE


def test_why_it_is_not_revoked_is_told() -> None:
    event = ev.LeftToExpire(NOW, END, "its revocation is refused: 403")
    after = advance(CONDEMNED, event)
    message = describe(CONDEMNED, event, after)
    assert message.severity is EventSeverity.WARNING
    assert message.said.endswith("expected at 2026-03-01 12:30:00Z; it is not revoked: its revocation is refused: 403")
    told = " ".join(explain(credential(), after, NOW, Observed()))
    assert "t1.1 was not revoked: its revocation is refused: 403." in told


def test_an_end_that_took_the_published_value_along_is_an_error_in_words() -> None:
    event = ev.Retired(NOW, "t1.1 is dead", "401")
    message = describe(CONDEMNED, event, advance(CONDEMNED, event))
    assert message.severity is EventSeverity.ERROR
    assert "t1.1 is dead; its end has ended the published value as well, so a new one follows at once" in message.said
