"""Values shown to their targets: published ones, without effects; for `rotate check` also a disposable one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import token_hex

import anyio

from rotator.app.composition import READ_ONLY, Actor
from rotator.app.secret_resolver import by_hand
from rotator.commands.remedies import CLIENT, RIGHTS, remedy_for
from rotator.engine.circuit_breakers import proof
from rotator.engine.probe import at_rest
from rotator.ports import (
    Accepted,
    CannotPresent,
    Fault,
    Minted,
    NeedsPerson,
    Provider,
    Rejected,
    SupportsDiagnose,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers import kind_of
from rotator.rotation import adoption
from rotator.rotation.credential import Credential
from rotator.rotation.lost_value import WORDS
from rotator.rotation.pause import pause_on, words
from rotator.rotation.record import HoldReason, Phase, PublishedValue, Record, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name, stem
from rotator.rotation.troubles import renewed
from rotator.rotation.wording import mended, when
from rotator.settings import Settings
from rotator.vault.fitness import Finding, FindingLevel

_LIFE = timedelta(minutes=10)  # a disposable token expires soon if nothing else ends it
_Verb = tuple[str, Callable[[], Awaitable[str]]]
_AT_ONCE = 4  # values at once; each target has its rate limit as well


class VerifyResult(StrEnum):
    """The verdict on a published value."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    MISSING = "missing"
    UNKNOWN = "unknown"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One credential and the verdict on its published value. `said`: a sentence for people."""

    credential: str
    answer: VerifyResult
    said: str
    held: bool = False  # held: nothing is done until a person decides
    waits: str = ""  # why a refused value is not replaced by a plain `rotate now`, and what to do
    token: str = ""  # the shown value's token


class ShowValues:
    """Shows published values, after the negative control of each way of proving."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._controls: dict[tuple[str, str], Fault | None] = {}
        self.refusals: dict[str, tuple[PublishedValue, Rejected]] = {}  # of values at rest, which no record knows of

    async def all(self, names: Sequence[str]) -> list[ShownValue]:
        """One answer for each name, in order."""
        found: dict[str, ShownValue] = {}
        places = anyio.CapacityLimiter(_AT_ONCE)

        async def one(name: str) -> None:
            async with places:
                found[name] = await self._one(name)

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(one, name)
        return [found[name] for name in names]

    async def _one(self, name: str) -> ShownValue:
        credential = self._actor.settings.credentials[name]
        try:
            record = (await self._actor.journal.load(name)).record
            if record is None or record.current is None:
                return ShownValue(name, VerifyResult.UNPUBLISHED, "nothing was published yet")
            answer, said = await self._shown(credential, record.current)
            now = self._actor.clock.now()
            if not at_rest(credential, record, now):
                self.refusals.pop(name, None)
        except Fault as fault:
            return ShownValue(name, VerifyResult.UNKNOWN, f"not decided: {fault.reason}")
        held = record.phase is Phase.HELD
        said = f"{said}; held, see `rotate explain {name}`" if held else said
        waits = obstacle(self._actor.settings, credential, record, now) if answer is VerifyResult.REFUSED else ""
        return ShownValue(name, answer, said, held, waits, record.current.token.id)

    async def _shown(self, credential: Credential, current: PublishedValue) -> tuple[VerifyResult, str]:
        actor, what = self._actor, f"{current.token.id}, published at {current.place} at {when(current.at)}"
        doc = await actor.kv.read(current.place, strong=True)
        secret = doc.secret(current.key or credential.key)
        if secret is None or secret.fingerprint(actor.installation.fingerprint_key) != current.fingerprint:
            reason = HoldReason.FOREIGN_WRITE if secret or doc.values else HoldReason.DELETED
            return VerifyResult.MISSING, f"{current.place} {WORDS[reason]}; consumers do not find {current.token.id}"
        await self._control(credential)
        dependencies = actor.dependencies(credential)
        provider = (
            dependencies.provider if current.target == credential.target else dependencies.elsewhere(current.target)
        )
        if provider is None:
            return VerifyResult.UNKNOWN, f"{what}: the settings no longer have its target {current.target}"
        try:
            verdict = await provider.verify(current.token, secret)
        except CannotPresent as fault:
            return VerifyResult.UNKNOWN, f"{what}: it cannot be shown from here: {fault.reason}"
        if isinstance(verdict, Accepted):
            return VerifyResult.ACCEPTED, f"{what}: its target accepts it"
        if isinstance(verdict, Rejected):
            self.refusals[credential.name] = current, verdict
            return VerifyResult.REFUSED, f"{what}: it fails its proof: {verdict.reason}"
        return VerifyResult.UNKNOWN, f"{what}: its target does not say: {verdict.reason}"

    async def _control(self, credential: Credential) -> None:
        """Run the negative control: a probe that accepts a broken secret proves nothing. Raises its fault."""
        way = (credential.target, proof(credential))
        if way not in self._controls:
            try:
                await self._actor.server(credential).control(credential)
            except Transient:
                raise
            except Fault as fault:
                self._controls[way] = fault
            else:
                self._controls[way] = None
        if found := self._controls[way]:
            raise found


