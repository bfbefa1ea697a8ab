"""Owns the composition: the only place that knows every class, and introduces them. Its life is daemon.py's."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from uuid import uuid4

import anyio

from rotator.clockwork import SystemClock
from rotator.engine.bench import Edges
from rotator.engine.crew import Crew
from rotator.engine.health import Health
from rotator.engine.lease import Leases
from rotator.engine.presence import Presence, has_ended
from rotator.engine.rounds import Rounds
from rotator.engine.survey import survey
from rotator.engine.sweep import Swept, sweep
from rotator.engine.visit import Happened, Visitor
from rotator.host.tasks import Tasks
from rotator.keychain import Keychain, identity, myself
from rotator.narrate import paused, troubled, unforeseen
from rotator.ports import Clock, Installation, MinterRefused, Provider, Refused, Transient
from rotator.providers import Site, kind_of
from rotator.providers.auth import Auth
from rotator.rotation.credential import Credential, Place
from rotator.rotation.names import LINEAGE
from rotator.rotation.record import Token
from rotator.settings import Minter, Settings, Target
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.patience import READ_PATIENCE, patiently
from rotator.vault.session import Session
from rotator.wiring import connected

Observer = Callable[[Happened], None]


class App:
    """One actor, composed: its edges, and the crew that works with them."""

    def __init__(
        self, settings: Settings, session: Session, installation: Installation, clock: Clock, observers: list[Observer]
    ) -> None:
        self.settings = settings
        self.session = session
        self.kv = Kv(session)
        self.journal = VaultJournal(self.kv, settings.vault.mount, settings.vault.prefix)
        self.installation = installation
        self.clock = clock
        self.observers = observers
        self.holder = f"{settings.daemon.instance}/{os.getpid()}/{uuid4().hex[:8]}"
        self.presence, self._sites = Presence(), dict[str, Site]()
        self.tasks = Tasks(unforeseen)
        self.keychain = Keychain(self.kv, clock, lambda: self.settings)
        self.fetch = self.keychain.fetch
        self.crew = self._crew(settings)

    def _crew(self, settings: Settings) -> Crew:
        ttl = settings.daemon.lease.total_seconds()
        leases = Leases(self.holder, ttl, self.clock.monotonic, self.presence.lock, has_ended)
        lineage = partial(secrets.token_hex, LINEAGE)
        visitor = Visitor(self.journal, leases, lineage, self._tell, lambda: self.crew.stopping)
        rounds = Rounds(
            visitor=visitor,
            edges=self.edges,
            clock=self.clock,
            unforeseen=unforeseen,
            troubled=troubled,
            control=self._control,
            minter=self._minter_name,
            health=Health(paused),
        )
        return Crew(
            rounds=rounds,
            clock=self.clock,
            credentials=settings.credentials,
            per_target=_limits(settings),
            workers=settings.daemon.in_flight,
            reconcile=settings.daemon.reconcile,
        )

    def _tell(self, happened: Happened) -> None:
        """Nobody who is told may break the visit: what happened has happened, and is journalled."""
        for observer in (lambda it: self.crew.rounds.observe(it.credential, it.event), *self.observers):
            try:
                observer(happened)
            except Exception as bug:  # noqa: BLE001 (a log that cannot be written, for one)
                unforeseen(happened.credential.name, bug)

    async def _control(self, credential: Credential) -> None:
        await self.site(credential).control(credential)

    def _minter_name(self, credential: Credential) -> str:
        target = self.settings.targets.get(credential.target)
        self_minting = bool(target and target.minter and target.minter.self_minting)
        if kind_of(credential.kind).managed:
            return f"{credential.target}/management"
        return f"{credential.target}/{credential.name}" if self_minting else credential.target

    def edges(self, credential: Credential) -> Edges:
        """The world as one credential sees it."""
        vault = self.settings.vault
        provider = kind_of(credential.kind).bind(self.site(credential), credential)
        slot = Place(vault.mount, f"{vault.prefix}/staged/{credential.name}")
        nonce, elsewhere = partial(secrets.token_urlsafe, 16), partial(self._elsewhere, credential)
        owners = partial(survey, self.journal, self.kv, self.installation, self.settings.credentials)
        return Edges(self.kv, provider, self.clock, self.installation, slot, nonce, elsewhere, owners)

    def _elsewhere(self, credential: Credential, target: str) -> Provider | None:
        """The credential's provider on a target that it has left, as long as settings have that one."""
        old = self.settings.targets.get(target)
        if old is None or old.kind != kind_of(credential.kind).family:
            return None
        there = replace(credential, target=target)
        return kind_of(credential.kind).bind(self.site(there), there)

    def site(self, credential: Credential) -> Site:
        """The credential's target, opened once; through its own eyes when it mints its own successor."""
        target = self.settings.targets[credential.target]
        site = self._sites.get(target.name)
        if site is None:
            minter = partial(self._minter, target, credential)
            kind = kind_of(credential.kind)
            site = self._sites[target.name] = kind.open(target.name, target.keys, minter, self.keychain, self.clock)
        if target.minter and target.minter.self_minting:
            return site.minted_by(partial(self._minter, target, credential))
        return site

    async def _minter(self, target: Target, credential: Credential) -> Auth:
        minter = target.minter or Minter()
        if not minter.self_minting:
            return await identity(target, self.fetch)
        try:
            record = (await self.journal.load(credential.name)).record
        except Refused as fault:
            raise MinterRefused(f"nobody knows where the token is that mints: {fault.reason}") from None
        return await myself(self.kv, target, credential, record, self.installation.fingerprint_key)

    async def sweep(self, target: str, *, reap: bool = True) -> Swept:
        """Find strays on one target by one listing; revoke them, and delete what was revoked long ago."""
        ours = {name: each for name, each in self.settings.credentials.items() if each.target == target}
        if not ours:
            return Swept((), (), (), ())
        seen = self.crew.seen
        remembered = {name: record for name in ours if name in seen and (record := seen[name].record)}
        site, tokens = await self._listing(ours.values())
        swept = await sweep(tokens, ours, self.journal, self.edges, remembered=remembered, reap=reap)
        keep = getattr(self.settings.targets[target].keys, "keep", None)
        stems = tuple(f"{record.stem}-r" for record in swept.records if record.stem)
        if reap and keep is not None and stems:
            await site.prune(lambda name: name.startswith(stems), keep)
        return swept

    async def disown(self, target: str, tokens: Iterable[Token]) -> tuple[Token, ...]:
        """End those that bear the mark of this very installation, whatever the settings claim. Returns them."""
        mine = f"{self.installation.prefix}-{self.installation.lineage}-"
        ours = tuple(token for token in tokens if token.name.startswith(mine))
        credential = next(each for each in self.settings.credentials.values() if each.target == target)
        for token in ours:
            await self.edges(credential).provider.revoke(token)
        return ours

    async def _listing(self, credentials: Iterable[Credential]) -> tuple[Site, tuple[Token, ...]]:
        """One listing of their target by the first minter that works; with a shared one, the first is the only one."""
        refusal: MinterRefused | None = None
        tried = set()
        for credential in credentials:
            if (name := self._minter_name(credential)) in tried:
                continue
            tried.add(name)
            pause, reason = self.crew.rounds.pause(credential)
            if pause:
                refusal = refusal or MinterRefused(f"not called, it is paused: {reason}")
                continue
            site = self.site(credential)
            try:
                return site, await site.list_tokens()
            except MinterRefused as fault:
                self.crew.rounds.refused(credential, fault.reason)
                refusal = fault
        raise refusal or Transient("nobody to list with")

    async def reload(self, settings: Settings) -> None:
        """Take new settings at once. Targets that changed are opened anew; their old connections are closed once the
        visits under way, which end with what they began with, are over."""
        changed = {name for name, old in self.settings.targets.items() if old != settings.targets.get(name)}
        closing = [self._sites.pop(name) for name in changed & self._sites.keys()]
        self.settings = settings
        self.keychain.forget()
        self.crew.per_target = _limits(settings)
        self.crew.workers = settings.daemon.in_flight
        self.crew.reconcile = settings.daemon.reconcile
        self.crew.take(settings.credentials, changed)
        await self.crew.finished(changed)
        for site in closing:
            await site.aclose()

    async def aclose(self) -> None:
        """Close the connections to targets; Vault's is the session's own."""
        for site in self._sites.values():
            await site.aclose()
        self.presence.close()


def _limits(settings: Settings) -> dict[str, int]:
    return {name: target.in_flight for name, target in settings.targets.items()}


@asynccontextmanager
async def opened(
    settings: Settings,
    observers: Iterable[Observer] = (),
    clock: Clock | None = None,
    *,
    within: float = READ_PATIENCE,
    missed: Callable[[str], None] | None = None,
) -> AsyncIterator[App]:
    """Log in, read the installation's own document, compose. Raises StoreRefused, Refused or Transient with words.

    `within`: seconds of patience with a Vault that gives no verdict; `missed` hears why it gave none.
    """
    clock = clock or SystemClock()
    async with connected(settings, clock) as session:
        journal = VaultJournal(Kv(session), settings.vault.mount, settings.vault.prefix)
        found = await patiently(clock, within, journal.meta, missed)
        installation = replace(found, prefix=settings.daemon.name_prefix)
        app = App(settings, session, installation, clock, list(observers))
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(session.keep_alive)
                app.tasks.group = group
                yield app
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await app.aclose()
