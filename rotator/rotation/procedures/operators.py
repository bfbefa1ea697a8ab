"""Changes that an operator, a probe or a sweep asks for, at once or by a request that waits in Vault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from rotator.rotation import adoption, left_to_date
from rotator.rotation import events as ev
from rotator.rotation import rotation_request as rules
from rotator.rotation.answers import Accepted, Capabilities, Unknown
from rotator.rotation.credential import Credential
from rotator.rotation.faults import Refused, Transient
from rotator.rotation.observation import Observation, number
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.ownership import is_stray
from rotator.rotation.procedures import retire
from rotator.rotation.procedures.calls import IdentifyValue, Procedure, ReadOwners, ReadPath, RevokeToken, VerifyValue
from rotator.rotation.procedures.consumer_path import look
from rotator.rotation.procedures.restore import impossible
from rotator.rotation.record import Phase, PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.undo import ended
from rotator.rotation.wording import when

RecordChange = Callable[[Observation, Record], Procedure[ev.Event | None]]  # no event: nothing changes


# --- requests -------------------------------------------------------------------------------------------------------


def take_up(seen: Observation, record: Record, request: OperatorRequest) -> Procedure[ev.Event | None]:
    """The event of a request; None: it was taken up before. Raises Transient if Vault or the target does not answer."""
    if rules.find(record, request.id):
        return None
    try:
        return (yield from _event(seen, record, request))
    except Refused as fault:
        return ev.RequestDeclined(seen.at, request, fault.reason)


def _event(seen: Observation, record: Record, request: OperatorRequest) -> Procedure[ev.Event]:
    at, by, taken = seen.at, request.by, ev.RequestTaken(seen.at, request)
    match request.verb:
        case RequestVerb.PAUSE:
            return ev.Paused(at, by, request.reason, request.until, request.id)
        case RequestVerb.RESUME:
            return ev.Unpaused(at, by, request.id) if record.paused else taken
        case RequestVerb.RELEASE:
            return ev.Released(at, by, request.id) if record.phase is Phase.HELD else taken
        case RequestVerb.UNDO:
            begun = yield from begin_undo(seen, record, by, emergency=request.emergency, request=request.id)
            return begun or taken
    objection = rules.objection(seen.credential, record, request, seen.now)
    return ev.RequestDeclined(at, request, objection) if objection else taken


def begin_undo(
    seen: Observation, record: Record, by: str, *, emergency: bool, request: str = ""
) -> Procedure[ev.UndoBegun | None]:
    """Begin an undo; None if one is under way. Raises Refused with the reason against it."""
    if record.undo:
        return None
    if reason := (yield from impossible(seen, record)):
        raise Refused(reason)
    doc, _ = yield from look(seen, record, again=False)
    place, ready_at = seen.credential.place, _quiet_at(seen, record)
    return ev.UndoBegun(seen.at, by, emergency, place, ready_at, number(doc), request=request)


def _quiet_at(seen: Observation, record: Record) -> datetime:
    """From when on no earlier revocation of the value before can still take effect."""
    left = left_to_date.before(record)
    if not ended(record) and left is None:
        return seen.at
    last = seen.at if record.predecessor or left else (record.settled_at or seen.at)
    return last + seen.credential.limits.settle


# --- at once ---------------------------------------------------------------------------------------------------------


def pause(by: str, reason: str, length: timedelta | None, until: datetime | None = None) -> RecordChange:
    """Pause for `length`, or until `until`, or until a resume."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        if until and until <= seen.at:
            raise Refused(f"{when(until)} is over already")
        yield from ()
        return ev.Paused(seen.at, by, reason, seen.at + length if length else until)

    return change


def resume(by: str) -> RecordChange:
    """End a pause; no event if there is none."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        yield from ()
        return ev.Unpaused(seen.at, by) if record.paused else None

    return change


def release(by: str) -> RecordChange:
    """Lift a hold; no event if there is none."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        yield from ()
        return ev.Released(seen.at, by) if record.phase is Phase.HELD else None

    return change


def take_word(by: str) -> RecordChange:
    """Take a person's word that they ended an old value, one at a time; no event if none waits for that."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        return (yield from retire.take_word(seen, record, by))

    return change


def undo(by: str, *, emergency: bool) -> RecordChange:
    """Begin an undo; no event if one is under way. `emergency`: the undone value gets no grace."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        return (yield from begin_undo(seen, record, by, emergency=emergency))

    return change


