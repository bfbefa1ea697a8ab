"""Whether Vault is fit to work with: the refusal before any work, whole for a daemon and short for a command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rotator.app.actor import App
from rotator.grants import kept_mounts, referred_rights, transit_rights
from rotator.logs import voice
from rotator.ports import Refused
from rotator.vault.patience import READ_PATIENCE, patiently
from rotator.vault.preflight import Finding, Level, fitness, preflight
from rotator.wiring import longest_need


async def refuse_unfit(app: App) -> None:
    """Raises Refused when Vault would not keep our promises, with every reason."""
    settings = app.settings
    places = [each.place for each in settings.credentials.values()]
    need, rights, kept = longest_need(settings), transit_rights(settings), kept_mounts(settings)
    _refuse(await preflight(app.kv, places, need, rights, kept, referred_rights(settings)))


async def refuse_unfit_for(app: App, names: Iterable[str]) -> None:
    """The short look before a command: mounts and published paths. Raises Refused, Transient."""
    places = [app.settings.credentials[name].place for name in names]
    need, kept = longest_need(app.settings), kept_mounts(app.settings)
    _refuse(await patiently(app.clock, READ_PATIENCE, lambda: fitness(app.kv, places, need, kept)))


def _refuse(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.level is Level.WARNING:
            voice.warn("vault.doubted", subject=finding.subject, said=finding.text, remedy=finding.remedy)
    refused = [each for each in findings if each.level is Level.REFUSAL]
    refusals = [f"{each.subject}: {each.text}" + (f"; {each.remedy}" if each.remedy else "") for each in refused]
    if refusals:
        raise Refused("Vault is not fit: " + " | ".join(refusals))
