"""Installing a value that was made here: on the target, by a person, and putting the old value back."""

from __future__ import annotations

from rotator.rotation import events as ev
from rotator.rotation.answers import Accepted, Minted, Rejected, Unknown, Verdict
from rotator.rotation.faults import MinterRefused, NeedsPerson, Refused, Transient
from rotator.rotation.observation import Observation
from rotator.rotation.procedures.calls import InstallValue, Procedure, StillOurs
from rotator.rotation.procedures.consumer_path import look, objection, published_value
from rotator.rotation.procedures.publish import gone, judged, unstage, verify
from rotator.rotation.record import HoldReason, Record, Token
from rotator.rotation.steps import Burn, Install, Poll, Verify
from rotator.rotation.wording import when


class Unanswered(Transient):
    """The target was told a value and did not answer, so the value may still take effect."""


def install(seen: Observation, record: Record, step: Install) -> Procedure[ev.Event]:
    """Tell the target the staged value."""
    staged = yield from unstage(seen, record)
    if staged is None:
        return gone(seen)
    if not seen.capabilities(record.target).overlap:  # installing cuts consumers off: check that we may publish
        doc, content = yield from look(seen, record)
        if objected := (yield from objection(seen, record, doc, content)):
            return objected
    return (yield from _install(seen, record, staged.minted))


def _install(seen: Observation, record: Record, minted: Minted) -> Procedure[ev.Event]:
    began = seen.at
    try:
        token = yield from _tell(record.target, minted)
    except MinterRefused:
        raise
    except NeedsPerson as fault:
        return ev.Awaited(seen.at, fault.reason)
    except Refused as fault:
        return ev.CandidateRejected(seen.at, f"not installed: {fault.reason}")
    limits, can = seen.credential.limits, seen.capabilities(record.target)
    if not can.overlap:  # consumers are cut off, so nothing is waited for
        return ev.Installed(seen.at, token, None, began)
    if can.mint_ends_predecessor:  # the same, but they were cut off when the mint was sent
        return ev.Installed(seen.at, token, None, record.sent_at or began)
    return ev.Installed(seen.at, token, seen.at + max(limits.settle, limits.spread))


def _tell(target: str, minted: Minted) -> Procedure[Token]:
    """Install while the lease is surely ours, as no target refuses a late install. Raises Transient and its faults."""
    yield from StillOurs()
    try:
        return (yield from InstallValue(target, minted))
    except Transient as fault:
        raise Unanswered(fault.reason, retry_after=fault.retry_after) from None


def unsettled(seen: Observation, record: Record) -> ev.Faulted | None:
    """A fault as long as an unanswered install may still take effect and undo what we do next; else None."""
    left = record.landing(seen.credential.limits.settle, seen.shared)
    if left is None:
        return None
    return seen.faulted("burn", _MAY_LAND, left.total_seconds(), of_target=False)


def poll(seen: Observation, record: Record, step: Poll) -> Procedure[ev.Event]:
    """Look whether the person has acted, or whether the settings now let us act ourselves."""
    can = seen.capabilities(record.target)
    if record.candidate is None:
        ours = seen.brings or can.needs_install
        return ev.NotMinted(seen.at, resend=True) if ours else _remind(seen, record)
    proven = yield from verify(seen, record, Verify())
    if not isinstance(proven, ev.CandidateRejected) or record.candidate.token.has_expired(seen.now):
        return proven  # an expired value is never accepted, whatever a person does
    tried = yield from install(seen, record, Install())
    if not isinstance(tried, ev.Awaited):
        return tried
    return _remind(seen, record) if step.remind else _again(seen, proven.reason)


def _again(seen: Observation, reason: str) -> ev.Polled:
    return ev.Polled(seen.at, seen.now + seen.credential.limits.poll, reason, since=seen.now)


def _remind(seen: Observation, record: Record) -> ev.Reminded:
    end = record.current.token.expires_at if record.current else None
    urgency = f"; the published value expires at {end:%F %T}Z" if end else ""
    return ev.Reminded(seen.at, f"waits for a person since {when(record.awaiting_since)}{urgency}: {record.awaiting}")


def put_back(seen: Observation, record: Record, step: Burn) -> Procedure[ev.Event]:
    """After a failed candidate at a target with one value only: make it accept the published value again.

    If the target does not take it back after several tries, the next rotation installs a new value.
    """
    current, can = record.current, seen.capabilities(record.target)
    if current is None or current.target != record.target or not can.needs_install:
        return unsettled(seen, record) or ev.Burned(seen.at, (), step.give_up)
    if current.token.has_expired(seen.now):  # putting it back is useless; the next value helps
        return unsettled(seen, record) or ev.Burned(seen.at, _burned(record), step.give_up)
    secret = yield from published_value(seen, current)
    if secret is None:
        text = f"version {current.version} of {current.place} is gone, so the old value cannot be put back"
        return seen.held(HoldReason.FOREIGN_WRITE, f"{text}; only a new one helps")
    verdict = yield from judged(record.target, current.token, secret)
    if isinstance(verdict, Unknown):
        return seen.faulted("burn", verdict.reason, verdict.retry_after)
    if not isinstance(verdict, Accepted):
        try:
            verdict = yield from _tell_again(record.target, Minted(current.token, secret))
        except NeedsPerson as fault:
            return seen.held(HoldReason.PERSON, fault.reason)
    said = "" if isinstance(verdict, Accepted) else f"the old value is not accepted again: {verdict.reason}"
    if isinstance(verdict, Unknown):
        return seen.faulted("burn", said, verdict.retry_after)
    if said and record.failures < _TRIES - 1:
        return seen.faulted("burn", said, of_target=False)
    return unsettled(seen, record) or ev.Burned(seen.at, _burned(record), step.give_up, lost=said)


_MAY_LAND = "what the target was told without an answer may land yet"
_TRIES = 5  # to put the old value back; with their pauses this is longer than targets take to settle


def _tell_again(target: str, old: Minted) -> Procedure[Verdict]:
    """Install the old value once more. A target that remembers earlier values may refuse it."""
    try:
        yield from _tell(target, old)
    except (MinterRefused, NeedsPerson):
        raise
    except Refused as fault:
        return Rejected(fault.reason)
    return (yield from judged(target, old.token, old.secret))


def _burned(record: Record) -> tuple[str, ...]:
    return (record.candidate.token.id,) if record.candidate else ()
