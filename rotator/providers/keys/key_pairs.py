"""Sources of new key pairs: made in this process, or a version of a key that never leaves Vault Transit.

The value of a pair in Transit is its public key. It is no secret, but is handled like one: it identifies the version,
even of a key that was deleted and created again, and has no text in common with `kid`, which logs show.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from anyio import to_thread

from rotator.ports import CannotPresent, Refused, StoreRefused, Transient
from rotator.providers.keys.signing import Algorithm, LocalSigner, Signer, make_key, public_key, public_text
from rotator.rotation.secret import Secret

Seen = Callable[[], Awaitable[set[str]]]  # thumbprints of the keys that targets know now


class VersionedKey(Protocol):
    """A key in Transit. Every verb except the last may raise Transient or Refused."""

    async def prepare(self, sort: str) -> None:
        """Ensure that the key exists, has this Transit type and cannot be exported. Refused says what to do."""
        ...

    async def versions(self) -> Mapping[int, str]:
        """The public keys (PEM) of the versions that can sign, by number; none where there is no such key."""
        ...

    async def rotate(self) -> None:
        """Create another version."""
        ...

    def version(self, number: int, public_pem: str) -> Signer:
        """A signer with exactly this version."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair in use: its signer, its public key as PEM, and where consumers find the private key."""

    signer: Signer
    pem: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def thumbprint(self) -> str:
        """The public key's thumbprint (RFC 7638). Raises Refused for an unfit key."""
        return public_key(self.pem).thumbprint


class KeyPairs(Protocol):
    """The source of a credential's key pairs."""

    @property
    def takes(self) -> bool:
        """Whether a person may supply a private key."""
        ...

    async def new(self, seen: Seen) -> Secret:
        """The value of a new pair, not among those `seen`. Raises Transient or Refused."""
        ...

    async def opened(self, value: Secret) -> Pair:
        """The pair with this value. Raises CannotPresent when settings now use another place, Transient,
        and Refused for a value that is no pair."""
        ...

    async def spend(self, thumbprint: str) -> None:
        """Mark a pair as ending: `new` must not return it again. Idempotent."""
        ...


class LocalPairs:
    """Key pairs made in this process. The value is the private key."""

    takes = True

    def __init__(self, algorithm: Algorithm, bits: int) -> None:
        self._algorithm = algorithm
        self._bits = bits
        self._parsed: tuple[Secret, LocalSigner] | None = None

    async def new(self, seen: Seen) -> Secret:
        """See `KeyPairs`."""
        return await to_thread.run_sync(make_key, self._algorithm, self._bits)

    async def opened(self, value: Secret) -> Pair:
        """See `KeyPairs`. Parsed once: for some kinds, consumers are cut off meanwhile."""
        if public_text(value):
            lost = "its key is in Vault Transit, and settings have no `transit_key` any more to sign with"
            raise CannotPresent(f"{lost}: put it back to use this value")
        if self._parsed is None or not self._parsed[0].matches(value):
            self._parsed = value, LocalSigner(value, made=True)  # or tested when a person supplied it
        signer = self._parsed[1]
        return Pair(signer, await signer.public_pem())

    async def spend(self, thumbprint: str) -> None:
        """Do nothing: no key is made twice."""


class TransitPairs:
    """Versions of a Transit key that belongs to the credential. The newest version is in use, or was never used."""

    takes = False

    def __init__(self, key: VersionedKey, path: str, algorithm: Algorithm, bits: int) -> None:
        """`path`: where consumers find the key, "mount/name"."""
        self._key = key
        self._path = path
        self._sort = "ecdsa-p256" if algorithm is Algorithm.ES256 else f"rsa-{bits}"
        self._local = LocalPairs(algorithm, bits)

    async def new(self, seen: Seen) -> Secret:
        """The newest version, unless it is known already: then another one. So a version is found, not created again,
        after a lost answer or a kill.
        """
        await self._key.prepare(self._sort)
        known, (thumbprint, pem) = await seen(), await self._newest()
        if thumbprint in known:
            await self._key.rotate()
            thumbprint, pem = await self._newest()
        if thumbprint in known:
            raise Transient(f"Transit key {self._path} has a new version, which this Vault node does not show yet")
        return Secret(pem)

    async def opened(self, value: Secret) -> Pair:
        """See `KeyPairs`. A value from before the settings named a Transit key is a private key, and is opened here."""
        pem = public_text(value)
        if pem is None:
            return await self._local.opened(value)
        wanted = public_key(pem).thumbprint
        for number, each in (await self._shown()).items():
            if public_key(each).thumbprint == wanted:
                beside = {"transit_key": self._path, "key_version": str(number)}
                return Pair(self._key.version(number, each), each, beside)
        lost = f"Transit key {self._path} has no version with this public key that may sign"
        raise CannotPresent(f"{lost}: where settings named another key before, put that back to use this value")

    async def spend(self, thumbprint: str) -> None:
        """Create a version after this one, because `new` only returns the newest."""
        shown = await self._shown()
        if shown and public_key(shown[max(shown)]).thumbprint == thumbprint:
            await self._key.rotate()

    async def _newest(self) -> tuple[str, str]:
        shown = await self._shown()
        if not shown:
            raise Refused(f"Transit key {self._path} has no version with a public key that may sign")
        pem = shown[max(shown)].strip()
        return public_key(pem).thumbprint, pem

    async def _shown(self) -> Mapping[int, str]:
        """A missing right is no verdict on a key."""
        try:
            return await self._key.versions()
        except StoreRefused as fault:
            raise Transient(f"Transit key {self._path}: {fault.reason}") from None


class Keys(Protocol):
    """The options of a key pair."""

    @property
    def transit_key(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def bits(self) -> int: ...


class Versions(Protocol):
    """Gives access to Transit keys by their path."""

    def versions(self, key: str) -> VersionedKey: ...


def pairs_of(keys: Keys, server: Versions) -> KeyPairs:
    """The source of key pairs for these options."""
    algorithm = Algorithm(keys.algorithm)
    if keys.transit_key:
        return TransitPairs(server.versions(keys.transit_key), keys.transit_key, algorithm, keys.bits)
    return LocalPairs(algorithm, keys.bits)
