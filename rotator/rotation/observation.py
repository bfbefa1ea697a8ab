"""What a reconcile has observed so far: the clocks, the consumer document, the staged slot, what settings want."""

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
    """All that a procedure may know beside the record. Its driver renews the times before each answer.

    `capabilities` are those of a target by its name, which may not be the one that settings name now; it raises
    TargetNotConfigured for one that settings no longer have.
    """

    credential: Credential
    installation: Installation
    capabilities: Callable[[str], Capabilities]
    at: datetime  # the later of our clock and Vault's: what events are stamped with
    now: datetime  # the earlier of the two. Decisions use it: nothing is over before both clocks say so
    shared: datetime  # Vault's clock, which all hosts have in common
    told: bool = False  # whether Vault told the time
    brings: bool = False  # whether a person has brought a value that was not used yet
    brought_until: datetime | None = None  # when they say that it ends
    begun_here: tuple[int, int] = (0, 0)  # rotation and attempt that this reconcile has begun: no mint came before
    consumer: Document | None = None  # as it was seen last
    slot: Document | None = None  # the staged slot, the same

    def held(self, reason: HoldReason, text: str, *, emergency: bool = False) -> ev.PutOnHold:
        """The event of a hold; it names the command that lifts it."""
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
    ) -> ev.Faulted:
        """The event of a step that did not get through."""
        return ev.Faulted(
            self.at, step, reason, retry_after, since=self.now, unanswered=unanswered, of_target=of_target
        )

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a value."""
        return secret.fingerprint(self.installation.fingerprint_key)

    def stem(self, record: Record) -> str:
        """What the names of the next rotation begin with."""
        return stem(self.installation.prefix, self.installation.lineage, self.credential.name, record.lineage)

    def content(self, doc: Document, record: Record) -> ConsumerContent:
        """What a document of the consumer path is to us."""
        secret = self.value(doc, record)
        mark = self.fingerprint(secret) if secret else None
        return classify_content(record, mark, exists=doc.version > 0, deleted=doc.deleted)

    def value(self, doc: Document, record: Record) -> Secret | None:
        """What consumers read: under the key that is wanted, or under the one that settings named before.

        Between a publication and its end the latter comes first: what others keep under the wanted key is not in the
        way yet.
        """
        wanted = (record.candidate.key if record.candidate else "") or self.credential.key
        here = published_here(record)
        before = (here.key if here else "") or wanted
        if record.candidate is None and record.phase is not Phase.SETTLED:
            wanted, before = before, wanted
        return doc.secret(wanted) or doc.secret(before)


def number(doc: Document) -> int:
    """The rotation number on the consumer path: a lost journal must not make it go back."""
    text = doc.text("rotation")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
