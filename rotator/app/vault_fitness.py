"""Refuse an unfit Vault before any work, and a credential whose documents Vault would not keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio

from rotator.app.composition import Actor
from rotator.app.factories import connected, longest_need, records_needs
from rotator.app.secret_resolver import VaultSecretResolver
from rotator.app.vault_policy import guesses, kept, kept_places, references, referred_rights, transit_rights
from rotator.observe import logs
from rotator.ports import Clock, Fault, Refused
from rotator.rotation.credential import Credential
from rotator.settings import Settings
from rotator.vault.fitness import Finding, FindingLevel, fitness, fitness_of_documents, fitness_of_mounts
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import READ_PATIENCE, patiently

_AT_ONCE = 20  # credentials whose documents are looked at together
_FEW = 500  # credentials whose documents are looked at without a pause
_PATIENCE = 5.0  # seconds for a Vault that a command could do without


class Unfit(Refused):
    """Vault would not keep what we write."""


async def refuse_unfit(actor: Actor) -> None:
    """Raise Unfit with every reason when Vault is unfit, whatever its single documents allow: see `UnfitDocuments`."""
    settings = await located(actor.settings, actor.secret_resolver)
    places = [each.place for each in settings.credentials.values()]
    need, rights, lasting = longest_need(settings), transit_rights(settings), kept_places(settings)
    _refuse(await preflight(actor.kv, places, need, rights, lasting, referred_rights(settings), documents=False))


async def refuse_unfit_for(actor: Actor, names: Iterable[str]) -> None:
    """The short check before a command: mounts, published paths and records. Raises Refused, Transient."""
    names = tuple(names)
    places = [actor.settings.credentials[name].place for name in names]
    need, records = longest_need(actor.settings), records_needs(actor.settings, names)

    async def look() -> tuple[Finding, ...]:
        lasting = kept_places(await located(actor.settings, actor.secret_resolver))
        return await fitness(actor.kv, places, need, lasting, records)

    _refuse(await patiently(actor.clock, READ_PATIENCE, look))


async def why_unfit(actor: Actor) -> str:
    """Why this Vault would not keep what is written there; empty when it would. Raises Fault.

    The documents of credentials that another replica looks at first are left to it.
    """
    settings = await located(actor.settings, actor.secret_resolver)
    places = [each.place for each in settings.credentials.values()]
    need = longest_need(settings)
    found = await fitness_of_mounts(actor.kv, places, need, kept_places(settings))
    reasons = [f"{_refusals(found)}; the next start would fail"] if _refusals(found) else []
    names = [name for name in settings.credentials if actor.replicas.looks_first(name)]
    for start in range(0, len(names), _AT_ONCE):
        some = [name for name in names[start : start + _AT_ONCE] if name in actor.settings.credentials]
        if told := _refusals(await _documents(actor, some, need)):
            reasons.append(f"{told}; no rotation begins there")
        await actor.clock.sleep(_pause(len(names), settings))
    return " | ".join(reasons)


def _pause(names: int, settings: Settings) -> float:
    """Seconds between two looks at some documents: of many credentials, all within a sweep."""
    return _AT_ONCE / names * settings.daemon.sweep.total_seconds() if names > _FEW else 0.0


async def _documents(actor: Actor, names: Sequence[str], need: timedelta) -> list[Finding]:
    places = [actor.settings.credentials[name].place for name in names]
    return await fitness_of_documents(actor.kv, places, need, records_needs(actor.settings, names))


@dataclass(slots=True)
class UnfitDocuments:
    """Looks at the documents of a credential before its first rotation in this process."""

    actor: Actor
    _fit: dict[str, Credential] = field(default_factory=dict)
    _need: timedelta = timedelta()  # the longest of all credentials in `_needed_by`
    _needed_by: Settings | None = None

    async def __call__(self, credential: Credential) -> str:
        """Why Vault would not keep them; empty when it would. Raises Transient."""
        if self._fit.get(credential.name) is credential:
            return ""
        if self._needed_by is not self.actor.settings:
            self._needed_by, self._need = self.actor.settings, longest_need(self.actor.settings)
        if told := _refusals(await _documents(self.actor, [credential.name], self._need)):
            return f"Vault is not fit: {told}"
        self._fit[credential.name] = credential
        return ""


async def located(settings: Settings, secret_resolver: VaultSecretResolver) -> Settings:
    """The settings with the mounts of all their references, including those that only Vault knows.

    Raises Transient.
    """
    found = await secret_resolver.unnamed_mounts((*references(settings), *kept(settings)))
    mounts = tuple(dict.fromkeys((*settings.vault.mounts, *found.values())))
    return replace(settings, vault=replace(settings.vault, mounts=mounts))


async def located_if_told(settings: Settings, clock: Clock) -> tuple[Settings, str]:
    """The same for a caller that may have no login yet. Where Vault does not answer: the unchanged settings, and why.

    Vault is asked only about mounts that the settings leave open.
    """
    if not guesses(settings):
        return settings, ""
    try:
        with anyio.fail_after(_PATIENCE):
            async with connected(settings, clock, reading=True) as session:
                told = await located(settings, VaultSecretResolver(Kv(session), clock, lambda: settings))
    except TimeoutError:
        return settings, f"Vault did not answer within {_PATIENCE:g} s"
    except Fault as fault:
        return settings, fault.reason
    return told, "Vault does not tell us which mount serves it" if guesses(told) else ""


def _refuse(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.level is FindingLevel.WARNING:
            logs.warn("vault.doubted", subject=finding.subject, said=finding.text, remedy=finding.remedy)
    if refusals := _refusals(findings):
        raise Unfit(f"Vault is not fit: {refusals}")


def _refusals(findings: Iterable[Finding]) -> str:
    refused = [each for each in findings if each.level is FindingLevel.REFUSAL]
    return " | ".join(f"{each.subject}: {each.text}" + (f"; {each.remedy}" if each.remedy else "") for each in refused)
