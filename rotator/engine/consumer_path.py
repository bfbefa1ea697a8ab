"""Looks at what consumers read: whether they find what is published, and whether its target still accepts it."""

from __future__ import annotations

from rotator.engine.context import RotationContext
from rotator.ports import Accepted, Document, Fault, Rejected, Unknown, Verdict
from rotator.rotation import events as ev
from rotator.rotation import lost_value
from rotator.rotation.credential import OnForeign, VaultPath
from rotator.rotation.ownership import ConsumerContent
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Trigger
from rotator.rotation.steps import Request


async def value_until_now(
    context: RotationContext, record: Record, step: Request, doc: Document, content: ConsumerContent
) -> str | ev.Faulted:
    """Whether a good value is renewed or a dead one replaced; an emergency does not wait for the answer.

    It costs one call to the target, the one that the continuous probe makes, too. It is cheap where a value is shown
    to be itself; a target that keeps one value only is about to be told the next one, and is not asked twice.
    A fault: the target wants to be called later, which a mint would not heed.
    """
    current = record.current
    if current is None:
        return ""
    if step.why is Trigger.REFUSED or record.refused_at:
        return "refused"
    secret = doc.secret(current.key or context.credential.key)
    if current.place == context.credential.place and (content is not ConsumerContent.CURRENT or secret is None):
        return "lost"
    if step.emergency or secret is None or content is not ConsumerContent.CURRENT:
        return "unknown"
    try:
        provider = context.provider(current.target)
        if not provider.capabilities.overlap:
            return "unknown"
        verdict = await provider.verify(current.token, secret)
    except Fault as fault:
        verdict = Unknown(fault.reason, fault.retry_after)
    if isinstance(verdict, Unknown) and verdict.retry_after:
        return context.faulted("request", verdict.reason, verdict.retry_after)
    return _SAID[type(verdict)]


_SAID: dict[type[Verdict], str] = {Accepted: "accepted", Rejected: "refused", Unknown: "unknown"}


async def watch(context: RotationContext, record: Record) -> ev.Lost | ev.Returned | None:
    """Look whether consumers find what is published. None: it is as the record says, or nothing is published.

    The cost is one read of one document, by whatever node answers, and no write: what it shows is only believed
    against the record after a strong read.
    """
    current = record.current
    if current is None or record.phase not in lost_value.WATCHED:
        return None
    known = record.lost.reason if record.lost else None
    if (await _look(context, current, strong=False))[1] is known:
        return None
    doc, found = await _look(context, current, strong=True)
    if found is known:
        return None
    if found is None:
        return ev.Returned(context.at, current.place)
    in_grace = record.phase in (Phase.PUBLISHED, Phase.CONDEMNED)
    text = await found_instead(context, doc, found, current.place, in_grace=in_grace)
    return ev.Lost(context.at, found, current.place, text)


async def _look(
    context: RotationContext, current: PublishedValue, *, strong: bool
) -> tuple[Document, HoldReason | None]:
    doc = await context.dependencies.store.read(current.place, strong=strong)
    secret = doc.secret(current.key or context.credential.key)
    if secret is None and (doc.deleted or doc.version == 0):
        return doc, HoldReason.DELETED
    ours = secret is not None and context.fingerprint(secret) == current.fingerprint
    return doc, None if ours else HoldReason.FOREIGN_WRITE


async def objection(context: RotationContext, doc: Document, content: ConsumerContent) -> ev.PutOnHold | None:
    """A foreign or deleted value is not ours to replace, unless settings say so."""
    credential = context.credential
    if credential.on_foreign is OnForeign.OVERWRITE or content not in _OBJECTIONS:
        return None
    reason = _OBJECTIONS[content]
    return context.held(reason, await found_instead(context, doc, reason, credential.place))


async def found_instead(
    context: RotationContext, doc: Document, reason: HoldReason, place: VaultPath, *, in_grace: bool = False
) -> str:
    """What is there instead of our value, whose it is as far as that is known, and what to do."""
    said = await _whose(context, doc) if reason is HoldReason.FOREIGN_WRITE else ""
    return f"{place} {said or f'{lost_value.WORDS[reason]}; {lost_value.remedy(reason, in_grace=in_grace)}'}"


async def _whose(context: RotationContext, doc: Document) -> str:
    """Whose value it is, when another credential's record knows it, and how to go on."""
    name = context.credential.name
    try:
        owners = await context.dependencies.owners()
    except Fault:  # the hold is the same; only its words say less
        return ""
    secret = doc.secret(context.credential.key)
    found = owners.author([context.fingerprint(secret)], besides=name) if secret else None
    if found is None:
        return ""
    author, token, configured = found
    if configured:
        return f"holds a value of the credential {author} ({token.id}), which rotates it; {lost_value.REMEDY}"
    return (
        f"holds the value that the credential {author} published ({token.id}), and the settings name no {author} any "
        f"more: take the value over with `rotate adopt {name}`, or, if it was renamed, give it its name back"
    )


_OBJECTIONS = {ConsumerContent.FOREIGN: HoldReason.FOREIGN_WRITE, ConsumerContent.DELETED: HoldReason.DELETED}
