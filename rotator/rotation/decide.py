"""`next_step`: what to do next about one credential. Pure: no clock, no chance, no I/O."""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.rotation import left_to_date, lost_value, retirement, triggers
from rotator.rotation.admission import NotNow, by_calendar, in_spite_of, not_now
from rotator.rotation.credential import Credential, Limits, Pause
from rotator.rotation.mint_attempts import may_mint, minted
from rotator.rotation.pause import pause_on, words
from rotator.rotation.phases import (
    AwaitingState,
    InstalledState,
    PhaseState,
    RejectedState,
    RequestedState,
    StagedState,
    UndoingState,
    VerifiedState,
)
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Trigger
from rotator.rotation.rotation_request import RotationRequest, as_rotation_request, dooms, foremost, wanted
from rotator.rotation.steps import (
    Act,
    Burn,
    Condemn,
    Escalate,
    Fence,
    Hold,
    Install,
    Look,
    LookWhetherEnded,
    Mint,
    Poll,
    Publish,
    Reopen,
    Request,
    Restore,
    Revoke,
    Step,
    Sweep,
    Verify,
    Wait,
)
from rotator.rotation.wording import when

_PERSON = timedelta(seconds=90)  # between two looks whether a person has ended what only they can end

_IN_FLIGHT = frozenset(
    {
        *(Phase.UNDOING, Phase.REQUESTED, Phase.AWAITING, Phase.STAGED, Phase.INSTALLED, Phase.VERIFIED),
        *(Phase.PUBLISHED, Phase.REJECTED),
    }
)


def next_step(
    credential: Credential,
    record: Record,
    now: datetime,
    ask: RotationRequest | None = None,
    shared: datetime | None = None,
    rested: timedelta = timedelta(),
) -> Step:
    """The next step. `ask`: a request that a caller of this process waits for; others are in the record. Times are UTC.

    When there is nothing else to do, in any phase, the step looks whether a value has ended that is left to a person
    or to its date.

    `now`: the earlier of our clock and Vault's, so that nothing is ended early. `shared`: Vault's clock; it decides
    what is due, because a late successor does harm and all hosts must agree; None: the same as `now`. `rested`: for how
    long this process has known this very record, by a monotonic clock. By that clock no pause and no interval of a
    schedule lasts longer than its own length, even if the wall clock that began it was ahead.
    """
    step = _next_step(credential, record, now, ask, shared, rested)
    return _look_whether_ended(record, now, rested, step) if isinstance(step, Wait) and record.lasting else step


def _look_whether_ended(record: Record, now: datetime, rested: timedelta, wait: Wait) -> Step:
    """Look at the value whose next look is due first, at most once per `_PERSON` for each value."""
    looks = [(each.looked_at + _PERSON, each.looked_at, each.value.token.id) for each in record.unended]
    looks += [(left_to_date.look_at(each), each.looked_at, each.value.token.id) for each in record.left]
    at, before, token = min(looks)
    if record.phase is Phase.HELD:
        return wait
    if at <= now or rested >= at - before:
        return LookWhetherEnded(token)
    return Wait(min(wait.until or at, at), wait.reason)


def _next_step(
    credential: Credential,
    record: Record,
    now: datetime,
    ask: RotationRequest | None,
    shared: datetime | None,
    rested: timedelta,
) -> Step:
    if record.held:
        return Wait(None, f"held: {record.held.text}")
    here, ask = ask, foremost(ask, as_rotation_request(record.asked) if record.asked else None)
    if record.phase in _IN_FLIGHT and ask and dooms(record, ask) and not record.emergency:
        return Escalate(ask.by)
    if stop := lost_value.stops(credential, record):
        return stop
    if _holds_up(credential, record, now, shared or now, ask):
        return Condemn(overdue=True)
    if record.phase is Phase.SETTLED and (record.slot_full or record.strays) and not _swept_in_vain(record):
        return Sweep(record.strays)  # the leftovers of a given-up attempt are removed before the pause, not after it
    if until := backing_off(record, now, rested):
        return Wait(until, _for_person(record) if record.phase is Phase.AWAITING else _trouble(record))
    if record.phase is Phase.SETTLED:
        return _settled(credential, record, now, ask, shared or now, rested)
    ask = here if record.phase is Phase.AWAITING else ask  # a caller who waits here says that the person has acted
    return _settling(credential.limits, record, now, rested) or _in_flight(
        credential, record, record.reached, now, ask, rested
    )


