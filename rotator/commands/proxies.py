"""Try every proxy in the settings, for `rotate check`: connect through it, and send no request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from urllib.parse import urlsplit

from rotator.app.factories import local_secret
from rotator.host.proxy import Proxy, ProxyFault
from rotator.observe.hooks.delivery import whereabouts
from rotator.ports import Fault
from rotator.providers.http.transport import Fetch, ProxyRoute
from rotator.rotation.secret import Secret, SecretRef
from rotator.settings import Hook, Ping, Settings
from rotator.vault.preflight import Finding, FindingLevel


async def of_vault(settings: Settings) -> AsyncGenerator[Finding]:
    """The proxies for Vault and traces, whose passwords are not in Vault."""
    vault, tracing = settings.vault, settings.tracing
    if vault.proxy:
        yield await _tried("vault", vault.proxy, vault.address, _local, FindingLevel.REFUSAL)
    if tracing and tracing.proxy:
        yield await _tried("tracing", tracing.proxy, tracing.endpoint, _local, FindingLevel.WARNING)


async def of_others(settings: Settings, fetch: Fetch) -> AsyncGenerator[Finding]:
    """The proxies of targets, hooks and the ping. `fetch` gets their passwords."""
    for target in settings.targets.values():
        if target.config.proxy:
            yield await _tried(
                f"target {target.name}", target.config.proxy, target.config.url, fetch, FindingLevel.REFUSAL
            )
    for subject, called in _called(settings):
        if called.proxy is None:
            continue
        try:
            url = await whereabouts(called, fetch)
        except Fault:
            continue  # the check of the hook reports it
        yield await _tried(subject, called.proxy, url, fetch, FindingLevel.WARNING)


def _called(settings: Settings) -> Iterator[tuple[str, Hook | Ping]]:
    yield from ((f"hook {hook.name}", hook) for hook in settings.hooks.values())
    if settings.ping:
        yield "ping", settings.ping


async def _local(ref: SecretRef) -> Secret:
    return local_secret(ref)


async def _tried(subject: str, proxy: Proxy, url: str, fetch: Fetch, grave: FindingLevel) -> Finding:
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
