"""One actor: its session with Vault, its engine and its observers, composed here and nowhere else.

It comes in two forms. `acting` may change things: it has every observer, and is refused when required receipts cannot
be written. `reading` changes nothing, and so needs none of them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import uuid4

import anyio

from rotator.app.factories import connected
from rotator.app.secret_resolver import VaultSecretResolver, identity, myself
from rotator.engine.circuit_breakers import CircuitBreakers, Guard
from rotator.engine.context import Dependencies
from rotator.engine.lease import Leases
from rotator.engine.reconciler import Reconciler, Transition
from rotator.engine.replicas import Replicas
from rotator.engine.strays import survey
from rotator.engine.worker_pool import WorkerPool
from rotator.host.cron import SystemClock
from rotator.host.process import ProcessLock, children, has_ended
from rotator.host.threads import BackgroundTasks
from rotator.observe import logs
from rotator.observe.event_log import paused, troubled, unforeseen
from rotator.observe.hooks import Hooks
from rotator.observe.observers import FleetObserver, Observer, Observers
from rotator.ports import Clock, Fault, Installation, MinterRefused, OnlyLooks, Provider, Refused
from rotator.providers import Kind, Server, kind_of, kind_on
from rotator.providers.http.auth import Auth
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.ownership import TokenOwners
from rotator.rotation.pause import FleetPauses, covered
from rotator.rotation.record import Token
from rotator.rotation.token_names import LINEAGE
from rotator.settings import Minter, Settings, Target
from rotator.vault.journal import UnwrittenJournal, VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.session import READ_PATIENCE, Session, patiently
from rotator.vault.shared_documents import COMMANDS, VaultFleet, VaultRequests, heartbeats

READ_ONLY = (
    "[daemon] read_only = true: this Vault is a copy, and another rotator works on the original; nothing is done"
)

_REVERTED = (
    "Vault is older than it was: our own document in it went back. Was it restored? All records are read and all "
    "published values are shown anew"
)


class Actor:
    """The composed actor: connections to Vault and targets, and the worker pool that uses them."""

    def __init__(
        self,
        settings: Settings,
        journal: VaultJournal,
        kv: Kv,
        installation: Installation,
        clock: Clock,
        observers: Sequence[Observer] = (),
        barred: Callable[[], str] = str,
        pauses: FleetPauses = (),
        recorded: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._given, self.pauses = settings, pauses
        self.settings = settings = _paused(settings, pauses)
        self.kv = kv
        self.journal = journal
        self.installation = installation
        self.clock = clock
        self._observers = observers
        self._barred, self._recorded = barred, recorded
        self.passing = False  # true for a command: other processes continue what it leaves
        self.ended_by_hand: set[str] = set()  # tokens of credentials that left the settings, which are dead
        self.hooks_failed: set[str] = set()  # what a command without a daemon ends with
        self.hooks: Hooks | None = None  # of a daemon: what became of them is told with the verdict
        self.fleet_observer: FleetObserver | None = None
        self.holder = f"{settings.daemon.instance}/{os.getpid()}/{uuid4().hex[:8]}"
        self.presence, self._servers = ProcessLock(), dict[str, Server]()
        self.tasks = BackgroundTasks(unforeseen)
        self.secret_resolver = VaultSecretResolver(self.kv, clock, lambda: self.settings)
        self.fetch = self.secret_resolver.fetch
        self.requests = VaultRequests(kv, settings.vault.mount, settings.vault.prefix)
        self.fleet = VaultFleet(kv, settings.vault.mount, settings.vault.prefix)
        self.replicas = Replicas(settings.daemon.instance, settings.daemon.lease)
        self.worker_pool = self._worker_pool(settings)
        kv.went_back = self._vault_went_back

    def _worker_pool(self, settings: Settings) -> WorkerPool:
        ttl = settings.daemon.lease.total_seconds()
        leases = Leases(self.holder, ttl, self.clock.monotonic, self.presence.lock, has_ended)
        lineage = partial(secrets.token_hex, LINEAGE)
        stopping, told = (lambda: bool(self.worker_pool.stopping)), self._tell
        reconciler = Reconciler(self.journal, leases, lineage, told, stopping, self._barred, self.requests)
        reconciler.only_looks = READ_ONLY if settings.daemon.read_only else ""
        if self._recorded:
            reconciler.recorded = self._recorded
        guard = Guard(
            reconciler=reconciler,
            dependencies=self.dependencies,
            clock=self.clock,
            unforeseen=unforeseen,
            troubled=troubled,
            control=self._control,
            minter=self.minter_name,
            health=CircuitBreakers(paused),
            listing=self._listing,
            neighbours=lambda target: sum(each.target == target for each in self.settings.credentials.values()),
        )
        return WorkerPool(
            guard=guard,
            clock=self.clock,
            credentials=settings.credentials,
            per_target=_limits(settings),
            workers=settings.daemon.in_flight,
            reconcile=settings.daemon.reconcile,
            replicas=self.replicas,
            later=settings.daemon.lease,
        )

    def _vault_went_back(self) -> None:
        logs.warn("vault.reverted", said=_REVERTED)
        self.worker_pool.vault_went_back()

    def _tell(self, transition: Transition) -> None:
        """Call the observers. Their exceptions must not break a reconcile, which is journalled already."""
        for observer in (lambda it: self.worker_pool.guard.observe(it.credential, it.event), *self._observers):
            try:
                observer(transition)
            except Exception as bug:  # noqa: BLE001 (a log that cannot be written, for one)
                unforeseen(transition.credential.name, bug)

    async def _control(self, credential: Credential) -> None:
        await self.server(credential).control(credential)

    async def _listing(self, credential: Credential) -> Iterable[Token]:
        """Our tokens on the target; none if this minter may not list them."""
        try:
            return await self.server(credential).list_tokens()
        except Fault:
            return ()

    def minter_name(self, credential: Credential) -> str:
        """The name of the minter: a refusal stops all credentials with the same one."""
        target = self.settings.targets.get(credential.target)
        self_minting = bool(target and target.minter and target.minter.self_minting)
        if kind_of(credential.kind).needs_management_client:
            return f"{credential.target}/management"
        return f"{credential.target}/{credential.name}" if self_minting else credential.target

    def dependencies(self, credential: Credential) -> Dependencies:
        """The ports for one credential."""
        vault = self.settings.vault
        provider = kind_of(credential.kind).bind(self.server(credential), credential)
        slot = VaultPath(vault.mount, f"{vault.prefix}/staged/{credential.name}")
        nonce, elsewhere = partial(secrets.token_urlsafe, 16), partial(self._elsewhere, credential)
        return Dependencies(self.kv, provider, self.clock, self.installation, slot, nonce, elsewhere, self.owners)

    async def owners(self) -> TokenOwners:
        """The owners of tokens, by the current records and configured paths. Raises Transient, StoreRefused."""
        return await survey(self.journal, self.kv, self.installation, self.settings.credentials)

    def _elsewhere(self, credential: Credential, target: str) -> Provider | None:
        """The credential's provider on a target that it has left, if that is still in the settings."""
        old = self.settings.targets.get(target)
        if old is None or old.kind != kind_of(credential.kind).family:
            return None
        there = replace(credential, target=target)
        return kind_of(credential.kind).bind(self.server(there), there)

    def server(self, credential: Credential) -> Server:
        """The credential's target, opened once; with the credential as minter if it mints its own successor."""
        target = self.settings.targets[credential.target]
        server = self._opened(target, kind_of(credential.kind), credential)
        if target.minter and target.minter.self_minting:
            return server.minted_by(partial(self._minter, target, credential))
        return server

    def target(self, name: str) -> Server:
        """A target by its name, opened once, which need not have a credential. Raises KeyError."""
        ours = next((each for each in self.settings.credentials.values() if each.target == name), None)
        target = self.settings.targets[name]
        return self.server(ours) if ours else self._opened(target, kind_on(target.kind), None)

    def _opened(self, target: Target, kind: Kind, credential: Credential | None) -> Server:
        server = self._servers.get(target.name)
        if server is None:
            minter = partial(self._minter, target, credential)
            server = kind.open_target(target.name, target.config, minter, self.secret_resolver, self.clock)
            self._servers[target.name] = server
        return server

    async def _minter(self, target: Target, credential: Credential | None) -> Auth:
        minter = target.minter or Minter()
        if not minter.self_minting:
            return await identity(target, self.fetch)
        if credential is None:
            raise MinterRefused(f"a published token mints on {target.name}, and no credential has one there yet")
        try:
            record = (await self.journal.load(credential.name)).record
        except Refused as fault:
            raise MinterRefused(f"nobody knows where the token is that mints: {fault.reason}") from None
        return await myself(self.kv, target, credential, record, self.installation.fingerprint_key)

    def observe(self, pauses: FleetPauses) -> None:
        """Show these pauses from now on, at each credential that they concern."""
        if pauses != self.pauses:
            self.pauses, self.settings = pauses, _paused(self._given, pauses)
            self.worker_pool.take(self.settings.credentials, ())

    async def note_replicas(self) -> None:
        """Look which other daemons live, and take over what one that has ended was to look at first."""
        with suppress(Fault):  # others looking first is a saving only
            left, became_ours = self.replicas.heard(*await heartbeats(self.kv), self.settings.credentials)
            self.worker_pool.look_at(*left)
            self.worker_pool.look_within_round(became_ours - left)

    async def recorded(self) -> None:
        """Write receipts that wait, as far as possible."""
        await self.worker_pool.guard.reconciler.recorded()

    async def record_fleet(self, at: datetime, event: str, by: str, said: str) -> None:
        """Write a receipt about the whole installation."""
        if self.fleet_observer:
            self.fleet_observer(at, event, by, said, self.holder)
            await self.recorded()

    async def reload(self, settings: Settings) -> None:
        """Use new settings at once. Changed targets are opened again; the old connections are closed when the
        reconciles that use them have ended."""
        changed = {name for name, old in self.settings.targets.items() if old != settings.targets.get(name)}
        closing = [self._servers.pop(name) for name in changed & self._servers.keys()]
        self._given, self.settings = settings, _paused(settings, self.pauses)
        settings = self.settings
        self.secret_resolver.forget()
        self.kv.session.forgive()
        self.worker_pool.per_target = _limits(settings)
        self.worker_pool.workers = settings.daemon.in_flight
        self.worker_pool.reconcile = settings.daemon.reconcile
        self.worker_pool.take(settings.credentials, changed)
        await self.worker_pool.finished(changed)
        for server in closing:
            await server.aclose()

    async def aclose(self) -> None:
        """Close the connections to targets; Vault's is the session's own."""
        for server in self._servers.values():
            await server.aclose()
        self.presence.close()


