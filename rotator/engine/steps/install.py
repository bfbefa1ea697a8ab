"""Putting a value that was made here on the target: install, the wait for a person, and putting the old one back.

Whether installing ends the value before is the provider's to say; what to do when is decided elsewhere.
"""

from __future__ import annotations

from datetime import datetime

from rotator.engine.consumer_path import objection
from rotator.engine.context import RotationContext, published_value
from rotator.engine.steps.publish import gone, judged, verify
from rotator.ports import (
    Accepted,
    Minted,
    MinterRefused,
    NeedsPerson,
    Provider,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.rotation import events as ev
from rotator.rotation.record import HoldReason, Record, Token
from rotator.rotation.steps import Burn, Install, Poll, Verify


class Unanswered(Transient):
    """The target was told a value, and did not answer: it may heed it yet."""


async def install(context: RotationContext, record: Record, step: Install) -> ev.Event:
    """Tell the target the staged value."""
    staged = await context.unstage(record)
    if staged is None:
        return gone(context)
    provider = context.provider(record.target)
    if not provider.capabilities.overlap:  # from here on consumers are cut off until we publish: may we?
        doc, content = await context.look(record)
        if objected := await objection(context, doc, content):
            return objected
    return await _install(context, provider, staged.minted, record.sent_at)


async def _install(
    context: RotationContext, provider: Provider, minted: Minted, sent_at: datetime | None = None
) -> ev.Event:
    began = context.at
    try:
        token = await _tell(context, provider, minted)
    except MinterRefused:
        raise
    except NeedsPerson as fault:
        return ev.Awaited(context.at, fault.reason)
    except Refused as fault:
        return ev.Rejected(context.at, f"not installed: {fault.reason}")
    limits = context.credential.limits
    if not provider.capabilities.overlap:  # by no clock is there anything to wait for while consumers are cut off
        return ev.Installed(context.at, token, None, began)
    if provider.capabilities.mint_ends_predecessor:  # nor here, and they were cut off when the mint was sent
        return ev.Installed(context.at, token, None, sent_at or began)
    return ev.Installed(context.at, token, context.at + max(limits.settle, limits.spread))


async def _tell(context: RotationContext, provider: Provider, minted: Minted) -> Token:
    """Install while the lease is surely ours: no target fences a late one off. Raises Transient, and what it raises."""
    context.still_ours()
    try:
        return await provider.install(minted)
    except Transient as fault:
        raise Unanswered(fault.reason, retry_after=fault.retry_after) from None


def unsettled(context: RotationContext, record: Record) -> ev.Faulted | None:
    """What was told without an answer would undo what is done next: while it may land, an attempt is not over."""
    left = record.landing(context.credential.limits.settle, context.shared)
    if left is None:
        return None
    return context.faulted("burn", _MAY_LAND, left.total_seconds(), of_target=False)


async def poll(context: RotationContext, record: Record, step: Poll) -> ev.Event:
    """See whether the person has done it, or whether settings now let us do it ourselves."""
    provider = context.provider(record.target)
    if record.candidate is None:
        ours = context.brings or provider.capabilities.needs_install
        return ev.NotMinted(context.at, resend=True) if ours else _remind(context, record)
    proven = await verify(context, record, Verify())
    if not isinstance(proven, ev.Rejected) or _over(context, record.candidate.token):
        return proven  # what has expired meanwhile will not be accepted any more, whatever a person does
    tried = await install(context, record, Install())
    if not isinstance(tried, ev.Awaited):
        return tried
    return _remind(context, record) if step.remind else _again(context, proven.reason)


def _again(context: RotationContext, reason: str) -> ev.Polled:
    return ev.Polled(context.at, context.now + context.credential.limits.poll, reason)


def _remind(context: RotationContext, record: Record) -> ev.Reminded:
    since = f"{record.awaiting_since:%F %T}Z" if record.awaiting_since else "a while ago"
    end = record.current.token.expires_at if record.current else None
    urgency = f"; the published value expires at {end:%F %T}Z" if end else ""
    return ev.Reminded(context.at, f"waits for a person since {since}{urgency}: {record.awaiting}")


async def put_back(context: RotationContext, record: Record, step: Burn) -> ev.Event:
    """After a candidate failed where the target keeps one value only: what is published must be accepted again.

    A target that does not take it back, however often it is told, is told a new value instead.
    """
    current, provider = record.current, context.provider(record.target)
    if current is None or current.target != record.target or not provider.capabilities.needs_install:
        return unsettled(context, record) or ev.Burned(context.at, (), step.give_up)
    if _over(context, current.token):  # nobody would accept it, and only the next value mends that
        return unsettled(context, record) or ev.Burned(context.at, _burned(record), step.give_up)
    secret = await published_value(context, current)
    if secret is None:
        text = f"version {current.version} of {current.place} is gone, so the old value cannot be put back"
        return context.held(HoldReason.FOREIGN_WRITE, f"{text}; only a new one helps")
    verdict = await judged(provider, current.token, secret)
    if isinstance(verdict, Unknown):
        return context.faulted("burn", verdict.reason, verdict.retry_after)
    if not isinstance(verdict, Accepted):
        try:
            verdict = await _tell_again(context, provider, Minted(current.token, secret))
        except NeedsPerson as fault:
            return context.held(HoldReason.PERSON, fault.reason)
    said = "" if isinstance(verdict, Accepted) else f"the old value is not accepted again: {verdict.reason}"
    if isinstance(verdict, Unknown):
        return context.faulted("burn", said, verdict.retry_after)
    if said and record.failures < _TRIES - 1:
        return context.faulted("burn", said, of_target=False)
    return unsettled(context, record) or ev.Burned(context.at, _burned(record), step.give_up, lost=said)


_MAY_LAND = "what the target was told without an answer may land yet"
_TRIES = 5  # to put the old value back: by their pauses longer than a target usually takes to settle


async def _tell_again(context: RotationContext, provider: Provider, old: Minted) -> Verdict:
    """A target may remember what it had before, and take nothing twice."""
    try:
        await _tell(context, provider, old)
    except (MinterRefused, NeedsPerson):
        raise
    except Refused as fault:
        return Rejected(fault.reason)
    return await judged(provider, old.token, old.secret)


def _over(context: RotationContext, token: Token) -> bool:
    return token.expires_at is not None and token.expires_at <= context.now


def _burned(record: Record) -> tuple[str, ...]:
    return (record.candidate.token.id,) if record.candidate else ()
