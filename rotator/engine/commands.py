"""Commands that change a record at once and under its lease: pause, resume, release, undo, adopt, claim, reap.

Each results in one event, which the reconciler saves and reports like any other, or in a refusal without a change.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.engine.calls import run
from rotator.engine.context import Dependencies, RotationContext
from rotator.engine.reconciler import Reconciler, RecordChange
from rotator.ports import Accepted, Capabilities, Refused, SupportsIdentify, Transient, Unknown
from rotator.rotation import adoption
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential
from rotator.rotation.observation import number
from rotator.rotation.ownership import is_stray
from rotator.rotation.procedures import operators, retire
from rotator.rotation.record import Phase, PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.wording import when


def pause(by: str, reason: str, length: timedelta | None, until: datetime | None = None) -> RecordChange:
    """Pause for `length`, or until `until`, or until a resume."""

    async def word(context: RotationContext, record: Record) -> ev.Event:
        if until and until <= context.at:
            raise Refused(f"{when(until)} is over already")
        return ev.Paused(context.at, by, reason, context.at + length if length else until)

    return word


def resume(by: str) -> RecordChange:
    """End a pause; no event if there is none."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        return ev.Unpaused(context.at, by) if record.paused else None

    return word


def release(by: str) -> RecordChange:
    """Lift a hold; no event if there is none."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        return ev.Released(context.at, by) if record.phase is Phase.HELD else None

    return word


def take_word(by: str) -> RecordChange:
    """Take a person's word that they ended an old value, one at a time; nothing if none waits for that."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        return await run(context, retire.take_word(context.observed(), record, by))

    return word


def undo(by: str, *, emergency: bool) -> RecordChange:
    """Begin an undo; no event if one is under way. `emergency`: the undone value gets no grace."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        return await run(context, operators.undo(context.observed(), record, by, emergency=emergency))

    return word


def claim(by: str, lineage: str) -> RecordChange:
    """Begin a new lineage of mint names, as this Vault is the only one. No event for a credential never rotated."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        return ev.Claimed(context.at, by, lineage) if record.stem or record.current or record.held else None

    return word


def adopt(by: str) -> RecordChange:
    """Take over the value on the consumer path: somebody else's, or that of a renamed credential."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        credential = context.credential
        doc = await context.dependencies.store.read(credential.place, strong=True)
        secret = doc.secret(credential.key)
        if secret is None:
            raise Refused(f"{credential.place} holds nothing under {credential.key!r} that could be adopted")
        mark = context.seen.fingerprint(secret)
        if record.current and record.current.place == credential.place and record.current.fingerprint == mark:
            if record.phase is Phase.HELD:
                raise Refused("what is there is what we published: nothing to adopt, release it")
            return None
        if reason := adoption.objection(record):
            raise Refused(reason)
        token = await _identified(context, record, secret)
        above = max(record.rotation, number(doc))
        current = PublishedValue(
            token=token,
            fingerprint=mark,
            rotation=above,
            version=doc.version,
            at=context.at,
            place=credential.place,
            target=credential.target,
            policy=credential.policy,
            reused=True,
            key=credential.key,
        )
        return ev.Adopted(context.at, by, current, context.seen.stem(record), context.at + credential.retire.after)

    return word


async def _identified(context: RotationContext, record: Record, secret: Secret) -> Token:
    """The token of the value, identified by its target and proven like a candidate. Raises Refused, Transient."""
    provider = context.dependencies.provider
    if not isinstance(provider, SupportsIdentify):
        raise Refused(_silent(context, record, provider.capabilities))
    token = await provider.identify(secret)
    owners = await context.dependencies.owners()
    if reason := adoption.claimed(token, context.seen.stem(record), owners.left_by(token)):
        raise Refused(reason)
    if other := owners.held_by(token, besides=context.credential.name):
        raise Refused(f"{token.id} is {other}'s token: one token cannot be two credentials'")
    verdict = await provider.verify(token, secret)
    if isinstance(verdict, Unknown):
        raise Transient(verdict.reason)
    if not isinstance(verdict, Accepted):
        raise Refused(f"{token.id} is not what settings want: {verdict.reason}")
    return token


def _silent(context: RotationContext, record: Record, can: Capabilities) -> str:
    """Why a value whose token cannot be identified is not adopted (it could never be ended), and what to do instead."""
    release = ", release it" if record.phase is Phase.HELD else ""
    remedy = f'set on_foreign = "overwrite"{release} and let `rotate now` write a new one'
    by_hand = f"then end the old one by hand on target {context.credential.target}, where only you know which it is"
    ended = (
        by_hand if can.overlap and can.can_revoke else "the old one ends by its date" if can.overlap else "it ends this"
    )
    return f"values of kind {context.credential.kind} do not say whose they are, so none is adopted: {remedy}; {ended}"


def disprove(token_id: str, reason: str) -> RecordChange:
    """Note that the target refuses the published value, if it is still published: a rotation is due at once."""

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        current = record.current
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED) or record.refused_at:
            return None
        if current is None or current.token.id != token_id:
            return None
        doc = await context.dependencies.store.read(current.place, strong=True)
        secret = doc.secret(current.key or context.credential.key)
        if secret is None or context.seen.fingerprint(secret) != current.fingerprint:
            return None
        return ev.Disproved(context.at, reason)

    return word


async def reap(
    reconciler: Reconciler, credential: Credential, dependencies: Dependencies, token: Token, by: str = ""
) -> bool:
    """Revoke a token if it is still a stray by its record and no path publishes it. Returns whether it was revoked."""
    ended = False

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        nonlocal ended
        ended = is_stray(record, token) and not (await context.dependencies.owners()).spares(token, context.now)
        return await _reaped(context, token, by) if ended else None

    await reconciler.obey(credential, dependencies, word, effect=True)
    return ended


async def disown(
    reconciler: Reconciler,
    credential: Credential,
    dependencies: Dependencies,
    token: Token,
    by: str,
    *,
    journalled: bool,
) -> bool:
    """Revoke a token of a credential outside the settings, unless a configured path publishes it.

    Returns whether it was revoked. `journalled`: the credential that it was minted for has a record.
    """
    ended = False

    async def word(context: RotationContext, record: Record) -> ev.Event | None:
        nonlocal ended
        ended = not (await context.dependencies.owners()).spares(token, context.now)
        return await _reaped(context, token, by) if ended else None

    if journalled:
        await reconciler.obey(credential, dependencies, word, effect=True)
    else:
        await reconciler.obey_unrecorded(credential, dependencies, word)
    return ended


async def _reaped(context: RotationContext, token: Token, by: str) -> ev.Event:
    await context.dependencies.provider.revoke(token)
    return ev.Reaped(context.at, token.id, by)
