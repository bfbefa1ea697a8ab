"""Where new key pairs come from: made in this process, or as a version of a key that never leaves Vault Transit.

Who is told of the public half is each kind's; keys are signing.py's, the calls to Transit vault/transit.py's.

A pair in Transit has its public key as its value. It is no secret, but is handled like one; it says by itself which
version it means, even of a key that was deleted and made anew, and shares no text with `kid`, which logs have to show.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from anyio import to_thread

from rotator.ports import CannotPresent, Refused, StoreRefused, Transient
from rotator.providers.keys.signing import Algorithm, LocalSigner, Signer, make_key, public_key, public_text
from rotator.rotation.secret import Secret

Seen = Callable[[], Awaitable[set[str]]]  # thumbprints of the keys that targets know at that moment


class VersionedKey(Protocol):
    """A key of Transit. Every verb but the last may raise Transient or Refused."""

    async def prepare(self, sort: str) -> None:
        """See that there is one of this Transit type that nobody can take out; Refused says what to do."""
        ...

    async def versions(self) -> Mapping[int, str]:
        """The public keys (PEM) of the versions that can sign, by number; none where there is no such key."""
        ...

    async def rotate(self) -> None:
        """Make a version more."""
        ...

    def version(self, number: int, public_pem: str) -> Signer:
        """Whoever signs with exactly this version."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair at work: who signs with it, its public half as PEM, and where consumers find the private one."""

    signer: Signer
    pem: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def thumbprint(self) -> str:
        """The public key's name (RFC 7638). Raises Refused for a key that is not fit."""
        return public_key(self.pem).thumbprint


class KeyPairs(Protocol):
    """Where a credential's pairs come from."""

    @property
    def takes(self) -> bool:
        """Whether a person may bring a private key."""
        ...

    async def new(self, seen: Seen) -> Secret:
        """The value of a pair that nobody knows yet: none of those `seen`. Raises Transient or Refused."""
        ...

    async def opened(self, value: Secret) -> Pair:
        """The pair that this is the value of. Raises CannotPresent when settings sign elsewhere by now, Transient,
        Refused for what is no pair."""
        ...

    async def spend(self, thumbprint: str) -> None:
        """This pair is about to end: `new` must not come back to it. Doing it twice is doing it once."""
        ...


class LocalPairs:
    """Pairs made in this process. Their value is the private key."""

    takes = True

    def __init__(self, algorithm: Algorithm, bits: int) -> None:
        self._algorithm = algorithm
        self._bits = bits
        self._parsed: tuple[Secret, LocalSigner] | None = None

    async def new(self, seen: Seen) -> Secret:
        """See `KeyPairs`."""
        return await to_thread.run_sync(make_key, self._algorithm, self._bits)

    async def opened(self, value: Secret) -> Pair:
        """See `KeyPairs`. Parsed once: of some kinds, consumers are cut off while we look at it."""
        if public_text(value):
            lost = "its key is in Vault Transit, and settings have no `transit_key` any more to sign with"
            raise CannotPresent(f"{lost}: put it back to use this value")
        if self._parsed is None or not self._parsed[0].matches(value):
            self._parsed = value, LocalSigner(value, made=True)  # or tested when a person brought it
        signer = self._parsed[1]
        return Pair(signer, await signer.public_pem())

    async def spend(self, thumbprint: str) -> None:
        """Nothing: no key is made twice."""


class TransitPairs:
    """Versions of one Transit key, which is the credential's own. Its newest version is in use, or was never used."""

    takes = False

    def __init__(self, key: VersionedKey, path: str, algorithm: Algorithm, bits: int) -> None:
        """`path`: where consumers find the key, "mount/name"."""
        self._key = key
        self._path = path
        self._sort = "ecdsa-p256" if algorithm is Algorithm.ES256 else f"rsa-{bits}"
        self._local = LocalPairs(algorithm, bits)

    async def new(self, seen: Seen) -> Secret:
        """The newest version, unless somebody knows it: then one more. So a rotation of the key whose answer was lost,
        or after which we were killed, is found again and not repeated.
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
        """See `KeyPairs`. What was made before the settings named a Transit key is a private key: it is opened here."""
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
        """Only the newest version is ever taken for new: with one after it, this one is not."""
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
        """A right that we lack is no verdict on any key."""
        try:
            return await self._key.versions()
        except StoreRefused as fault:
            raise Transient(f"Transit key {self._path}: {fault.reason}") from None


class Keys(Protocol):
    """What settings say of a pair."""

    @property
    def transit_key(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def bits(self) -> int: ...


class Versions(Protocol):
    """Whoever has keys of Transit by their path."""

    def versions(self, key: str) -> VersionedKey: ...


def pairs_of(keys: Keys, server: Versions) -> KeyPairs:
    """Where these settings want pairs to come from."""
    algorithm = Algorithm(keys.algorithm)
    if keys.transit_key:
        return TransitPairs(server.versions(keys.transit_key), keys.transit_key, algorithm, keys.bits)
    return LocalPairs(algorithm, keys.bits)
