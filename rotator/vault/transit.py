"""Owns signing with a key of Vault's Transit engine: the private half never leaves Vault.

What is signed is left to the providers; requests and the token to session.py.

Facts, OpenBao 2.7.2 and hvac 2.4.0: PS256 needs `salt_length="hash"`, the default is refused by JOSE libraries;
`marshaling_algorithm="jws"` gives unpadded base64url, and for ES256 the 64 raw bytes of RFC 7518.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode

from rotator.ports import Refused, Transient
from rotator.vault.adapter import Answer
from rotator.vault.session import Session

_SCHEMES = {"PS256": "pss", "RS256": "pkcs1v15", "ES256": "pss"}  # the last is not read for an EC key


class TransitKey:
    """One key by its name; the newest version signs. The policy needs `read` on keys/NAME and `update` on sign/NAME."""

    def __init__(self, session: Session, name: str, mount: str = "transit") -> None:
        self._session = session
        self._name = name
        self._mount = mount

    async def public_pem(self) -> str:
        """The newest version's public key. Raises Refused when there is no such key, or it has no public half."""
        answer = await self._session.ask(
            lambda client: client.secrets.transit.read_key(self._name, mount_point=self._mount)
        )
        newest = str(self._section(answer).get("latest_version", ""))
        pem = answer.section("data", "keys", newest).get("public_key")
        if not isinstance(pem, str) or not pem:
            raise Refused(f"Transit key {self} has no public key: make it rsa-3072, rsa-2048 or ecdsa-p256")
        return pem

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """A signature in the form of RFC 7518. Raises Transient, Refused or StoreRefused."""
        answer = await self._session.ask(
            lambda client: client.secrets.transit.sign_data(
                self._name,
                hash_input=b64encode(message).decode(),
                hash_algorithm="sha2-256",
                signature_algorithm=_SCHEMES[algorithm],
                marshaling_algorithm="jws",
                salt_length="hash",
                mount_point=self._mount,
            )
        )
        signature = str(self._section(answer).get("signature", "")).rpartition(":")[2]
        try:
            return urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        except ValueError:
            raise Transient(f"Transit key {self} gave no readable signature") from None

    def __str__(self) -> str:
        return f"{self._mount}/{self._name}"

    def _section(self, answer: Answer) -> dict[str, object]:
        if answer.status == 404:
            raise Refused(f"there is no Transit key {self}")
        return dict(answer.section("data"))
