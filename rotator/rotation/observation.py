"""What a reconcile has observed so far: clocks, consumer document, staged slot, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rotator.rotation import events as ev
from rotator.rotation.answers import Capabilities, Document, Installation
from rotator.rotation.credential import Credential
from rotator.rotation.ownership import ConsumerContent, classify_content, published_here
from rotator.rotation.record import HoldReason, Phase, Record
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import stem
from rotator.rotation.wording import lifted


@dataclass(slots=True)
class Observation:
    """All that a procedure knows besides the record. The driver renews the times before each answer.

    `capabilities` takes the name of a target, which may be an earlier one of this credential. It raises
    TargetNotConfigured if the settings no longer name that target.
    """

    credential: Credential
    installation: Installation
    capabilities: Callable[[str], Capabilities]
    at: datetime  # the later of our clock and Vault's; events are stamped with it
    now: datetime  # the earlier of the two; decisions use it, so that nothing is over before both clocks say so
    shared: datetime  # Vault's clock, which is the same for all hosts
    told: bool = False  # whether Vault told the time
    brings: bool = False  # whether a person supplied a value that is not used yet
    brought_until: datetime | None = None  # when the supplied value expires, by that person's word
    begun_here: tuple[int, int] = (0, 0)  # rotation and attempt that this reconcile began: no mint came before
    consumer: Document | None = None  # as last seen
    slot: Document | None = None  # the staged slot, as last seen

    def held(self, reason: HoldReason, text: str, *, emergency: bool = False) -> ev.PutOnHold:
        """A hold as an event; its text names the command that lifts it."""
        more = lifted(reason, self.credential.name, emergency=emergency)
        return ev.PutOnHold(self.at, reason, text if "`rotate adopt" in text else f"{text}; {more}")

    def faulted(
        self,
        step: str,
        reason: str,
        retry_after: float | None = None,
        *,
        unanswered: datetime | None = None,
        of_target: bool = True,
        in_vain: bool = False,
        person: bool = False,
    ) -> ev.Faulted:
        """A failed step as an event."""
        return ev.Faulted(
            *(self.at, step, reason, retry_after, self.now, unanswered),
            of_target=of_target,
            in_vain=in_vain,
            person=person,
        )

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a value."""
        return secret.fingerprint(self.installation.fingerprint_key)

    def stem(self, record: Record) -> str:
        """The prefix of the mint names of the next rotation."""
        return stem(self.installation.prefix, self.installation.lineage, self.credential.name, record.lineage)

    def content(self, doc: Document, record: Record) -> ConsumerContent:
        """What a document of the consumer path contains, judged by the record."""
        secret = self.value(doc, record)
        mark = self.fingerprint(secret) if secret else None
        return classify_content(record, mark, exists=doc.version > 0, deleted=doc.deleted)

    def value(self, doc: Document, record: Record) -> Secret | None:
        """The value that consumers read: under the configured key, or under the key that was configured before.

        From a change of the key until the next publication the earlier key comes first, because others may keep
        something under the new key until then.
        """
        wanted = (record.candidate.key if record.candidate else "") or self.credential.key
        here = published_here(record)
        before = (here.key if here else "") or wanted
        if record.candidate is None and record.phase is not Phase.SETTLED:
            wanted, before = before, wanted
        return doc.secret(wanted) or doc.secret(before)


def number(doc: Document) -> int:
    """The rotation number on the consumer path. After a lost journal our numbers continue above it."""
    text = doc.text("rotation")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
