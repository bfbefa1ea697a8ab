"""What `rotate check` says of freezes: whom each one covers, and whose value does not outlive it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

from rotator.app.composition import Actor
from rotator.ports import Fault
from rotator.rotation.admission import begins_at
from rotator.rotation.change_calendar import Freeze
from rotator.rotation.credential import Credential
from rotator.rotation.triggers import next_due
from rotator.rotation.wording import counted, when
from rotator.vault.fitness import Finding, FindingLevel

_EARLIER = "rotate now {} before it begins, or leave it: a valid value comes before a calendar"
_ON = "leave it, a valid value comes before a calendar; or rotate now {} --emergency at an hour that suits"


async def check_freezes(actor: Actor) -> AsyncGenerator[Finding]:
    """One finding for each freeze that is not over, and one for each credential whose next rotation begins in it."""
    now = actor.clock.now()
    for freeze in actor.settings.freezes:
        subject, covered = f"freeze {freeze.name}", _covered(actor, freeze)
        if freeze.until <= now:
            yield Finding(FindingLevel.NOTE, subject, f"is over since {when(freeze.until)}", "take it out")
            continue
        if not covered:
            yield Finding(FindingLevel.WARNING, subject, "covers no credential", "mend its labels, or take it out")
            continue
        inside = [(each, at) for each in covered if (at := await _begins(actor, each, freeze, now))]
        said = f"covers {counted(len(covered), 'credential')} from {when(freeze.begins)} until {when(freeze.until)}"
        yield Finding(FindingLevel.OK, subject, f"{said}; of {len(inside)} the next rotation begins in it")
        for credential, at in inside:
            text = f"its value does not outlive the freeze {freeze.name}: its successor begins at {when(at)}, in it"
            do = (_ON if freeze.begins <= now else _EARLIER).format(credential.name)
            yield Finding(FindingLevel.WARNING, f"credential {credential.name}", text, do)


def _covered(actor: Actor, freeze: Freeze) -> list[Credential]:
    return [each for each in actor.settings.credentials.values() if freeze in each.calendar.freezes]


async def _begins(actor: Actor, credential: Credential, freeze: Freeze, now: datetime) -> datetime | None:
    """When its next rotation begins, if that is in the freeze."""
    try:
        record = (await actor.journal.load(credential.name)).record
    except Fault:
        return None  # what cannot be read is another check's finding
    due = next_due(credential, record) if record and record.current else None
    at = begins_at(credential, record, max(due, now)) if record and due else None
    return at if at and freeze.begins <= at < freeze.until else None