def _holds_up(
    credential: Credential, record: Record, now: datetime, shared: datetime, ask: RotationRequest | None
) -> bool:
    """Whether the next rotation is due, and waits for a predecessor that ends by its own date as well.

    What leaked is revoked first, if that works at once. Another emergency does not wait for what failed twice.
    """
    old = record.predecessor
    if record.phase not in (Phase.PUBLISHED, Phase.CONDEMNED) or old is None or old.token.expires_at is None:
        return False
    leaked = record.emergency and not record.failures
    if credential.retire.gives_way and record.failures > 1 and ask and ask.emergency and wanted(record, ask):
        return record.phase is Phase.CONDEMNED
    due = triggers.next_due(credential, record) if credential.retire.gives_way and not leaked else None
    clock = _judging(record, now, shared)
    return due is not None and due <= clock and not not_now(credential, record, now, Trigger.AGED, clock)


def _swept_in_vain(record: Record) -> bool:
    """Whether the pause is on because the last sweep failed."""
    return record.failure is not None and record.failure.step == "sweep" and record.retry_at is not None


def backing_off(record: Record, now: datetime, rested: timedelta) -> datetime | None:
    """When the pause after a failure ends; None: there is none. A new request ends it once, see `hurried`."""
    if record.retry_at is None:
        return None
    return _rest(record.retry_from, record.retry_at, now, rested)


def _rest(since: datetime | None, until: datetime, now: datetime, rested: timedelta) -> datetime | None:
    """The end of a pause set from `since` to `until` by one clock; None: it is over. No other clock makes it longer."""
    watched = since is not None and rested >= until - since
    return None if until <= now or watched else until


def _settled(
    credential: Credential,
    record: Record,
    now: datetime,
    ask: RotationRequest | None,
    shared: datetime,
    rested: timedelta,
) -> Step:
    if record.slot_full or record.strays:
        return Sweep(record.strays)
    if (leak := left_to_date.to_reopen(record)) and not wanted(record, ask):
        return Reopen(leak.value.token.id)
    clock = _judging(record, now, shared)
    hit = triggers.due(credential, record, clock, ask) or triggers.watched(credential, record, rested)
    if hit is None:
        return _idle(credential, record, now, ahead=clock - now)
    reason, detail = hit
    asked = ask if wanted(record, ask) else None
    emergency = bool(asked and asked.emergency)
    if (no := not_now(credential, record, now, reason, clock)) and not emergency:
        return _idle(credential, record, now, no)
    limits = credential.limits
    if (left := record.landing(limits.settle, shared)) is not None:
        return Wait(now + left, "a value that the target was told may still be on its way")
    if (count := minted(credential, record, now, emergency=emergency)) >= limits.mints_per_day:
        kind = "mints in emergencies" if emergency else "mints"
        day = f"{limits.day.total_seconds() / 3600:.3g} h"
        last = f"; last: {record.failure.said}" if record.failure else ""
        text = f"{count} {kind} in {day}, {limits.mints_per_day} allowed{last}"
        return Hold(HoldReason.MINT_BUDGET, text, emergency)
    spite = in_spite_of(credential, record, clock, emergency=emergency)
    return Request(reason, detail, asked.by if asked else "", emergency, spite)


def _judging(record: Record, now: datetime, shared: datetime) -> datetime:
    """Vault's clock. `now` instead if by Vault's clock the published value had expired when it was published."""
    current = record.current
    end = current.token.expires_at if current else None
    return now if current and end and end <= current.at else shared


def _idle(
    credential: Credential, record: Record, now: datetime, no: NotNow | None = None, ahead: timedelta = timedelta()
) -> Step:
    due, ends_at = no.until if no else triggers.next_due(credential, record), record.ends_at
    if ends_at is not None and ends_at <= now:
        return Revoke()
    if ends_at is not None and (due is None or ends_at < due - ahead):
        return Wait(ends_at, "the predecessor is expected to end then, by its own date")
    if no:
        return Wait(due, no.reason)
    if due is None:
        return Wait(None, "never due by its schedule")
    if (no := by_calendar(credential, record, due)) and no.until:
        return Wait(no.until - ahead, f"due at {when(due)}, and to begin at {when(no.until)}: {no.reason}")
    return Wait(due - ahead, f"due at {when(due)}")


