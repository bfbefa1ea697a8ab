"""What one visit works with: the edges, the credential, the values in hand. What to do is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.ports import Clock, Document, Installation, Minted, Provider, SecretStore, TargetNotConfigured, Transient
from rotator.rotation import events as ev
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.holds import lifted
from rotator.rotation.ownership import ConsumerContent, classify_content, published_here
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_handle import unfit
from rotator.rotation.token_ownership import TokenOwners

_AGREE = timedelta(seconds=2)  # clocks this close are the same: the Date header counts whole seconds


async def _nobody() -> TokenOwners:
    return TokenOwners({}, {}, (), "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The world, as far as one credential is concerned."""

    store: SecretStore
    provider: Provider  # of the target that settings name now
    clock: Clock
    installation: Installation
    slot: VaultPath  # the credential's staged slot
    nonce: Callable[[], str]  # fresh randomness, for documents that must be told apart
    elsewhere: Callable[[str], Provider | None] = lambda target: None  # of another target, if settings still have it
    owners: Callable[[], Awaitable[TokenOwners]] = _nobody  # by all records and configured paths, read at that moment


@dataclass(frozen=True, slots=True)
class StagedValue:
    """A candidate as it stands in the staged slot."""

    token: Token
    secret: Secret
    fields: dict[str, str | Secret]
    private: dict[str, Secret]
    version: int

    @property
    def minted(self) -> Minted:
        """As it came from the mint."""
        return Minted(self.token, self.secret, self.fields, self.private)


@dataclass(slots=True)
class SuppliedValue:
    """A value that a person has brought, and when they say that it ends; it is used once."""

    value: Secret
    expires_at: datetime | None = None
    taken: bool = False

    def take(self) -> Secret:
        """The value, for the one use."""
        self.taken = True
        return self.value


@dataclass(slots=True)
class RotationContext:
    """One visit's working memory. Dropped with the visit; a crash loses nothing that matters."""

    dependencies: Dependencies
    credential: Credential
    told: datetime | None = None  # Vault's clock when the visit began, when it told
    begun: float = 0.0  # our monotonic clock at that moment: a wall clock may jump in the middle of a visit
    lapses: float = math.inf  # our monotonic time until which the lease covers what leaves
    staged: StagedValue | None = None
    consumer: Document | None = None
    supplied: SuppliedValue | None = None  # for the next mint
    begun_here: tuple[int, int] = (0, 0)  # rotation and attempt that this visit has begun: nobody minted for it before

    @property
    def brings(self) -> bool:
        """Whether a person has brought a value that was not used yet."""
        return self.supplied is not None and not self.supplied.taken

    @property
    def at(self) -> datetime:
        """The later of our clock and Vault's: what events are stamped with."""
        return max(self.dependencies.clock.now(), self.shared)

    @property
    def now(self) -> datetime:
        """The earlier of the two. Decisions use it: nothing is over before both clocks say so."""
        return min(self.dependencies.clock.now(), self.shared)

    @property
    def shared(self) -> datetime:
        """Vault's clock, which all hosts have in common; ours where it does not tell, or agrees."""
        clock = self.dependencies.clock
        ours = clock.now()
        if self.told is None:
            return ours
        theirs = self.told + timedelta(seconds=clock.monotonic() - self.begun)
        return theirs if abs(theirs - ours) > _AGREE else ours

    def on_our_clock(self, when: datetime) -> datetime:
        """A time that was decided by `now`, as our own wall clock will show it."""
        return when + (self.dependencies.clock.now() - self.now)

    def still_ours(self) -> None:
        """Raises Transient when the lease may have passed to others: what they did since must not be undone."""
        if self.dependencies.clock.monotonic() > self.lapses:
            raise Transient("what came before took longer than the lease allows: the target or Vault is slow")

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

    def provider(self, target: str) -> Provider:
        """The provider of the target where a token lives: settings may name another one by now. Raises
        TargetNotConfigured.
        """
        found = self.dependencies.provider if target == self.credential.target else self.dependencies.elsewhere(target)
        if found is None:
            raise TargetNotConfigured(f"a token lives on target {target!r}, which the settings no longer have")
        return found

    def fingerprint(self, secret: Secret) -> str:
        """The keyed fingerprint of a value."""
        return secret.fingerprint(self.dependencies.installation.fingerprint_key)

    async def look(self, record: Record, *, again: bool = True) -> tuple[Document, ConsumerContent]:
        """The consumer document and what it is to us; `again=False` is content with what this visit has seen."""
        place = record.place or self.credential.place
        if again or self.consumer is None:
            self.consumer = await self.dependencies.store.read(place, strong=True)
        doc = self.consumer
        secret = self.value(doc, record)
        mark = self.fingerprint(secret) if secret else None
        return doc, classify_content(record, mark, exists=doc.version > 0, deleted=doc.deleted)

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

    async def unstage(self, record: Record) -> StagedValue | None:
        """The candidate read back from the staged slot; None when the slot holds something else."""
        candidate = record.candidate
        if candidate is None:
            return None
        if record.undo:
            return await _put_aside(self, record)
        if self.staged is None or self.staged.token.id != candidate.token.id:
            self.staged = read_staged(await self.dependencies.store.read(self.dependencies.slot, strong=True))
        staged = self.staged
        if staged is None or self.fingerprint(staged.secret) != candidate.fingerprint:
            return None
        return replace(staged, token=candidate.token)


