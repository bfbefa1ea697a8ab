"""`rotate check`: every right that the daemon needs, tried with a disposable token that is removed again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex

import anyio

from rotator.app.actor import READ_ONLY, Actor, reading
from rotator.app.factories import connected, longest_need, records_needs
from rotator.app.secret_resolver import VaultSecretResolver
from rotator.app.strays import living_unmanaged
from rotator.app.vault_fitness import located
from rotator.app.vault_policy import kept, kept_places, references, referred_rights, transit_rights
from rotator.commands.proxies import of_others, of_vault
from rotator.engine.guard import proof
from rotator.engine.token_survey import left_behind
from rotator.host.cron import SystemClock
from rotator.observe.hooks.delivery import check_hooks
from rotator.observe.receipts import unfit
from rotator.ports import (
    Accepted,
    Fault,
    Minted,
    MinterRefused,
    NeedsPerson,
    Provider,
    Refused,
    Rejected,
    StoreRefused,
    SupportsDiagnose,
    Transient,
    Unknown,
    UnusableKey,
    Verdict,
)
from rotator.providers import kind_of
from rotator.rotation.credential import Credential
from rotator.rotation.record import Phase, PublishedValue, Token
from rotator.rotation.secret import Secret
from rotator.rotation.token_names import mint_name, stem
from rotator.settings import Audit, Settings
from rotator.settings.files import writable
from rotator.settings.secret_files import exposed
from rotator.vault.kv import Kv
from rotator.vault.preflight import Finding, FindingLevel, preflight
from rotator.vault.session import Session

_RIGHTS = "give the minter and the token the rights they need"
_CLIENT = "compare the credential's settings and the target's with what is registered there"
_LIFE = timedelta(minutes=10)  # a disposable token expires soon if nothing else ends it
_Verb = tuple[str, Callable[[], Awaitable[str]]]


class _Stop(Exception):  # noqa: N818 (control flow within this file: what follows needs what failed)
    pass


async def check(settings: Settings) -> AsyncGenerator[Finding]:
    """Try everything that the daemon will do, and clean up. Close the generator in the task that began it."""
    for ref in references(settings):
        if exposed(ref):
            text = f"{ref} may be read by others than its owner"
            yield Finding(
                FindingLevel.WARNING, "secrets", text, f"chmod 0400 {ref.name}, for the user that rotator runs as"
            )
    for path, text in writable(settings):
        yield Finding(FindingLevel.WARNING, f"file {path}", text, f"chown root {path}; chmod go-w {path}")
    if settings.daemon.read_only:
        yield Finding(FindingLevel.NOTE, "daemon", READ_ONLY, "take read_only out of [daemon] where this is no copy")
    if settings.audit.file:
        yield _receipts(settings.audit)
    async for finding in of_vault(settings):
        yield finding
    async with connected(settings, SystemClock()) as session:  # one login for all: it may be good for a few only
        async for finding in _vault(settings, session):
            yield finding
        try:
            async with reading(settings, session) as app, aclosing(_live(app)) as findings:
                async for finding in findings:
                    yield finding
        except Fault as fault:
            remedy = fault.remedy or "see the findings above, [vault], and the policy that `rotate policy` prints"
            yield Finding(FindingLevel.REFUSAL, "start", f"{fault.what}; the targets were not tried", remedy)


async def _vault(settings: Settings, session: Session) -> AsyncGenerator[Finding]:
    kv, full = Kv(session), settings
    with suppress(Fault):  # the look says which
        full = await located(settings, VaultSecretResolver(kv, session.clock, lambda: settings))
    places, longest = [each.place for each in settings.credentials.values()], longest_need(full)
    lasting, records = kept_places(full), records_needs(full, full.credentials)
    found = await preflight(kv, places, longest, transit_rights(full), lasting, referred_rights(full), records)
    for finding in found:
        yield finding
    yield _login(session)


async def _live(app: Actor) -> AsyncGenerator[Finding]:
    settings = app.settings
    async for finding in of_others(settings, app.fetch):
        yield finding
    async with aclosing(_targets(app)) as findings:
        async for finding in findings:
            yield finding
    for named, mount in (await app.secret_resolver.unnamed_mounts((*references(settings), *kept(settings)))).items():
        text, do = f"Vault serves it by the mount {mount}, which only Vault knows", f'mounts = ["{mount}"]'
        yield Finding(FindingLevel.WARNING, named, text, f"write {do} in [vault], for `rotate policy`")
    async for finding in _left(app):
        yield finding
    async for subject, reason in check_hooks(settings, app.fetch):
        level, said = (FindingLevel.WARNING, reason) if reason else (FindingLevel.OK, "could be called; it was not")
        yield Finding(level, subject, said, "rotations go on, but nobody would be told" if reason else "")


def _receipts(audit: Audit) -> Finding:
    if not (trouble := unfit(audit)):
        return Finding(FindingLevel.OK, "receipts", f"{audit.file} can be written")
    level = FindingLevel.REFUSAL if audit.required else FindingLevel.WARNING
    barred = "nothing would be begun" if audit.required else "what happens would not be written down"
    return Finding(
        level, "receipts", f"{trouble}; {barred}", "run the check as the service's user, or mend [audit] file"
    )


def _login(session: Session) -> Finding:
    end = session.login_end
    if end is None:
        return Finding(FindingLevel.NOTE, "login", "when it ends was not told")
    if end.is_near(session.clock.now()):
        return Finding(
            FindingLevel.WARNING, "login", str(end), "hand over a new one in time: nothing is rotated without it"
        )
    return Finding(FindingLevel.NOTE if end.unknown else FindingLevel.OK, "login", str(end))


async def _left(app: Actor) -> AsyncGenerator[Finding]:
    """Living values of credentials that left the settings."""
    left, unreadable = await left_behind(app.journal, app.settings.credentials)
    known = [(await app.journal.load(name)).record for name in app.settings.credentials] if left else []
    for each in living_unmanaged(app, left, filter(None, known)):
        said = f"left the settings; {each.token} at {each.path} lives on, and nobody rotates it"
        yield Finding(FindingLevel.WARNING, f"credential {each.credential}", said, each.next)
    for name, reason in unreadable.items():
        yield Finding(FindingLevel.WARNING, f"credential {name}", f"left the settings; {reason}")


async def _targets(app: Actor) -> AsyncGenerator[Finding]:
    credentials = app.settings.credentials
    for each in credentials.values():
        for text in kind_of(each.kind).warnings(each, app.settings.targets[each.target].config):
            yield Finding(FindingLevel.WARNING, f"credential {each.name}", text)
    for target in app.settings.targets:
        alike = {proof(each): each for each in credentials.values() if each.target == target}
        if not alike:
            yield Finding(FindingLevel.NOTE, f"target {target}", "no credential uses it; not tried")
            continue
        async with aclosing(_target(app, target, tuple(alike.values()))) as findings:
            async for finding in findings:
                yield finding


async def _target(app: Actor, target: str, credentials: tuple[Credential, ...]) -> AsyncGenerator[Finding]:
    """`credentials`: one of each kind and options, since their probes and rights differ."""
    minted = kind_of(credentials[0].kind).needs_minter
    subject = f"target {target}: {'minter' if minted else 'server'}"
    try:
        for text in await app.server(credentials[0]).audit(credentials):
            yield Finding(
                FindingLevel.WARNING, subject, text, "give the minter only what it hands out" if minted else ""
            )
    except Fault as trouble:
        yield Finding(FindingLevel.REFUSAL, subject, trouble.what, _remedy(trouble, _RIGHTS if minted else _CLIENT))
        return
    for credential in credentials:
        subject = f"target {target}: control ({credential.name})"
        try:
            await app.server(credential).control(credential)
        except Fault as fault:
            yield Finding(
                FindingLevel.REFUSAL, subject, fault.what, _remedy(fault, "mend the probe, or what is in front")
            )
            for finding in await _published(app, credential) if _untried(app, credential) else ():
                yield finding
            continue
        yield Finding(FindingLevel.OK, subject, "a broken secret is refused")
        if why := _untried(app, credential):
            yield Finding(FindingLevel.NOTE, f"target {target}: install ({credential.name})", f"not tried: {why}")
            for finding in await _published(app, credential):
                yield finding
            continue
        async with aclosing(_Trial(app, credential).run()) as findings:
            async for finding in findings:
                yield finding


def _untried(app: Actor, credential: Credential) -> str:
    """Why no disposable value is minted on the target."""
    if app.settings.daemon.read_only:
        return "[daemon] read_only = true, so nothing is made there"
    if kind_of(credential.kind).needs_management_client:
        return "it would write over a slot that may be in use"
    can = app.dependencies(credential).provider.capabilities
    if can.needs_install and not can.can_revoke:
        return "minting one would spend the refresh token, and may end what is published"
    if can.needs_install:
        return "others would read it where it is put, and no target knows it before its cache has passed"
    return ""


async def _published(app: Actor, credential: Credential) -> list[Finding]:
    """Show the published value to its target, instead of a disposable one."""
    subject, provider = (
        f"target {credential.target}: published ({credential.name})",
        app.dependencies(credential).provider,
    )
    secret, found = None, list[Finding]()
    try:
        record = (await app.journal.load(credential.name)).record
        rests = record is not None and record.phase in (Phase.SETTLED, Phase.PUBLISHED)
        current = record.current if record and rests else None
        secret, before = await _value(app, credential, current), None
        if current and secret:
            verdict = await provider.verify(current.token, secret)
            found.append(_shown(subject, verdict))
            old = record.predecessor if record and isinstance(verdict, Accepted) else None
            lives = old and old.token.expires_at and old.token.expires_at > app.clock.now()
            before = await _value(app, credential, old, of_then=True) if lives else None
        elif record and record.current is None and record.failure:
            text = f"nothing is published yet, and the latest try failed: {record.failure.said}"
            found.append(Finding(FindingLevel.WARNING, subject, text))
        if isinstance(provider, SupportsDiagnose):
            found += [Finding(FindingLevel.WARNING, subject, text) for text in await provider.diagnose(secret, before)]
    except Fault as fault:
        found.append(Finding(FindingLevel.REFUSAL, subject, fault.what, _remedy(fault, _CLIENT)))
    return found


async def _value(
    app: Actor, credential: Credential, published: PublishedValue | None, *, of_then: bool = False
) -> Secret | None:
    """The published value: from its own version of the document (`of_then`), or as consumers read it now."""
    if published is None:
        return None
    document = await app.kv.read(published.place, version=published.version if of_then else None)
    return document.secret(published.key or credential.key)


def _shown(subject: str, verdict: Verdict) -> Finding:
    match verdict:
        case Rejected(reason):
            return Finding(FindingLevel.REFUSAL, subject, f"what consumers read is refused: {reason}", _CLIENT)
        case Unknown(reason):
            return Finding(
                FindingLevel.WARNING, subject, f"whether what consumers read is accepted is not told: {reason}"
            )
    return Finding(FindingLevel.OK, subject, "what consumers read is accepted: identity and rights are as wanted")


@dataclass(slots=True)
class _Trial:
    """Each verb of a provider once, with a token that lives for ten minutes at most."""

    app: Actor
    credential: Credential

    async def run(self) -> AsyncGenerator[Finding]:
        """The finding of each verb. It cleans up in any case."""
        provider = self.app.dependencies(self.credential).provider
        installation = self.app.installation
        name = mint_name(stem(installation.prefix, installation.lineage, "check", token_hex(3)), 0, 1)
        minted: Minted | None = None
        rows: list[Finding] = []
        refused = made_by_person = False
        try:
            minted = await provider.mint(name, self.app.clock.now() + _LIFE)
            yield self._row("mint", "a disposable token, valid for ten minutes")
            for verb, act in self._verbs(provider, name, minted):
                row = await self._try(verb, act)
                refused = refused or (verb == "verify" and row.level is FindingLevel.REFUSAL)
                yield row
        except NeedsPerson as fault:
            made_by_person = True
            rows.append(
                replace(self._row("mint", f"not tried, as a person does it: {fault.reason}"), level=FindingLevel.NOTE)
            )
            rows += await _published(self.app, self.credential)
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
            return _must((await provider.inspect(token)).exists, "its record can be read")

        async def revoke() -> str:
            return f"revocation: {(await provider.revoke(token)).value}"

        async def is_dead() -> str:
            secret = minted.secret if can.old_is_safe_to_present else None
            return _must(await provider.is_dead(token, secret) is True, "the revoked token is refused")

        async def restore() -> str:
            return f"restoration: {(await provider.restore(token)).value}"

        verbs: list[_Verb] = [("find", find)] if can.can_list else []
        verbs += [("verify", verify), ("inspect", inspect)]
        verbs += [("revoke", revoke), ("prove dead", is_dead)] if can.can_revoke else []
        return [*verbs, ("restore", restore)] if can.can_restore else verbs

    async def _clean(self, provider: Provider, name: str, minted: Minted | None) -> Finding:
        """Revoke the token; also after a failed mint, whose answer may have been lost."""
        if not provider.capabilities.can_revoke:
            return self._row("clean up", "nobody can revoke it; it is expected to end by itself within ten minutes")
        try:
            tokens: tuple[Token, ...] = (minted.token,) if minted else await provider.find(name)
            for token in tokens:
                await provider.revoke(token)
            # The target dates a revocation by its own clock, which may be ahead of ours.
            pruned = await self.app.server(self.credential).prune(lambda other: other == name, -_LIFE)
        except Fault as fault:
            row = self._row("clean up", f"{fault.reason}; should a token live, it expires in ten minutes")
            return replace(row, level=FindingLevel.WARNING)
        return self._row("clean up", "nothing is left" if pruned or not tokens else "a revoked record is left")

    def _row(self, verb: str, text: str, trouble: Exception | None = None) -> Finding:
        subject = f"target {self.credential.target}: {verb} ({self.credential.name})"
        otherwise = _RIGHTS if kind_of(self.credential.kind).needs_minter else _CLIENT
        remedy = _remedy(trouble, otherwise) if trouble else ""
        return Finding(FindingLevel.REFUSAL if trouble else FindingLevel.OK, subject, text, remedy)


def _words(trouble: Exception) -> str:
    return trouble.what if isinstance(trouble, Fault) else str(trouble)


def _remedy(trouble: Exception, otherwise: str) -> str:
    """What to do about a fault."""
    match trouble:
        case Fault(remedy=remedy) if remedy:
            return remedy
        case MinterRefused():
            return "put a valid secret where the target's `minter` or `management` points, or name another"
        case NeedsPerson():
            return "do that before the next rotation, which would wait for it"
        case StoreRefused():
            return "see what the target and the credential point to in Vault, and our right to read it"
        case Transient():
            return "is the target up, its url right, and the way to it open?"
        case UnusableKey():
            return "compare the credential's `signing_key`, `certificate` and `algorithm`"
        case Refused():
            return otherwise
    return "see the target's own log"


def _must(holds: bool, text: str) -> str:
    if not holds:
        raise _Stop(f"not {text}")
    return text
