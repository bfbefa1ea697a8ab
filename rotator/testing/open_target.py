"""Make a kit from settings: which credential, which minter, where secrets are. No Vault is called."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rotator.app.factories import local_secret
from rotator.app.secret_resolver import identity
from rotator.app.vault_policy import KEPT_OPTIONS, entries
from rotator.ports import Clock, Document, Refused
from rotator.providers import Server, kind_of
from rotator.providers.http.auth import Auth
from rotator.providers.keys.signing import Signer, VersionedKey
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Settings, Target
from rotator.testing.kit import Kit
from rotator.testing.memory_vault import MemoryStore, MemoryVault

PATIENCE = 240.0  # seconds that a rule waits for the end of a token
NO_VAULT = "the kit calls no Vault; put this secret into a file for the test"
_FEW = 25  # approximate number of mints of the rules
_CALLS = 30  # approximate number of calls of one rotation, each killed once


class LocalSecretResolver:
    """Secrets from files and from systemd; documents in memory."""

    def __init__(self) -> None:
        self._store = MemoryStore(MemoryVault())

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret a reference points to. Raises Refused for one in Vault, StoreRefused for one that is not there."""
        if ref.source is SecretSource.VAULT:
            raise Refused(f"{ref}: {NO_VAULT}")
        return local_secret(ref)

    def transit(self, key: str) -> Signer:
        """Refused."""
        raise Refused(f"transit key {key}: the kit calls no Vault; put a key for the test into a file")

    def versions(self, key: str) -> VersionedKey:
        """Refused."""
        raise Refused(f"transit key {key}: the kit calls no Vault; leave it out for the test, and a key is made here")

    def document_store(self, path: str) -> LocalDocumentStore:
        """A document in memory, which no target can read."""
        return LocalDocumentStore(self._store, VaultPath(*path.split("/", 1)))


class LocalDocumentStore:
    """One document in memory."""

    def __init__(self, store: MemoryStore, place: VaultPath) -> None:
        self._store = store
        self._place = place

    async def read(self) -> Document:
        """The newest version."""
        return await self._store.read(self._place)

    async def write(self, values: Mapping[str, object], over: int) -> int:
        """Write over this version. Raises Conflict."""
        return await self._store.write(self._place, values, cas=over)

    def __str__(self) -> str:
        return str(self._place)


def chosen(settings: Settings, kind: str, name: str) -> Credential:
    """The credential to try: the one with this name, else the only one of this kind. Raises Refused."""
    fitting = {each.name: each for each in settings.credentials.values() if each.kind == kind}
    if name and name not in fitting:
        raise Refused(f"no credential {name!r} of kind {kind} in the settings; there is {', '.join(fitting) or 'none'}")
    if not name and len(fitting) != 1:
        raise Refused(f"{len(fitting) or 'no'} credentials of kind {kind} in the settings; name one with --credential")
    credential = fitting[name] if name else next(iter(fitting.values()))
    target = settings.targets[credential.target]
    for key, ref in entries((target, credential)):
        if isinstance(ref, SecretRef) and ref.source is SecretSource.VAULT and key not in KEPT_OPTIONS:
            raise Refused(f"{ref}: {NO_VAULT}")
    minter = target.minter
    if minter is not None and minter.self_minting:
        raise Refused("minter = {self = true} has nothing to begin with here: give the target a minter for the test")
    return credential


def kit(settings: Settings, credential: Credential, clock: Clock, rest: float) -> Kit:
    """The kit for a credential. `rest`: seconds between two rotations. Raises the faults of opening the target."""
    target, kind, secret_resolver = settings.targets[credential.target], kind_of(credential.kind), LocalSecretResolver()

    def reopen() -> Server:
        return kind.open_target(
            target.name, target.config, partial(_mints, target, secret_resolver), secret_resolver, clock
        )

    return Kit(kind, credential, reopen, clock, PATIENCE, rest)


async def _mints(target: Target, secret_resolver: LocalSecretResolver) -> Auth:
    return await identity(target, secret_resolver.fetch)


def announced(settings: Settings, credential: Credential) -> str:
    """What will be done on the target, for the person who has to agree."""
    target, kind = settings.targets[credential.target], kind_of(credential.kind)
    writes = " It writes over what the slots of this credential hold now." if kind.needs_management_client else ""
    return (
        f"This mints and ends up to {_FEW + 2 * _CALLS} tokens of {credential.name!r} on target {target.name!r}"
        f" ({target.config.url}), and kills {_CALLS} rotations or so on the way.{writes} Everything that it makes"
        " bears a name of its own; nothing else is touched, and no Vault is called."
    )
