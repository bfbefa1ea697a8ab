"""Owns `rotate check`: a live look at every right the daemon needs, with a disposable token that is cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from rotator.app import App
from rotator.ports import Accepted, Fault, Minted, Provider, Rejected, Unknown
from rotator.providers import KINDS
from rotator.rotation.credential import Credential
from rotator.rotation.names import mint_name, stem
from rotator.rotation.record import Token
from rotator.vault.preflight import Finding, Level, preflight
from rotator.wiring import longest_need

_LIFE = timedelta(minutes=10)  # a disposable token dies by itself, should everything else fail


_Verb = tuple[str, Callable[[], Awaitable[str]]]


class _Stop(Exception):  # noqa: N818 (control flow within this file: what follows needs what failed)
    pass


async def check(app: App) -> AsyncIterator[Finding]:
    """Everything the daemon will do, tried or looked at. Nothing is left behind."""
    credentials = app.settings.credentials
    for finding in await preflight(app.kv, [each.place for each in credentials.values()], longest_need(app.settings)):
        yield finding
    for each in credentials.values():
        for text in KINDS[each.kind].warnings(each, app.settings.targets[each.target].keys):
            yield Finding(Level.WARNING, f"credential {each.name}", text)
    for target in app.settings.targets:
        alike = [each for each in credentials.values() if each.target == target]
        if not alike:
            yield Finding(Level.NOTE, f"target {target}", "no credential uses it; not tried")
            continue
        async for finding in _target(app, target, alike):
            yield finding


async def _target(app: App, target: str, credentials: list[Credential]) -> AsyncIterator[Finding]:
    site = app.site(credentials[0])
    try:
        await site.control(credentials[0])
        yield Finding(Level.OK, f"target {target}: control", "a broken secret is refused")
    except Fault as fault:
        yield Finding(Level.REFUSAL, f"target {target}: control", fault.reason, "mend the probe, or what is in front")
    try:
        for text in await site.audit(tuple(credentials)):
            yield Finding(Level.WARNING, f"target {target}: minter", text, "give the minter only what it hands out")
    except Fault as fault:
        yield Finding(Level.REFUSAL, f"target {target}: minter", fault.reason, "see the target's `minter`")
        return
    tried: set[str] = set()
    for credential in credentials:
        if credential.policy not in tried:
            tried.add(credential.policy)
            async for finding in _Trial(app, credential).run():
                yield finding


@dataclass(slots=True)
class _Trial:
    """Each verb on the target once, with a token that lives for ten minutes at most."""

    app: App
    credential: Credential

    async def run(self) -> AsyncIterator[Finding]:
        provider = self.app.edges(self.credential).provider
        installation = self.app.installation
        name = mint_name(stem(installation.prefix, installation.lineage, "check", token_hex(3)), 0, 1)
        minted: Minted | None = None
        try:
            try:
                minted = await provider.mint(name, self.app.clock.now() + _LIFE)
                yield self._row(Level.OK, "mint", "a disposable token, valid for ten minutes")
            except Fault as fault:
                yield self._row(Level.REFUSAL, "mint", fault.reason)
                return
            for verb, act in self._verbs(provider, name, minted):
                try:
                    yield self._row(Level.OK, verb, await act())
                except _Stop as stop:
                    yield self._row(Level.REFUSAL, verb, str(stop))
                except Fault as fault:
                    yield self._row(Level.REFUSAL, verb, fault.reason)
        finally:
            left = await self._clean(provider, name, minted)
        yield left

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

        verbs: list[_Verb] = [("find", find), ("verify", verify), ("inspect", inspect)]
        verbs += [("revoke", revoke), ("prove dead", is_dead)]
        return [*verbs, ("restore", restore)] if can.restores else verbs

    async def _clean(self, provider: Provider, name: str, minted: Minted | None) -> Finding:
        try:
            tokens: tuple[Token, ...] = (minted.token,) if minted else await provider.find(name)
            for token in tokens:
                await provider.revoke(token)
            await self.app.site(self.credential).prune(lambda other: other == name, timedelta())
        except Fault as fault:
            return self._row(Level.WARNING, "clean up", f"{fault.reason}; the token expires in ten minutes")
        return self._row(Level.OK, "clean up", "nothing is left")

    def _row(self, level: Level, verb: str, text: str) -> Finding:
        remedy = "see the target's `minter` and its rights" if level is Level.REFUSAL else ""
        return Finding(level, f"target {self.credential.target}: {verb} ({self.credential.name})", text, remedy)


def _must(holds: bool, text: str) -> str:
    if not holds:
        raise _Stop(f"not {text}")
    return text
