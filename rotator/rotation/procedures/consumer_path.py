"""Looks at the consumer path: whether consumers find the published value, and whether its target accepts it."""

from __future__ import annotations

from rotator.rotation import events as ev
from rotator.rotation import lost_value
from rotator.rotation.answers import Accepted, Document, Rejected, Unknown, Verdict
from rotator.rotation.credential import OnForeign, VaultPath
from rotator.rotation.faults import Fault
from rotator.rotation.observation import Observation
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.procedures.calls import Procedure, ReadConsumer, ReadOwners, ReadPath, VerifyValue
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Trigger
from rotator.rotation.secret import Secret
from rotator.rotation.steps import Request


def look(seen: Observation, record: Record, *, again: bool = True) -> Procedure[tuple[Document, ConsumerContent]]:
    """The consumer document and its content. With `again=False` a document that was read before will do."""
    doc = seen.consumer
    if again or doc is None:
        doc = yield from ReadConsumer(record.place or seen.credential.place)
    return doc, seen.content(doc, record)


def published_value(seen: Observation, published: PublishedValue, *, strong: bool = True) -> Procedure[Secret | None]:
    """The published value, read from the version that published it; None if Vault (or a lagging standby) lacks it."""
    found = yield from as_published(seen, published, strong=strong)
    return found[1] if found else None


def as_published(
    seen: Observation, published: PublishedValue, *, strong: bool
) -> Procedure[tuple[Document, Secret] | None]:
    """The version that published the value, and the value; None if Vault no longer has it or has another value."""
    doc = yield from ReadPath(published.place, published.version, strong)
    secret = doc.secret(published.key or seen.credential.key)
    return (doc, secret) if secret and seen.fingerprint(secret) == published.fingerprint else None


def value_until_now(
    seen: Observation, record: Record, step: Request, doc: Document, content: ConsumerContent
) -> Procedure[str | ev.Faulted]:
    """Whether the published value is accepted, refused, unknown or lost; empty: nothing is published.

    This costs one call to the target, the same as the continuous probe's. It is left out in an emergency, and at a
    target without overlap, which is about to be told the next value. Returns Faulted if the target wants a pause.
    """
    current = record.current
    if current is None:
        return ""
    if step.why is Trigger.REFUSED or record.refused_at:
        return "refused"
    secret = doc.secret(current.key or seen.credential.key)
    if current.place == seen.credential.place and (content is not ConsumerContent.CURRENT or secret is None):
        return "lost"
    if step.emergency or secret is None or content is not ConsumerContent.CURRENT:
        return "unknown"
    verdict: Verdict
    try:
        if not seen.capabilities(current.target).overlap:
            return "unknown"
        verdict = yield from VerifyValue(current.target, current.token, secret)
    except Fault as fault:
        verdict = Unknown(fault.reason, fault.retry_after)
    if isinstance(verdict, Unknown) and verdict.retry_after:
        return seen.faulted("request", verdict.reason, verdict.retry_after)
    return _SAID[type(verdict)]


_SAID: dict[type[Verdict], str] = {Accepted: "accepted", Rejected: "refused", Unknown: "unknown"}


def watch(seen: Observation, record: Record) -> Procedure[ev.Lost | ev.Returned | None]:
    """Look whether consumers find the published value. None: the record says so already, or nothing is published.

    It costs one weak read. Only if that contradicts the record, a strong read follows and decides.
    """
    current = record.current
    if current is None or record.phase not in lost_value.WATCHED:
        return None
    known = record.lost.reason if record.lost else None
    doc = yield from ReadPath(current.place, strong=False)
    if _missed(seen, current, doc) is known:
        return None
    doc = yield from ReadPath(current.place)
    found = _missed(seen, current, doc)
    if found is known:
        return None
    if found is None:
        return ev.Returned(seen.at, current.place)
    in_grace = record.phase in (Phase.PUBLISHED, Phase.CONDEMNED)
    adopt = lost_value.adoptable(seen.credential, record)
    text = yield from found_instead(seen, doc, found, current.place, in_grace=in_grace, adopt=adopt)
    return ev.Lost(seen.at, found, current.place, text)


def _missed(seen: Observation, current: PublishedValue, doc: Document) -> HoldReason | None:
    """Why consumers do not find the published value; None: they find it."""
    secret = doc.secret(current.key or seen.credential.key)
    if secret is None and (doc.deleted or doc.version == 0):
        return HoldReason.DELETED
    ours = secret is not None and seen.fingerprint(secret) == current.fingerprint
    return None if ours else HoldReason.FOREIGN_WRITE


def objection(
    seen: Observation, record: Record, doc: Document, content: ConsumerContent
) -> Procedure[ev.PutOnHold | None]:
    """The hold for a foreign or deleted value, which only `on_foreign = "overwrite"` lets us replace; else None."""
    credential = seen.credential
    if credential.on_foreign is OnForeign.OVERWRITE or content not in _OBJECTIONS:
        return None
    reason = _OBJECTIONS[content]
    adopt = lost_value.adoptable(credential, record)
    return seen.held(reason, (yield from found_instead(seen, doc, reason, credential.place, adopt=adopt)))


def found_instead(
    seen: Observation, doc: Document, reason: HoldReason, place: VaultPath, *, in_grace: bool = False, adopt: str = ""
) -> Procedure[str]:
    """What is there instead of our value, its owner if known, and what to do, in words."""
    said = (yield from _whose(seen, doc, adopt)) if reason is HoldReason.FOREIGN_WRITE else ""
    remedy = lost_value.remedy(reason, in_grace=in_grace, adopt=adopt)
    return f"{place} {said or f'{lost_value.WORDS[reason]}; {remedy}'}"


def _whose(seen: Observation, doc: Document, adopt: str) -> Procedure[str]:
    """The owner of the value, if another credential's record knows it, and what to do, in words; else empty."""
    name = seen.credential.name
    try:
        owners = yield from ReadOwners()
    except Fault:  # the hold is the same with fewer words
        return ""
    secret = doc.secret(seen.credential.key)
    found = owners.author([seen.fingerprint(secret)], besides=name) if secret else None
    if found is None:
        return ""
    author, token, configured = found
    if configured:
        theirs = f"holds a value of the credential {author} ({token.id}), which rotates it"
        return f"{theirs}: give each a path of its own, then {lost_value.OURS}"
    theirs = f"holds the value that the credential {author} published ({token.id}), and the settings name no {author}"
    take_over = f"take the value over with `rotate adopt {adopt}`, or, if it was renamed, " if adopt else "if renamed, "
    return f"{theirs} any more: {take_over}give it its name back"


_OBJECTIONS = {ConsumerContent.FOREIGN: HoldReason.FOREIGN_WRITE, ConsumerContent.DELETED: HoldReason.DELETED}