def _paused(settings: Settings, pauses: FleetPauses) -> Settings:
    credentials = {name: covered(each, pauses) for name, each in settings.credentials.items()}
    return replace(settings, credentials=credentials) if pauses else settings


def _limits(settings: Settings) -> dict[str, int]:
    return {name: target.in_flight for name, target in settings.targets.items()}


@asynccontextmanager
async def acting(
    settings: Settings,
    observers: Observers,
    *,
    node: str = COMMANDS,
    within: float = READ_PATIENCE,
    missed: Callable[[str], None] | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Actor]:
    """An actor that may change things. At its end, hooks hear what has happened. Raises as `reading` does.

    `node`: see `connected`. `within`: seconds to wait for a Vault without verdict; `missed` gets the reason.
    """
    if settings.daemon.read_only and node == COMMANDS:
        raise OnlyLooks(READ_ONLY)
    async with _composed(settings, observers, node, within, missed, clock) as actor, anyio.create_task_group() as group:
        actor.hooks, actor.fleet_observer = observers.hooks, observers.fleet
        group.start_soon(observers.run, actor.fetch)
        group.start_soon(children.reap_forever)
        yield actor
        await observers.part(actor.kv)
        group.cancel_scope.cancel()


@asynccontextmanager
async def reading(settings: Settings, session: Session | None = None) -> AsyncIterator[Actor]:
    """An actor that only looks. Raises StoreRefused, Refused or Transient with words.

    `session`: one that is open already, as a login may have few uses.
    """
    async with _composed(settings, session=session) as actor:
        yield actor


