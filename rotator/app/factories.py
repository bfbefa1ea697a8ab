"""Make connections, logins, secrets and paths from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio

from rotator.host.sockets import others
from rotator.host.threads import BoundedCalls
from rotator.observe import logs
from rotator.ports import Clock, StoreRefused, Transient
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import Secret
from rotator.settings import SecretRef, SecretUnreadableError, Settings, VaultConfig, read_secret
from rotator.vault import login
from rotator.vault.session import Session
from rotator.vault.shared_documents import COMMANDS
from rotator.vault.transport import VaultConnection, VaultProxy


def connection(vault: VaultConfig, instance: str) -> VaultConnection:
    """The connection to Vault, from the section [vault]."""
    cert = (vault.auth.cert_file, vault.auth.key_file) if vault.auth.cert_file else None
    return VaultConnection(
        address=vault.address,
        mount=vault.mount,
        prefix=vault.prefix,
        instance=instance,
        namespace=vault.namespace or None,
        login_namespace=vault.namespace if vault.auth.namespace is None else vault.auth.namespace,
        ca_file=vault.ca_file,
        client_cert=cert,
        connect_timeout=vault.connect_timeout.total_seconds(),
        read_timeout=vault.read_timeout.total_seconds(),
        allow_insecure_http=vault.allow_insecure_http,
        proxy=VaultProxy(vault.proxy, local_secret) if vault.proxy else None,
    )


def vault_login(settings: Settings) -> login.Login:
    """The login to Vault. Files are read again at every login."""
    auth = settings.vault.auth
    return _LOGINS[auth.method.value](settings)


def local_secret(ref: SecretRef, *, blanks: bool = True) -> Secret:
    """A secret kept in a file or by systemd. Raises StoreRefused naming the place."""
    try:
        return read_secret(ref, logs.advise, blanks=blanks)
    except SecretUnreadableError as fault:
        raise StoreRefused(str(fault)) from None


def _source(settings: Settings, ref: SecretRef | None) -> login.Source:
    if ref is None:
        raise StoreRefused("the Vault login lacks a secret reference")
    return partial(_login_secret, settings.daemon.socket, ref)


def _login_secret(socket: str, ref: SecretRef) -> Secret:
    """The secret of our login. A user who may not read it can usually not use the daemon's socket either."""
    try:
        return local_secret(ref, blanks=False)
    except StoreRefused as fault:
        if not (who := others(socket)):
            raise
        raise StoreRefused(f"{fault.reason}; a daemon runs here: {who} may ask it, `sudo rotate` for one") from None


_LOGINS: Mapping[str, Callable[[Settings], login.Login]] = {
    "token": lambda s: login.token(_source(s, s.vault.auth.token)),
    "approle": lambda s: login.approle(
        partial(Secret, s.vault.auth.role_id), _source(s, s.vault.auth.secret_id), s.vault.auth.mount
    ),
    "kubernetes": lambda s: login.kubernetes(s.vault.auth.role, _source(s, s.vault.auth.token), s.vault.auth.mount),
    "jwt": lambda s: login.jwt(s.vault.auth.role, _source(s, s.vault.auth.token), s.vault.auth.mount),
    "cert": lambda s: login.certificate(s.vault.auth.role, s.vault.auth.mount, s.vault.auth.cert_file),
}


@asynccontextmanager
async def connected(
    settings: Settings, clock: Clock, node: str = COMMANDS, *, reading: bool = False
) -> AsyncIterator[Session]:
    """A session with Vault. It logs in at its first request, and its token is revoked at the end.

    `node`: the document of its barriers and heartbeats; each daemon has its own. `reading`: it only reads.
    """
    place = replace(connection(settings.vault, node), reading=reading)
    session = Session(place, vault_login(settings), clock)
    try:
        yield session
    finally:
        with anyio.CancelScope(shield=True):
            await session.close()


def _fitting(ref: SecretRef, settings: Settings) -> list[str]:
    vault, credentials = settings.vault, settings.credentials.values()
    mounts = {vault.mount, *vault.mounts, *(each.place.mount for each in credentials)}
    return sorted((mount for mount in mounts if ref.name.startswith(f"{mount}/")), key=len)


def is_known(ref: SecretRef, settings: Settings) -> bool:
    """Whether settings name the mount that a reference points into."""
    return bool(_fitting(ref, settings))


def place_of(ref: SecretRef, settings: Settings) -> VaultPath:
    """The place of a reference in Vault: its mount is the longest one we know, else the first part of the path."""
    fitting = _fitting(ref, settings)
    mount = fitting[-1] if fitting else ref.name.partition("/")[0]
    return VaultPath(mount, ref.name[len(mount) + 1 :])


_MARK = 5.0  # seconds
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def longest_need(settings: Settings) -> timedelta:
    """How long Vault must keep a version: the lifetime of its value, or two intervals if it has none, so that it
    outlasts a target, Vault or rotator that is away; and each interval with its grace.
    """
    return max((_need(each) for each in settings.credentials.values()), default=timedelta())


def records_needs(settings: Settings, names: Iterable[str]) -> dict[VaultPath, timedelta]:
    """How long Vault must keep the record of each credential: each rotation writes it again, and one may be missed."""
    vault, known = settings.vault, settings.credentials
    folder = f"{vault.prefix}/journal"
    return {
        VaultPath(vault.mount, f"{folder}/{name}"): max(_need(known[name]), 2 * _interval(known[name]))
        for name in names
    }


def _need(credential: Credential) -> timedelta:
    interval, grace = _interval(credential), credential.retire.deadline or credential.retire.after
    return max(credential.lifetime or 2 * interval, interval + grace)


def _interval(credential: Credential) -> timedelta:
    end = _LONG_AGO + credential.lifetime if credential.lifetime else None
    due = credential.schedule.due(credential.name, _LONG_AGO, end)
    return due - _LONG_AGO if due else timedelta()


def postponed_keys(before: Settings, after: Settings) -> str:
    """The changed options that a reload cannot apply."""
    keys = ("socket", "instance", "name_prefix", "read_only", "lease", "tick", "sweep", "log_level")
    changed = [f"daemon.{key}" for key in keys if getattr(before.daemon, key) != getattr(after.daemon, key)]
    parts = ("vault", "status", "audit", "hooks", "ping", "tracing")
    sections = [key for key in parts if getattr(before, key) != getattr(after, key)]
    return ", ".join(sections + changed)


class Tried:
    """The secret of a login try, as it was before the try."""

    def __init__(self) -> None:
        self._files = BoundedCalls("what we log in to Vault with", _MARK)
        self._settings: Settings | None = None
        self._mark: object = None

    async def begins(self, settings: Settings) -> None:
        """A try begins."""
        self._settings, self._mark = settings, await self._now(settings)

    async def stands(self, settings: Settings) -> bool:
        """Whether the next try would use the same secret."""
        return settings is self._settings and await self._now(settings) == self._mark

    async def _now(self, settings: Settings) -> object:
        try:
            return await self._files.run(vault_login(settings).mark)
        except Transient:
            return None  # a drive that hangs
