"""The sentences of `rotate explain`: the phase of a credential, what led to it, and what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from rotator.rotation import lost_value, pause, retirement, triggers
from rotator.rotation.adoption import taken_over
from rotator.rotation.credential import Credential
from rotator.rotation.decide import next_step
from rotator.rotation.phases import (
    AwaitingState,
    CondemnedState,
    InstalledState,
    PhaseState,
    PublishedState,
    RejectedState,
    RequestedState,
    SettledState,
    StagedState,
    UndoingState,
    VerifiedState,
)
from rotator.rotation.record import Held, Phase, PublishedValue, Record, Trigger
from rotator.rotation.steps import Hold, Request, Step, Wait
from rotator.rotation.troubles import Observed, before, troubles
from rotator.rotation.wording import when


def stands(record: Record, now: datetime) -> str:
    """One sentence about the phase, true at `now`."""
    said = _STANDS[type(record.state)](record, record.state, now)
    for each in record.left:
        end = f"was expected to end at {when(each.until)}: that is to be proven"
        end = end if each.until <= now else f"is expected to end at {when(each.until)}"
        said = f"{said} {each.value.token.id}, published before, {end}."
    if not record.unended:
        return said
    left = ", ".join(each.value.token.id for each in record.unended)
    return f"{said} Not proven dead yet, for want of a person: {left}."


def _settled(record: Record, state: SettledState, now: datetime) -> str:
    current = record.current
    if current is None:
        tried = f"rotation {record.rotation} was given up" if record.rotation else "nothing was tried yet"
        return f"Settled: nothing was published yet; {tried}."
    word = "adopted" if taken_over(record) else "published"
    said = f"Settled: {current.token.id} is {word}{_but(record, current, now)}, and no rotation is under way"
    return f"{said}; {_older(record, record.predecessor, now)}." if record.predecessor else f"{said}."


def _but(record: Record, current: PublishedValue, now: datetime) -> str:
    """Why the published value does not work; empty if it does."""
    end = current.token.expires_at
    if record.refused_at:
        return f", but it fails its proof at the target since {when(record.refused_at)}"
    if record.lost:
        return f", but consumers do not find it: {record.lost.place} {lost_value.WORDS[record.lost.reason]}"
    return f", but it expired at {when(end)}" if end and end <= now else ""


def _older(record: Record, old: PublishedValue, now: datetime) -> str:
    if record.ends_at is None:
        return f"{old.token.id}, published before, lives on until a new value is published"
    if record.ends_at <= now:
        return f"{old.token.id}, published before, was expected to end at {when(record.ends_at)}: that is to be proven"
    return f"{old.token.id}, published before, is expected to end at {when(record.ends_at)}"


def _undoing(record: Record, state: UndoingState, now: datetime) -> str:
    old = f"{record.predecessor.token.id}, published before," if record.predecessor else "the value before"
    return f"Undoing: {old} is being brought back, to be published again."


def _requested(record: Record, state: RequestedState, now: datetime) -> str:
    attempt = f"Requested: attempt {record.attempt} of rotation {record.rotation}"
    if state.uncertain:
        return f"{attempt} asked for a new value under the name {record.mint_name}; whether it was made is not known."
    return f"{attempt} is to make a new value, under the name {record.mint_name}."


def _awaiting(record: Record, state: AwaitingState, now: datetime) -> str:
    return f"Awaiting: a person has to act since {when(state.awaiting_since)}. What to do: {state.awaiting}"


def _staged(record: Record, state: StagedState, now: datetime) -> str:
    candidate = state.candidate
    if state.undo:
        return f"Staged: {candidate.token.id}, published before, is in hand again; it is not proven yet."
    if candidate.pending:
        return "Staged: a new value was made here and is kept in the private slot; the target was not told of it yet."
    return f"Staged: {candidate.token.id} was made and is kept in the private slot; it is not proven yet."


def _installed(record: Record, state: InstalledState, now: datetime) -> str:
    return f"Installed: the target was told {state.candidate.token.id}; it is not proven yet{_apart(record)}."


def _verified(record: Record, state: VerifiedState, now: datetime) -> str:
    token, place = state.candidate.token.id, record.place
    if state.abandoned:
        fence = f"{place} is rewritten unchanged, so that no delayed write can publish it"
        return f"Verified, then given up: {token} will not be published ({state.abandoned}); {fence}{_apart(record)}."
    over = f"over version {state.expected_version}" if state.expected_version else "as the first version"
    return f"Verified: {token} is proven; it will be published at {place}, {over}{_apart(record)}."


def _apart(record: Record) -> str:
    if not (record.cut_over_at and record.current):
        return ""
    return "; meanwhile consumers hold the value before, which the target refuses"


def _published(record: Record, state: PublishedState, now: datetime) -> str:
    current, old = record.current, record.predecessor
    if current is None:
        return "Published: the record does not say what."
    but = _but(record, current, now)
    word = "Adopted" if taken_over(record) else "Published"
    if old is None:
        return f"{word}: {current.token.id}{but}; no value before it is left to end."
    said = f"{word}: {current.token.id} has replaced {old.token.id}"
    if record.emergency:
        return f"{said}, which ends as soon as the new one is proven again{but.replace(' it ', ' the new one ')}."
    return f"{said}, which {_grace(record, old, now)}{but.replace(' it ', ' the new one ')}."


def _grace(record: Record, old: PublishedValue, now: datetime) -> str:
    end = old.token.expires_at
    if old.refused_at:
        return f"the target refuses since {when(old.refused_at)} and which is still to be proven dead"
    if end and end <= now:
        return f"expired at {when(end)} and is still to be proven dead"
    if record.grace_ends and record.grace_ends <= now:
        return "is past its promised grace and has not ended yet"
    return "is in its grace"


def _condemned(record: Record, state: CondemnedState, now: datetime) -> str:
    if record.predecessor is None:
        return "Condemned, and done: the value before is dead; what the rotation left behind is being tidied up."
    waits = "; an operator has paused that" if pause.on_at(record.paused, now) and not record.emergency else ""
    return f"Condemned: {record.predecessor.token.id}, published before, is being ended and proven dead{waits}."


def _rejected(record: Record, state: RejectedState, now: datetime) -> str:
    back = "; the value before is being put back on the target" if record.cut_over_at and record.current else ""
    attempt = f"attempt {record.attempt} of rotation {record.rotation} failed"
    return f"Rejected: {attempt}; whatever lives under {record.mint_name} is being ended{back}."


def _held(record: Record, state: Held, now: datetime) -> str:
    return f"Held since {when(state.at)} ({state.reason.value}): {state.text}."


_STANDS: dict[type[PhaseState | Held], Callable[[Record, Any, datetime], str]] = {
    SettledState: _settled,
    UndoingState: _undoing,
    RequestedState: _requested,
    AwaitingState: _awaiting,
    StagedState: _staged,
    InstalledState: _installed,
    VerifiedState: _verified,
    PublishedState: _published,
    CondemnedState: _condemned,
    RejectedState: _rejected,
    Held: _held,
}


def explain(
    credential: Credential, record: Record | None, now: datetime, observed: Observed | None = None
) -> Iterator[str]:
    """The sentences, in the order in which they are printed."""
    observed = observed or Observed()
    if observed.broken:
        yield f"Nothing can be done about it now: {observed.broken}."
    if record is None and (observed.unread or observed.broken):
        yield from ([f"Its record was not read yet: {observed.unread}."] if observed.unread else [])
        return
    if observed.stale:
        yield f"Vault cannot be read, so this is what was so {before(observed)}: {observed.stale}."
    known = record if record is not None else Record("")
    yield stands(known, now)
    if known.held:
        yield f"It stopped here: {_uncapped(stands(replace(known, state=known.held.state), now))}"
    yield from _last_published(known, now, observed)
    for each in known.unended:
        waits = f"waits for a person to end it since {when(each.since)}"
        yield f"{each.value.token.id} {waits}: {each.to_do}. Whether they have is looked at every 90 s."
        yield f"Where that cannot be seen, `rotate release {credential.name} --ended` takes your word for it."
    for old in known.left:
        if old.reason:
            again = f", which leaked; `rotate revoke {credential.name}` tries once more" if old.leaked else ""
            yield f"{old.value.token.id} was not revoked: {old.reason}{again}."
    yield from _moved(credential, known)
    yield from _rotation(credential, known)
    if asked := known.asked:
        what = "an emergency: the values that lived then are to die" if asked.emergency else "a rotation"
        yield f"{asked.by} asked for {what}, at {when(asked.at)}; that is not over yet."
    if observed.asked:
        yield f"Asked for and not taken up yet: {observed.asked}."
    if by_hand := pause.pause_on(credential, known, now):
        said = pause.words(by_hand)
        yield f"{said[0].upper()}{said[1:]}."
    yield from _calendar(credential, now)
    if known.failure:
        yield f"Last failure, {when(known.failure.at)}: {known.failure.said}."
    if observed.left_alone:
        yield f"It is left alone for now: {observed.left_alone}."
    if observed.lease:
        yield f"{observed.lease[0].upper()}{observed.lease[1:]}."
    known = replace(known, unended=(), left=())  # said above
    words, until = coming(credential, known, now, observed)
    yield f"Next: {_for_a_person(credential, known, now, observed) or words}."
    due, step = triggers.next_due(credential, known), next_step(credential, known, now)
    told = not isinstance(step, Wait) or until == due
    if due and due > now and known.phase is Phase.SETTLED and not told:
        yield f"By its schedule it is due at {when(due)}."


def _uncapped(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _last_published(record: Record, now: datetime, observed: Observed) -> Iterator[str]:
    """What was published last and whether it works. The record cannot know whether it is still at its path."""
    current = record.current
    if current is None:
        return
    end = current.token.expires_at
    life = (
        "it never expires"
        if end is None
        else f"it expired at {when(end)}"
        if end <= now
        else f"it expires at {when(end)}"
    )
    refused = f"; it fails its proof at the target since {when(record.refused_at)}" if record.refused_at else ""
    there, token = f"{current.place}, version {current.version},", current.token.id
    if taken_over(record):
        yield f"{token}, which somebody else put at {there} was adopted at {when(current.at)}; {life}{refused}."
    else:
        at = f"at {when(current.at)} (rotation {current.rotation})"
        yield f"{token} was published at {there} {at}; {life}{refused}."
    if observed.accepted_at:
        yield f"The target was last seen to accept it at {when(observed.accepted_at)}."
    unproven = observed.unproven_at
    if unproven and current.at <= unproven and not (observed.accepted_at or observed.doubted_at):
        yield f"This process has not shown it to its target since {when(unproven)}: whether it works is not proven yet."
    if observed.doubted_at:
        yield f"Its proof failed at {when(observed.doubted_at)}; it is asked once more before that counts."


def _moved(credential: Credential, record: Record) -> Iterator[str]:
    """After a change of the path: where the value was before, and how long it stays good there."""
    current, before, ended = record.current, record.predecessor, record.retired
    if current is None:
        return
    if current.place != credential.place:
        yield f"Settings name {credential.place} now; until the value is there, {current.place} stays good."
    if before and before.place != current.place:
        there = f"{before.place}, where consumers read before, still holds {before.token.id}"
        since, promised = retirement.grace_from(record, current), record.grace_ends
        until = retirement.earliest(credential.retire, since, emergency=record.emergency, promised=promised)
        good = f"until {when(record.ends_at)}" if record.ends_at else f"until {when(until)} at least"
        yield f"{there}, which stays good {good}."
    elif ended and ended.place != current.place:
        yield f"{ended.place}, where consumers read before, may still hold {ended.token.id}, which is dead: delete it."


def _rotation(credential: Credential, record: Record) -> Iterator[str]:
    if record.undo:
        yield f"{record.undo.by} takes the rotation before back since {when(record.undo.at)}."
    elif record.requested_at and record.why:
        yield f"Rotation {record.rotation} was requested at {when(record.requested_at)} because {_because(record)}."
    if record.in_spite_of:
        yield f"Rotation {record.rotation} began in spite of the calendar: {record.in_spite_of}."
    if record.phase is Phase.PUBLISHED and record.predecessor and record.current and not record.emergency:
        since, promised = retirement.grace_from(record, record.current), record.grace_ends
        until = retirement.earliest(credential.retire, since, emergency=False, promised=promised)
        yield f"The value before may go from {when(until)} on, once the published one is proven again."
    told = record.evidence.startswith(retirement.BY_EXPIRY) if record.ends_at else False
    told = told or any(each.reason == record.evidence for each in record.left)
    if record.evidence and not told and record.phase in (Phase.PUBLISHED, Phase.CONDEMNED, Phase.SETTLED):
        yield f"{'It may not go yet' if record.phase is Phase.PUBLISHED else 'Evidence'}: {record.evidence}."


def _calendar(credential: Credential, now: datetime) -> Iterator[str]:
    """When a rotation may begin, where that is not always."""
    calendar = credential.calendar
    if window := calendar.window:
        opens = "which is open" if window.opened_at(now) else f"which opens at {when(window.next_open(now))}"
        yield f"A rotation may begin in its window {window}, {opens}."
    for freeze in calendar.freezes:
        if now < freeze.until:
            yield f"None may begin in the {freeze}."


def _because(record: Record) -> str:
    if record.why is Trigger.ASKED:
        said = f"{record.asked_by or 'somebody'} asked for it"
        return f"{said}, as an emergency" if record.emergency else said
    hurry = f"; {record.asked_by or 'somebody'} made it an emergency" if record.emergency else ""
    return f"{_WHY.get(record.why, 'of no known reason') if record.why else ''}{hurry}"


_WHY = {
    Trigger.MISSING: "nothing was published",
    Trigger.MOVED: "settings name another path or key",
    Trigger.REFUSED: "the target refused what was published",
    Trigger.LOST: "consumers did not find what was published",
    Trigger.EXPIRING: "what was published came to its end",
    Trigger.POLICY: "settings want other roles, options or another target",
    Trigger.AGED: "it was due by its schedule",
    Trigger.UNDO: "an operator took a rotation back",
}


# --- what comes next ------------------------------------------------------------------------------------------------


def coming(credential: Credential, record: Record, now: datetime, observed: Observed) -> tuple[str, datetime | None]:
    """What comes next in words, and when. The time is None if a person has to act first."""
    step = next_step(credential, record, now)
    until = step.until if isinstance(step, Wait) else now
    rests = isinstance(step, Wait) and record.phase in (Phase.SETTLED, Phase.PUBLISHED)
    if rests and observed.doubted_at and not record.refused_at:
        again = observed.doubted_at + credential.limits.settle
        return "ask the target once more whether it accepts the published value", max(again, now)
    by_hand = pause.pause_on(credential, record, now)
    if rests and by_hand and until and (by_hand.until is None or until < by_hand.until):
        end = f"{when(by_hand.until)}, when the pause ends" if by_hand.until else "it is resumed"
        return f"nothing before {end}", by_hand.until
    return next_words(step), until


def _for_a_person(credential: Credential, record: Record, now: datetime, observed: Observed) -> str:
    """What a person has to do first; empty if no person has to act."""
    step = next_step(credential, record, now)
    if record.phase is Phase.HELD:
        do = troubles(credential, record, now, observed)[0].do
        told = record.held is not None and "`rotate " in record.held.text
        return "nothing, until a person acts" if told else f"nothing, until a person acts: {do}"
    if record.phase is Phase.AWAITING and isinstance(step, Wait):
        what = "look whether that is done" if record.candidate else "remind of it, unless the value is brought before"
        return f"{what}, at {when(step.until)}"
    return ""


def next_words(step: Step) -> str:
    """A step in words."""
    match step:
        case Wait(None, reason):
            return reason
        case Wait(until, reason) if when(until) in reason:
            return f"wait, {reason}"
        case Wait(until, reason):
            return f"wait until {when(until)}: {reason}"
        case Request(reason, detail):
            return f"begin a rotation ({reason.value}): {detail}"
        case Hold(reason, text):
            return f"hold ({reason.value}): {text}"
    return _STEPS[type(step).__name__]


_STEPS = {
    "Escalate": "make the rotation under way an emergency",
    "Mint": "make a new value",
    "Look": "look whether the value that was asked for was made",
    "Install": "tell the target the new value",
    "Poll": "look whether the person has done it",
    "Verify": "prove the new value on the target",
    "Publish": "publish the new value",
    "Fence": "rewrite the consumer path unchanged, so that no delayed write can publish what was given up",
    "Condemn": "prove the published value again, then judge whether the old one may end",
    "Revoke": "end the old value and prove it dead",
    "Reopen": "revoke once more what was left to its date",
    "LookWhetherEnded": "look whether an old value has ended",
    "Burn": "end what the failed attempt left behind",
    "Sweep": "tidy up what the rotation left behind",
    "Restore": "bring the value before back",
}