async def published_value(context: RotationContext, published: PublishedValue, *, strong: bool = True) -> Secret | None:
    """What was published, from its own version of the document, if Vault still has it: a lagging standby may not."""
    found = await _as_published(context, published, strong=strong)
    return found[1] if found else None


async def _as_published(
    context: RotationContext, published: PublishedValue, *, strong: bool
) -> tuple[Document, Secret] | None:
    """The very version that was published, and its value; None when Vault has it no more, or holds another."""
    doc = await context.dependencies.store.read(published.place, version=published.version, strong=strong)
    secret = doc.secret(published.key or context.credential.key)
    return (doc, secret) if secret and context.fingerprint(secret) == published.fingerprint else None


async def _put_aside(context: RotationContext, record: Record) -> StagedValue | None:
    """The value that an undo goes back to: its own version of the consumer document is the staged slot."""
    old = record.predecessor
    found = await _as_published(context, old, strong=True) if old else None
    if old is None or found is None:
        return None
    doc, secret = found
    return StagedValue(old.token, secret, _beside(old, doc), {}, old.version)


def _beside(old: PublishedValue, doc: Document) -> dict[str, str | Secret]:
    """A public text that were held as a secret would be blotted out of every log."""
    found = {key: doc.text(key) if key in old.public else doc.secret(key) for key in old.beside}
    return {key: value for key, value in found.items() if value}


_TIMES = ("issued_at", "expires_at")


def write_staged(minted: Minted, nonce: str) -> dict[str, object]:
    """The staged document: all values text, as KV hands numbers back changed."""
    token = minted.token
    times = {key: stamp.isoformat() for key in _TIMES if (stamp := getattr(token, key)) is not None}
    plain = {key: text for key, text in minted.fields.items() if isinstance(text, str)}
    return {
        "schema": "1",
        "nonce": nonce,
        "token": {"id": token.id, "name": token.name, "serial": token.serial, **times},
        "fields": plain,
        "secrets": {key: text for key, text in minted.fields.items() if key not in plain},
        "private": dict(minted.private),
        "value": minted.secret,
    }


def read_staged(doc: Document) -> StagedValue | None:
    """The candidate in a staged document; None when there is none that we can read."""
    secret, handle = doc.secret("value"), (doc.values or {}).get("token")
    if secret is None or not isinstance(handle, dict) or not handle.get("id"):
        return None
    try:
        times = {key: datetime.fromisoformat(handle[key]) for key in _TIMES if handle.get(key)}
    except (TypeError, ValueError):
        return None
    token = Token(str(handle["id"]), str(handle.get("name", "")), str(handle.get("serial", "")), **times)
    if unfit(token):
        return None
    fields: dict[str, str | Secret] = {**_texts(doc, "fields"), **_secrets(doc, "secrets")}
    return StagedValue(token, secret, fields, _secrets(doc, "private"), doc.version)


def _texts(doc: Document, key: str) -> dict[str, str]:
    found = (doc.values or {}).get(key)
    return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}


def _secrets(doc: Document, key: str) -> dict[str, Secret]:
    return {name: Secret(text) for name, text in _texts(doc, key).items() if text}