def _settling(limits: Limits, record: Record, now: datetime, rested: timedelta) -> Wait | None:
    """Wait while an earlier request to the target may still take effect; None: nothing is under way."""
    match record.state:
        case RequestedState(uncertain=True):
            since, until = record.sent_at, (record.sent_at or now) + limits.settle
            text = "a mint may still be on its way"
        case InstalledState(installed_at=since, ready_at=datetime() as until):
            text = "the target may not know of the new value everywhere yet"
        case UndoingState(ready_at=datetime() as until):
            since = until - limits.settle
            text = "a revocation of the value before may still be on its way"
        case _:
            return None
    over = _rest(since, until, now, rested)
    return Wait(over, text) if over else None


def _in_flight(
    credential: Credential,
    record: Record,
    state: PhaseState,
    now: datetime,
    ask: RotationRequest | None,
    rested: timedelta,
) -> Wait | Act:
    match state:
        case UndoingState():
            return Restore()
        case RequestedState():
            return _requested(credential, record, state, now)
        case AwaitingState():
            return _awaiting(credential, record, state, now, ask)
        case StagedState():
            return Install() if state.candidate.pending else Verify()
        case InstalledState():
            return Verify()
        case VerifiedState():
            stale = state.verified_at + credential.limits.proof_life <= now
            expected = state.expected_version
            return Fence(expected) if state.abandoned else Publish(expected, reprove=stale)
        case RejectedState():
            return Burn(record.mint_name, give_up=not may_mint(credential, record, now))
    if record.predecessor is None or record.current is None:
        return Sweep(record.strays)
    return _retirement(credential, record, record.current, now, ask, rested)


def _requested(credential: Credential, record: Record, state: RequestedState, now: datetime) -> Step:
    if not state.uncertain:
        return Mint(record.mint_name)
    return Look(record.mint_name, resend=may_mint(credential, record, now))


def _awaiting(
    credential: Credential, record: Record, state: AwaitingState, now: datetime, ask: RotationRequest | None
) -> Step:
    reminder = state.reminded_at + credential.limits.remind
    if reminder <= now:
        return Poll(remind=True)
    done = ask is not None and state.reminded_at < ask.at  # the caller says so
    return Poll(remind=False) if state.candidate or done else Wait(reminder, _for_person(record))


def _retirement(
    credential: Credential,
    record: Record,
    current: PublishedValue,
    now: datetime,
    ask: RotationRequest | None,
    rested: timedelta,
) -> Step:
    """The end of the predecessor, which the grace and a pause put off, and an emergency does not wait for."""
    condemned, pause = record.phase is Phase.CONDEMNED, pause_on(credential, record, now)
    if record.emergency or (condemned and ask and ask.emergency):
        return Revoke() if condemned else Condemn()
    since, promised = retirement.grace_from(record, current), record.grace_ends
    if pause and (waits := _paused_until(credential, pause, since, now, condemned=condemned)):
        return Wait(waits.until, words(pause))
    if condemned:
        return Revoke()
    earliest = retirement.earliest(credential.retire, since, emergency=False, promised=promised)
    left = _rest(since, earliest, now, rested)
    return Wait(left, "predecessor in grace") if left else Condemn(watched=now < earliest)


def _paused_until(
    credential: Credential, pause: Pause, since: datetime, now: datetime, *, condemned: bool
) -> NotNow | None:
    """Until when a pause keeps the predecessor; None: it does not. A stop keeps it until its deadline at the longest.

    `since`: when the grace began.
    """
    deadline = credential.retire.deadline if pause.stop and not condemned else None
    if deadline is None:
        return NotNow(pause.until, words(pause))
    return NotNow(since + deadline, words(pause)) if now < since + deadline else None


def _for_person(record: Record) -> str:
    return f"waits for a person: {record.awaiting}"


def _trouble(record: Record) -> str:
    return record.failure.said if record.failure else record.evidence or "backing off"