def claim(by: str, lineage: str) -> RecordChange:
    """Begin a new lineage of mint names, as this Vault is the only one. No event for a credential never rotated."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        yield from ()
        return ev.Claimed(seen.at, by, lineage) if record.stem or record.current or record.held else None

    return change


def adopt(by: str) -> RecordChange:
    """Take over the value on the consumer path: somebody else's, or that of a renamed credential."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        credential = seen.credential
        doc = yield from ReadPath(credential.place)
        secret = doc.secret(credential.key)
        if secret is None:
            raise Refused(f"{credential.place} holds nothing under {credential.key!r} that could be adopted")
        mark, ours = seen.fingerprint(secret), record.current
        if ours and (ours.place, ours.fingerprint) == (credential.place, mark):
            if record.phase is Phase.HELD:
                raise Refused("what is there is what we published: nothing to adopt, release it")
            return None
        if reason := adoption.objection(record):
            raise Refused(reason)
        token = yield from _identified(seen, record, secret)
        current = PublishedValue(
            token=token,
            fingerprint=mark,
            rotation=max(record.rotation, number(doc)),
            version=doc.version,
            at=seen.at,
            place=credential.place,
            target=credential.target,
            policy=credential.policy,
            reused=True,
            key=credential.key,
        )
        return ev.Adopted(seen.at, by, current, seen.stem(record), seen.at + credential.retire.after)

    return change


def _identified(seen: Observation, record: Record, secret: Secret) -> Procedure[Token]:
    """The token of the value, identified by its target and proven like a candidate. Raises Refused, Transient."""
    name, target = seen.credential.name, seen.credential.target
    token = yield from IdentifyValue(target, secret)
    if token is None:
        raise Refused(_silent(seen.credential, record, seen.capabilities(target)))
    owners = yield from ReadOwners()
    if reason := adoption.claimed(token, seen.stem(record), owners.left_by(token)):
        raise Refused(reason)
    if other := owners.held_by(token, besides=name):
        raise Refused(f"{token.id} is {other}'s token: one token cannot be two credentials'")
    verdict = yield from VerifyValue(target, token, secret)
    if isinstance(verdict, Unknown):
        raise Transient(verdict.reason)
    if not isinstance(verdict, Accepted):
        raise Refused(f"{token.id} is not what settings want: {verdict.reason}")
    return token


def _silent(credential: Credential, record: Record, can: Capabilities) -> str:
    """Why a value whose token cannot be identified is not adopted (it could never be ended), and what to do instead."""
    release = ", release it" if record.phase is Phase.HELD else ""
    remedy = f'set on_foreign = "overwrite"{release} and let `rotate now` write a new one'
    if not can.overlap:
        ended = "it ends this"
    elif can.revokes_by_handle:
        ended = f"then end the old one by hand on target {credential.target}, where only you know which it is"
    else:
        ended = "the old one ends by its date"
    return f"values of kind {credential.kind} do not say whose they are, so none is adopted: {remedy}; {ended}"


def disprove(token_id: str, reason: str) -> RecordChange:
    """Note that the target refuses the published value, if it is still published: a rotation is due at once."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        current = record.current
        if record.phase not in (Phase.SETTLED, Phase.PUBLISHED) or record.refused_at:
            return None
        if current is None or current.token.id != token_id:
            return None
        doc = yield from ReadPath(current.place)
        secret = doc.secret(current.key or seen.credential.key)
        if secret is None or seen.fingerprint(secret) != current.fingerprint:
            return None
        return ev.Disproved(seen.at, reason)

    return change


def reap(token: Token, by: str) -> RecordChange:
    """Revoke a token if it is still a stray by its record and no path publishes it."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        return (yield from _ended(seen, token, by)) if is_stray(record, token) else None

    return change


def disown(token: Token, by: str) -> RecordChange:
    """Revoke a token of a credential outside the settings, unless a configured path publishes it."""

    def change(seen: Observation, record: Record) -> Procedure[ev.Event | None]:
        return (yield from _ended(seen, token, by))

    return change


def _ended(seen: Observation, token: Token, by: str) -> Procedure[ev.Reaped | None]:
    if (yield from ReadOwners()).spares(token, seen.now):
        return None
    yield from RevokeToken(seen.credential.target, token)
    return ev.Reaped(seen.at, token.id, by)