@asynccontextmanager
async def _composed(
    settings: Settings,
    observers: Observers | None = None,
    node: str = COMMANDS,
    within: float = READ_PATIENCE,
    missed: Callable[[str], None] | None = None,
    clock: Clock | None = None,
    session: Session | None = None,
) -> AsyncIterator[Actor]:
    """Log in, read the installation's document, and compose. Without observers the actor changes nothing."""
    clock = clock or SystemClock()
    told, barred = (observers.told, observers.barred) if observers else ((), str)
    given = nullcontext(session) if session else None
    async with given or connected(settings, clock, node, reading=observers is None) as session:
        kv = Kv(session)
        journal = (VaultJournal if observers else UnwrittenJournal)(kv, settings.vault.mount, settings.vault.prefix)
        if observers:
            await patiently(clock, within, partial(observers.meet, kv), missed)
        found = await patiently(clock, within, journal.meta, missed)
        installation = replace(found, prefix=settings.daemon.name_prefix)
        fleet = VaultFleet(kv, settings.vault.mount, settings.vault.prefix)
        pauses = await patiently(clock, within, fleet.pauses, missed)
        recorded = observers.recorded if observers else None
        actor = Actor(settings, journal, kv, installation, clock, told, barred, pauses, recorded)
        if observers:
            await patiently(clock, within, actor.requests.look, missed)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(session.keep_alive)
                actor.tasks.group = group
                yield actor
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await actor.aclose()