def obstacle(settings: Settings, credential: Credential, record: Record, now: datetime) -> str:
    """Why a plain `rotate now` does not replace a refused value, and what does; empty: it does."""
    name, minter = credential.name, settings.targets[credential.target].minter
    if settings.daemon.read_only:
        return READ_ONLY
    if record.held:
        return f"held: {mended(record.held.reason, name, adopts=adoption.offered(credential, record))}"
    if record.phase is Phase.AWAITING:
        return f"a person must act first: {record.awaiting}"
    if pause := pause_on(credential, record, now):
        return f"{words(pause)}: {renewed(credential, record, now)}"
    if record.phase is Phase.PUBLISHED and not record.emergency:
        return f"the predecessor is in grace: {renewed(credential, record, now)}"
    if minter and minter.self_minting:
        return f"it mints its own successor: {by_hand(credential.place, name)}"
    return ""


# --- for `rotate check` -----------------------------------------------------------------------------------------------


class _Stop(Exception):  # noqa: N818 (control flow within this file: what follows needs what failed)
    pass


def untried(actor: Actor, credential: Credential) -> str:
    """Why no disposable value is minted on the target."""
    if actor.settings.daemon.read_only:
        return "[daemon] read_only = true, so nothing is made there"
    if kind_of(credential.kind).needs_management_client:
        return "it would write over a slot that may be in use"
    can = actor.dependencies(credential).provider.capabilities
    if can.needs_install and not can.revokes_by_handle:
        return "minting one would spend the refresh token, and may end what is published"
    if can.needs_install:
        return "it would join what the target takes, beside what is in use, and stay there until caches have passed"
    return ""


async def show_published(actor: Actor, credential: Credential) -> list[Finding]:
    """Show the published value to its target, instead of a disposable one."""
    subject, provider = (
        f"target {credential.target}: published ({credential.name})",
        actor.dependencies(credential).provider,
    )
    secret, found = None, list[Finding]()
    try:
        record = (await actor.journal.load(credential.name)).record
        rests = record is not None and record.phase in (Phase.SETTLED, Phase.PUBLISHED)
        current = record.current if record and rests else None
        secret, before = await _value(actor, credential, current), None
        if current and secret:
            verdict = await provider.verify(current.token, secret)
            found.append(_accepted(subject, verdict, _next(actor, credential, record, current)))
            old = record.predecessor if record and isinstance(verdict, Accepted) else None
            lives = old and old.token.expires_at and old.token.expires_at > actor.clock.now()
            before = await _value(actor, credential, old, of_then=True) if lives else None
        elif record and record.current is None and record.failure:
            text = f"nothing is published yet, and the latest try failed: {record.failure.said}"
            found.append(Finding(FindingLevel.WARNING, subject, text))
        if isinstance(provider, SupportsDiagnose):
            found += [Finding(FindingLevel.WARNING, subject, text) for text in await provider.diagnose(secret, before)]
    except Fault as fault:
        found.append(Finding(FindingLevel.REFUSAL, subject, fault.what, remedy_for(fault, CLIENT)))
    return found


