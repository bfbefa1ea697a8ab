"""Resolve secrets, minters, signing keys and documents of providers: from files, systemd credentials and Vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from rotator.app.factories import is_known, local_secret, place_of
from rotator.host.threads import BoundedCalls
from rotator.ports import Clock, Document, MinterRefused, Refused
from rotator.providers.http.auth import Auth, Basic, Bearer
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Record
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Minter, Settings, Target
from rotator.vault.kv import Kv
from rotator.vault.transit import TransitKey

_LIFE = 30.0  # seconds for which a secret read from Vault is used again
_PATIENCE = 5.0  # seconds for a file to be read


class VaultDocumentStore:
    """A document of a provider. It is located at each use, as only Vault may know its mount."""

    def __init__(self, kv: Kv, path: str, located: Callable[[SecretRef], Awaitable[VaultPath]]) -> None:
        self._kv = kv
        self._path = path
        self._located = located

    async def read(self) -> Document:
        """The newest version, read strongly."""
        return await self._kv.read(await self._place(), strong=True)

    async def write(self, values: Mapping[str, object], over: int) -> int:
        """Write over this version. Raises Conflict when somebody else wrote."""
        return await self._kv.write(await self._place(), values, cas=over)

    async def _place(self) -> VaultPath:
        return await self._located(SecretRef(SecretSource.VAULT, self._path))

    def __str__(self) -> str:
        return self._path


class VaultSecretResolver:
    """Secrets by reference, keys and documents by path. `settings`: returns the current settings."""

    def __init__(self, kv: Kv, clock: Clock, settings: Callable[[], Settings]) -> None:
        self._kv = kv
        self._clock = clock
        self._settings = settings
        self._known: dict[SecretRef, tuple[float, Secret]] = {}
        self._mounts: dict[str, str] = {}  # by path, as Vault told; "" where it did not
        self._files: dict[SecretRef, BoundedCalls] = {}

    async def fetch(self, ref: SecretRef) -> Secret:
        """The secret of a reference. Raises MinterRefused with words when it cannot be read.

        Raises Transient when Vault, or the drive that a file is on, does not answer.
        """
        if ref.source is not SecretSource.VAULT:
            calls = self._files.setdefault(ref, BoundedCalls(str(ref), _PATIENCE))
            return await calls.run(partial(local_secret, ref))
        known = self._known.get(ref)
        if known and self._clock.monotonic() - known[0] < _LIFE:
            return known[1]
        place = await self._located(ref)
        try:
            secret = _trimmed(ref, (await self._kv.read(place, strong=True)).text(ref.key))
        except MinterRefused:
            raise
        except Refused as fault:
            raise MinterRefused(f"{ref} cannot be read: {fault.reason}; the target was not asked") from None
        self._known[ref] = (self._clock.monotonic(), secret)
        return secret

    async def _located(self, ref: SecretRef) -> VaultPath:
        """The place of a reference. Vault is asked for a mount that settings do not name, as it may have slashes."""
        settings = self._settings()
        if not is_known(ref, settings) and ref.name not in self._mounts:
            with suppress(Refused):  # not allowed, or nothing there: use the first part of the path
                self._mounts[ref.name] = await self._kv.session.mount_of(ref.name)
        mount = self._mounts.get(ref.name, "")
        return VaultPath(mount, ref.name[len(mount) + 1 :]) if mount else place_of(ref, settings)

    async def unnamed_mounts(self, refs: Iterable[SecretRef]) -> dict[str, str]:
        """Mounts that the settings should name, by the references in them; code without calls takes another one."""
        settings, found = self._settings(), {}
        for ref in refs:
            place = await self._located(ref) if ref.source is SecretSource.VAULT else None
            if place and place != place_of(ref, settings):
                found[str(ref)] = place.mount
        return found

    def transit(self, key: str) -> TransitKey:
        """A signer whose private key stays in Vault: "mount/name"."""
        mount, _, name = key.rpartition("/")
        return TransitKey(self._kv.session, name, mount)

    def versions(self, key: str) -> TransitKey:
        """The same key, to make versions of it."""
        return self.transit(key)

    def document_store(self, path: str) -> VaultDocumentStore:
        """A document that a provider keeps: "mount/path"."""
        return VaultDocumentStore(self._kv, path, self._located)

    def forget(self) -> None:
        """Forget cached secrets."""
        self._known.clear()
        self._mounts.clear()


def _trimmed(ref: SecretRef, text: str) -> Secret:
    """The value without trailing newlines, which `bao kv put PLACE KEY=@FILE` keeps. Raises MinterRefused."""
    value = text.rstrip("\r\n")
    if not value:
        raise MinterRefused(f"{ref} holds nothing")
    if "-----BEGIN " not in value and any(char < " " or char == "\x7f" for char in value):
        raise MinterRefused(f"{ref} holds several lines or control characters, and is no PEM block")
    return Secret(value)


async def identity(target: Target, fetch: Callable[[SecretRef], Awaitable[Secret]]) -> Auth:
    """The minter of a target. Raises MinterRefused where there is none, as each value mints its own successor."""
    minter = target.minter or Minter()
    if minter.pat:
        return Bearer(await fetch(minter.pat))
    if minter.password:
        return Basic(minter.username, await fetch(minter.password))
    raise MinterRefused(f"target {target.name} has no minter in the settings")


def by_hand(place: VaultPath, name: str) -> str:
    """What a person does if no token is left that mints its own successor."""
    return f"make one by hand at the target, put it at {place}, and `rotate adopt {name}`"


async def myself(kv: Kv, target: Target, credential: Credential, record: Record | None, mark: bytes) -> Auth:
    """The published token of a credential that mints its own successor. Raises MinterRefused when there is none.

    A target is shown only its own tokens. After a move to another target, the path still holds the old target's token;
    once a successor is published, the predecessor itself ends itself there. `mark`: the key of fingerprints.
    """
    current, before = (record.current, record.predecessor) if record else (None, None)
    known = [each for each in (current, before) if each]
    own = next((each for each in known if each.target == target.name), None)
    place, key = (own.place, own.key or credential.key) if own else (credential.place, credential.key)
    version = own.version if own and own is not current else None  # the newest version there is the successor's
    secret = (await kv.read(place, version=version, strong=True)).secret(key)
    if secret is None:
        remedy = by_hand(place, credential.name)
        raise MinterRefused(f"{place} holds no token that could mint its own successor", remedy=remedy)
    if stranger := next((x.target for x in known if x is not own and secret.fingerprint(mark) == x.fingerprint), None):
        raise MinterRefused(
            f"{place} holds a token of target {stranger!r}, which is not shown to {target.name!r}:"
            f" give [targets.{target.name}] another minter for the first rotation there"
        )
    return Bearer(secret)
