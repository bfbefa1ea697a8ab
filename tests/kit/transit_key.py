"""A key of Transit in memory: it makes versions, hides and forgets them, and its answers can be lost."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from rotator.ports import Fault, StoreRefused, Transient
from tests.unit.providers.keys import public_pem, rsa_key

_MADE: dict[str, Any] = {
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


class HandTransitKey:
    """`faults` are raised by the next verbs; with `lost`, the next version is made and the answer never comes."""

    def __init__(self) -> None:
        self.sort = ""
        self.made: dict[int, Any] = {}
        self.least = 1  # versions below are not shown
        self.lags = False  # the newest is not shown yet
        self.lost = False
        self.mute = False  # nobody may sign
        self.faults: list[Fault] = []
        self.rotations = 0

    async def prepare(self, sort: str) -> None:
        self._fail()
        self.sort = sort
        if not self.made:
            self._make()

    async def versions(self) -> dict[int, str]:
        self._fail()
        shown = {number: public_pem(key) for number, key in self.made.items() if number >= self.least}
        if self.lags:
            del shown[max(shown)]
        return shown

    async def rotate(self) -> None:
        self._fail()
        self.rotations += 1
        self._make()
        if self.lost:
            self.lost = False
            raise Transient("no usable answer")

    def version(self, number: int, pem: str) -> OneVersion:
        return OneVersion(None if self.mute else self.made[number], pem)

    def _make(self) -> None:
        number = len(self.made) + 1
        made = _MADE.get(self.sort)
        self.made[number] = made() if made else rsa_key(2048, number)

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


class OneVersion:
    """Signs with one private key."""

    def __init__(self, key: Any, pem: str) -> None:
        self.key = key
        self.pem = pem

    async def public_pem(self) -> str:
        return self.pem

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        if self.key is None:
            raise StoreRefused("Vault answered 403")
        signer: Any = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm)
        return bytes(signer.sign(message, self.key))
