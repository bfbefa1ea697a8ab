"""`rotate check`: the settings, every right in Vault, proxies, targets and hooks, tried before they are needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from urllib.parse import urlsplit

from rotator.app.composition import READ_ONLY, Actor, reading
from rotator.app.factories import connected, local_secret, longest_need, records_needs
from rotator.app.secret_resolver import VaultSecretResolver
from rotator.app.strays import living_unmanaged
from rotator.app.vault_fitness import located
from rotator.app.vault_policy import kept, kept_places, references, referred_rights, shown_to_all, transit_rights
from rotator.commands.freezes import check_freezes
from rotator.commands.remedies import CLIENT, RIGHTS, remedy_for
from rotator.commands.verify import Trial, show_published, untried
from rotator.engine.circuit_breakers import proof
from rotator.engine.strays import left_behind
from rotator.host.cron import SystemClock
from rotator.host.proxy import Proxy, ProxyFault
from rotator.observe.hooks import check_hooks, whereabouts
from rotator.observe.receipts import unfit
from rotator.ports import Fault, MinterRefused, Transient
from rotator.providers import kind_of
from rotator.providers.base import Remark, SupportsPreview
from rotator.providers.http.transport import Fetch, ProxyRoute
from rotator.rotation.credential import Credential
from rotator.rotation.secret import Secret, SecretRef
from rotator.settings import Audit, Hook, Ping, Settings
from rotator.settings.files import writable
from rotator.settings.secret_files import exposed
from rotator.vault.fitness import Finding, FindingLevel
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import Session

_ONLY_ITS_OWN = "give the minter only what it hands out"


async def check(settings: Settings) -> AsyncGenerator[Finding]:
    """Try everything that the daemon will do, and clean up. Close the generator in the task that began it."""
    for ref in references(settings):
        if exposed(ref) and ref not in shown_to_all(settings):
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
    async for finding in _vault_proxies(settings):
        yield finding
    async with connected(settings, SystemClock()) as session:  # one login for all: it may be good for a few only
        async for finding in _vault(settings, session):
            yield finding
        try:
            async with reading(settings, session) as actor, aclosing(_live(actor)) as findings:
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


async def _live(actor: Actor) -> AsyncGenerator[Finding]:
    settings = actor.settings
    async for finding in _proxies(settings, actor.fetch):
        yield finding
    async with aclosing(_targets(actor)) as findings:
        async for finding in findings:
            yield finding
    for named, mount in (await actor.secret_resolver.unnamed_mounts((*references(settings), *kept(settings)))).items():
        text, do = f"Vault serves it by the mount {mount}, which only Vault knows", f'mounts = ["{mount}"]'
        yield Finding(FindingLevel.WARNING, named, text, f"write {do} in [vault], for `rotate policy`")
    async for finding in _left(actor):
        yield finding
    async for finding in check_freezes(actor):
        yield finding
    async for subject, reason in check_hooks(settings, actor.fetch):
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


async def _left(actor: Actor) -> AsyncGenerator[Finding]:
    """Living values of credentials that left the settings."""
    left, unreadable = await left_behind(actor.journal, actor.settings.credentials)
    known = [(await actor.journal.load(name)).record for name in actor.settings.credentials] if left else []
    for each in living_unmanaged(actor, left, filter(None, known)):
        said = f"left the settings; {each.token} at {each.path} lives on, and nobody rotates it"
        yield Finding(FindingLevel.WARNING, f"credential {each.credential}", said, each.next)
    for name, reason in unreadable.items():
        yield Finding(FindingLevel.WARNING, f"credential {name}", f"left the settings; {reason}")


async def _targets(actor: Actor) -> AsyncGenerator[Finding]:
    """Warnings of the kinds, rights of the minters, negative controls, and a disposable token on each target."""
    credentials = actor.settings.credentials
    for each in credentials.values():
        for text in kind_of(each.kind).warnings(each, actor.settings.targets[each.target].config):
            yield Finding(FindingLevel.WARNING, f"credential {each.name}", text)
    for target in actor.settings.targets:
        alike = {proof(each): each for each in credentials.values() if each.target == target}
        if not alike:
            yield Finding(FindingLevel.NOTE, f"target {target}", "no credential uses it; not tried")
            continue
        async with aclosing(_target(actor, target, tuple(alike.values()))) as findings:
            async for finding in findings:
                yield finding


async def _target(actor: Actor, target: str, credentials: tuple[Credential, ...]) -> AsyncGenerator[Finding]:
    """`credentials`: one of each kind and options, since their probes and rights differ."""
    minted = kind_of(credentials[0].kind).needs_minter
    subject = f"target {target}: {'minter' if minted else 'server'}"
    try:
        for each in await actor.server(credentials[0]).audit(credentials):
            remark = each if isinstance(each, Remark) else Remark(each, _ONLY_ITS_OWN if minted else "")
            yield Finding(_level(remark), subject, remark.text, remark.remedy)
    except Fault as trouble:
        yield Finding(FindingLevel.REFUSAL, subject, trouble.what, remedy_for(trouble, RIGHTS if minted else CLIENT))
        return
    for credential in credentials:
        try:
            for finding in await _ahead(actor, credential):
                yield finding
        except Fault as trouble:
            yield Finding(FindingLevel.REFUSAL, subject, trouble.what, remedy_for(trouble, CLIENT))
            return
    for credential in credentials:
        subject = f"target {target}: control ({credential.name})"
        try:
            await actor.server(credential).control(credential)
        except Fault as fault:
            yield Finding(
                FindingLevel.REFUSAL, subject, fault.what, remedy_for(fault, "mend the probe, or what is in front")
            )
            for finding in await show_published(actor, credential) if untried(actor, credential) else ():
                yield finding
            continue
        yield Finding(FindingLevel.OK, subject, "a broken secret is refused")
        if why := untried(actor, credential):
            yield Finding(FindingLevel.NOTE, f"target {target}: install ({credential.name})", f"not tried: {why}")
            for finding in await show_published(actor, credential):
                yield finding
            continue
        async with aclosing(Trial(actor, credential).run()) as findings:
            async for finding in findings:
                yield finding


async def _ahead(actor: Actor, credential: Credential) -> list[Finding]:
    """What the next rotation would find on the target, as far as reading tells. Raises MinterRefused, Transient."""
    server, subject = actor.server(credential), f"target {credential.target}: next rotation ({credential.name})"
    if not isinstance(server, SupportsPreview):
        return []
    try:
        record = (await actor.journal.load(credential.name)).record
        published = (record.current, record.predecessor) if record else ()
        remarks = await server.preview(credential, tuple(each.token for each in published if each))
    except (MinterRefused, Transient):
        raise
    except Fault as fault:  # of the look: whether the rotation would be refused, too, is not known
        return [Finding(FindingLevel.WARNING, subject, f"not looked at: {fault.what}", remedy_for(fault, CLIENT))]
    if remarks == []:
        return [Finding(FindingLevel.OK, subject, "nothing that can be read there stands in its way")]
    return [Finding(_level(each), subject, each.text, each.remedy) for each in remarks or ()]


def _level(remark: Remark) -> FindingLevel:
    if remark.grave:
        return FindingLevel.REFUSAL
    if remark.sound:
        return FindingLevel.OK
    return FindingLevel.NOTE if remark.note else FindingLevel.WARNING


# --- proxies ----------------------------------------------------------------------------------------------------------


async def _vault_proxies(settings: Settings) -> AsyncGenerator[Finding]:
    """The proxies for Vault and traces, whose passwords are not in Vault."""
    vault, tracing = settings.vault, settings.tracing
    if vault.proxy:
        yield await _proxy("vault", vault.proxy, vault.address, _from_file, FindingLevel.REFUSAL)
    if tracing and tracing.proxy:
        yield await _proxy("tracing", tracing.proxy, tracing.endpoint, _from_file, FindingLevel.WARNING)


async def _proxies(settings: Settings, fetch: Fetch) -> AsyncGenerator[Finding]:
    """The proxies of targets, hooks and the ping. `fetch` gets their passwords."""
    for target in settings.targets.values():
        if target.config.proxy:
            yield await _proxy(
                f"target {target.name}", target.config.proxy, target.config.url, fetch, FindingLevel.REFUSAL
            )
    for subject, called in _called(settings):
        if called.proxy is None:
            continue
        try:
            url = await whereabouts(called, fetch)
        except Fault:
            continue  # the check of the hook reports it
        yield await _proxy(subject, called.proxy, url, fetch, FindingLevel.WARNING)


def _called(settings: Settings) -> Iterator[tuple[str, Hook | Ping]]:
    yield from ((f"hook {hook.name}", hook) for hook in settings.hooks.values())
    if settings.ping:
        yield "ping", settings.ping


async def _from_file(ref: SecretRef) -> Secret:
    return local_secret(ref)


async def _proxy(subject: str, proxy: Proxy, url: str, fetch: Fetch, grave: FindingLevel) -> Finding:
    subject, login = f"{subject}: proxy", ", with a login" if proxy.password else ""
    parts = urlsplit(url)
    try:
        await ProxyRoute(proxy, fetch).try_out(parts)
    except ProxyFault as fault:
        return Finding(grave, subject, fault.what, fault.remedy)
    if parts.scheme == "https":
        return Finding(FindingLevel.OK, subject, f"{proxy} opens a tunnel to {parts.hostname}{login}")
    return Finding(
        FindingLevel.OK, subject, f"{proxy} is reached{login}; plain http is forwarded by it, which was not tried"
    )