async def _value(
    actor: Actor, credential: Credential, published: PublishedValue | None, *, of_then: bool = False
) -> Secret | None:
    """The published value: from its own version of the document (`of_then`), or as consumers read it now."""
    if published is None:
        return None
    document = await actor.kv.read(published.place, version=published.version if of_then else None)
    return document.secret(published.key or credential.key)


def _next(actor: Actor, credential: Credential, record: Record | None, current: PublishedValue) -> str:
    """What a person does about a published value that is refused."""
    now = actor.clock.now()
    if record is None or not current.token.has_expired(now):
        return CLIENT
    return obstacle(actor.settings, credential, record, now) or f"`rotate now {credential.name}`; does the daemon run?"


def _accepted(subject: str, verdict: Verdict, remedy: str) -> Finding:
    match verdict:
        case Rejected(reason):
            return Finding(FindingLevel.REFUSAL, subject, f"what consumers read is refused: {reason}", remedy)
        case Unknown(reason):
            return Finding(
                FindingLevel.WARNING, subject, f"whether what consumers read is accepted is not told: {reason}"
            )
    return Finding(FindingLevel.OK, subject, "what consumers read is accepted: identity and rights are as wanted")


@dataclass(slots=True)
class Trial:
    """Each verb of a provider once, with a token for ten minutes, where the target lets us choose."""

    actor: Actor
    credential: Credential

    async def run(self) -> AsyncGenerator[Finding]:
        """The finding of each verb. It cleans up in any case."""
        provider = self.actor.dependencies(self.credential).provider
        installation = self.actor.installation
        name = mint_name(stem(installation.prefix, installation.lineage, "check", token_hex(3)), 0, 1)
        minted: Minted | None = None
        rows: list[Finding] = []
        refused = made_by_person = False
        try:
            minted = await provider.mint(name, self.actor.clock.now() + _LIFE)
            until = f"valid until {when(minted.token.expires_at)}" if minted.token.expires_at else "without a date"
            yield self._row("mint", f"a disposable token, {until}")
            for verb, act in self._verbs(provider, name, minted):
                row = await self._try(verb, act)
                refused = refused or (verb == "verify" and row.level is FindingLevel.REFUSAL)
                yield row
            if provider.capabilities.revokes_by_value:
                rows += await self._spared(provider)
        except NeedsPerson as fault:
            made_by_person = True
            rows.append(
                replace(self._row("mint", f"not tried, as a person does it: {fault.reason}"), level=FindingLevel.NOTE)
            )
            rows += await show_published(self.actor, self.credential)
        except Fault as fault:  # of the mint: the verbs' own are findings
            rows.append(self._row("mint", fault.what, fault))
            refused = True
        finally:
            if not made_by_person:
                with anyio.CancelScope(shield=True):
                    rows.append(await self._clean(provider, name, minted))
        for row in rows:
            yield row
        for text in await self._causes(provider) if refused else ():
            yield Finding(
                FindingLevel.WARNING, f"target {self.credential.target}: cause ({self.credential.name})", text
            )

    async def _spared(self, provider: Provider) -> list[Finding]:
        """Whether what is published has outlived the end of the disposable token: servers may end more than one."""
        try:
            record = (await self.actor.journal.load(self.credential.name)).record
            current = record.current if record and record.phase is Phase.SETTLED and not record.refused_at else None
            secret = await _value(self.actor, self.credential, current)
            verdict = await provider.verify(current.token, secret) if current and secret else None
        except Fault as fault:
            return [self._row("others", fault.what, fault)]
        if not isinstance(verdict, Rejected):
            return [self._row("others", "what is published lives on")] if isinstance(verdict, Accepted) else []
        text = f"the end of the disposable token has ended what is published as well: {verdict.reason}"
        return [self._row("others", text, _Stop(text))]

    async def _causes(self, provider: Provider) -> list[str]:
        try:
            return await provider.diagnose(None) if isinstance(provider, SupportsDiagnose) else []
        except Fault:
            return []  # the refusal is a finding already

    async def _try(self, verb: str, act: Callable[[], Awaitable[str]]) -> Finding:
        try:
            return self._row(verb, await act())
        except (_Stop, Fault) as trouble:
            return self._row(verb, _words(trouble), trouble)

    def _verbs(self, provider: Provider, name: str, minted: Minted) -> list[_Verb]:
        token, can = minted.token, provider.capabilities

        async def find() -> str:
            return _must(any(each.id == token.id for each in await provider.find(name)), "found by its name")

        async def verify() -> str:
            verdict = await provider.verify(token, minted.secret)
            match verdict:
                case Accepted():
                    return "accepted: identity and rights are as wanted"
                case Rejected(reason) | Unknown(reason):
                    raise _Stop(reason)

        async def inspect() -> str:
            return _must((await provider.inspect(token)).exists, "its record can be read", "its record cannot be read")

        async def revoke() -> str:
            secret = minted.secret if can.revokes_by_value else None
            return f"revocation: {(await provider.revoke(token, secret)).value}"

        async def is_dead() -> str:
            dead = await provider.is_dead(token, minted.secret if can.old_is_safe_to_present else None)
            return _must(dead is True, "the revoked token is refused", "the revoked token is not proven dead")

        async def restore() -> str:
            return f"restoration: {(await provider.restore(token)).value}"

        verbs: list[_Verb] = [("find", find)] if can.can_list else []
        verbs += [("verify", verify), ("inspect", inspect)]
        verbs += [("revoke", revoke), ("prove dead", is_dead)] if can.can_revoke else []
        return [*verbs, ("restore", restore)] if can.can_restore else verbs

    async def _clean(self, provider: Provider, name: str, minted: Minted | None) -> Finding:
        """Revoke the token; also after a failed mint, whose answer may have been lost."""
        can = provider.capabilities
        if not can.can_revoke or (can.revokes_by_value and minted is None):
            end = f" at {when(minted.token.expires_at)}" if minted and minted.token.expires_at else ""
            made = "it is expected" if minted else "should the target have made a token all the same, it is expected"
            return self._row("clean up", f"nothing to revoke; {made} to end by itself{end}")
        try:
            tokens: tuple[Token, ...] = (minted.token,) if minted else await provider.find(name)
            for token in tokens:
                await provider.revoke(token, minted.secret if minted and can.revokes_by_value else None)
            # The target dates a revocation by its own clock, which may be ahead of ours.
            pruned = await self.actor.server(self.credential).prune(lambda other: other == name, -_LIFE)
        except Fault as fault:
            row = self._row("clean up", f"{fault.reason}; should a token live, it ends by its date")
            return replace(row, level=FindingLevel.WARNING)
        unlisted = pruned or not tokens or can.revokes_by_value
        return self._row("clean up", "nothing is left" if unlisted else "a revoked record is left")

    def _row(self, verb: str, text: str, trouble: Exception | None = None) -> Finding:
        subject = f"target {self.credential.target}: {verb} ({self.credential.name})"
        otherwise = RIGHTS if kind_of(self.credential.kind).needs_minter else CLIENT
        remedy = remedy_for(trouble, otherwise) if trouble else ""
        return Finding(FindingLevel.REFUSAL if trouble else FindingLevel.OK, subject, text, remedy)


def _words(trouble: Exception) -> str:
    return trouble.what if isinstance(trouble, Fault) else str(trouble)


def _must(holds: bool, text: str, otherwise: str = "") -> str:
    if not holds:
        raise _Stop(otherwise or f"not {text}")
    return text
