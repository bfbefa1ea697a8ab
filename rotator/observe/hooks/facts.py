"""The facts of a transition for a hook: a JSON document and environment variables, without secrets.

They come from the event and the records before and after it, in the words of rotation/messages.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from rotator.engine.reconciler import Transition
from rotator.observe.logs.redaction import redact
from rotator.rotation import events as ev
from rotator.rotation.messages import Message
from rotator.rotation.record import Candidate, PublishedValue
from rotator.settings import HookMoment

_MOMENTS: Mapping[str, HookMoment] = {
    "rotation.requested": HookMoment.REQUESTED,
    "rotation.escalated": HookMoment.REQUESTED,
    "candidate.staged": HookMoment.STAGED,
    "candidate.verified": HookMoment.VERIFIED,
    "value.published": HookMoment.PUBLISHED,
    "predecessor.condemned": HookMoment.CONDEMNED,
    "predecessor.retired": HookMoment.RETIRED,
    "predecessor.left": HookMoment.RETIRED,
    "predecessor.ended": HookMoment.RETIRED,
    "predecessor.unended": HookMoment.AWAITING,
    "rotation.settled": HookMoment.SETTLED,
    "step.faulted": HookMoment.FAULTED,
    "value.disproved": HookMoment.REFUSED,
    "undo.failed": HookMoment.FAILED,
    "person.awaited": HookMoment.AWAITING,
    "person.reminded": HookMoment.AWAITING,
    "credential.held": HookMoment.HELD,
    "credential.released": HookMoment.RELEASED,
}
_NAMES = ("credential", "target", "place", "rotation", "provider_id", "fingerprint")
_STUCK = 5  # faults in a row after which a step counts as failed, once
_LONGEST = 2000  # characters of one text


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts. `id` is the same for every attempt, so that a receiver can ignore duplicates."""

    id: str
    credential: str
    moment: HookMoment
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)  # for the environment of a command


def moments(transition: Transition) -> frozenset[HookMoment]:
    """The moments that a transition means. Failed: given up for now, or a step that faulted repeatedly.

    Awaiting: also a step that faults until a person has acted.
    """
    before, after = transition.before, transition.after
    told = transition.told
    found = {_MOMENTS[told.name]} if told.name in _MOMENTS else set()
    stuck = HookMoment.FAULTED in found and after.failures == _STUCK
    if stuck or after.given_up > before.given_up:
        found.add(HookMoment.FAILED)
    if after.hampered and not before.hampered:
        found.add(HookMoment.AWAITING)
    return frozenset(found)


def gather(transition: Transition, moment: HookMoment) -> Facts:
    """The facts of a transition at this moment."""
    told = transition.told
    about = _about(transition, told, moment)
    at = transition.event.at.astimezone(UTC).isoformat(timespec="milliseconds")
    number = _number(transition, told.name, at)
    document = {"id": number, "type": told.name, "timestamp": at, "data": about}
    names = {
        "ROTATOR_ID": number,
        "ROTATOR_EVENT": moment.value,
        **{f"ROTATOR_{key.upper()}": str(about[key]) for key in _NAMES},
    }
    return Facts(number, transition.credential.name, moment, json.dumps(document).encode(), names)


def _about(transition: Transition, told: Message, moment: HookMoment) -> dict[str, Any]:
    credential, after = transition.credential, transition.after
    token = _token(transition)
    published = token if isinstance(token, PublishedValue) else None
    expires = token.token.expires_at if token else None
    return {
        "event": moment.value,
        "credential": credential.name,
        "target": credential.target,
        "place": str(published.place if published else after.place or credential.place),
        "labels": dict(credential.labels),
        "rotation": after.rotation,
        "attempt": after.attempt,
        "phase": after.phase.value,
        "severity": told.severity.value,
        "said": _plain(told.said),
        "why": after.why.value if after.why else "",
        "asked_by": _plain(after.asked_by),
        "emergency": after.emergency,
        "provider_id": _plain(token.token.id) if token else "",
        "fingerprint": token.fingerprint if token else "",
        "version": published.version if published else None,
        "expires_at": expires.isoformat(timespec="seconds") if expires else None,
        "by": transition.holder,
    }


def _token(transition: Transition) -> Candidate | PublishedValue | None:
    """The token of the transition."""
    if isinstance(event := transition.event, ev.Ended | ev.Reopened):
        return next(each for each in transition.before.older if each.token.id == event.token)
    if transition.told.name.startswith("predecessor."):
        return transition.before.predecessor
    return transition.after.candidate or transition.after.current


def _plain(text: str) -> str:
    """The text without secrets, fit for an environment variable."""
    shown = redact(text[:_LONGEST])
    return "".join(each if each.isprintable() else " " for each in shown)


def _number(transition: Transition, name: str, at: str) -> str:
    after = transition.after
    parts = (after.lineage, transition.credential.name, after.rotation, after.attempt, name, at, transition.holder)
    return "evt_" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
