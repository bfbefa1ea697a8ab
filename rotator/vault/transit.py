"""Keys of Vault's Transit engine: sign, and create versions. The private key never leaves Vault.

Facts (OpenBao 2.7.2, hvac 2.4.0): PS256 needs `salt_length="hash"`, the default is refused by JOSE libraries;
`marshaling_algorithm="jws"` gives unpadded base64url, and for ESnnn the two raw numbers of RFC 7518. An ed25519 key
takes neither hash nor scheme, and is shown as its 32 bytes in base64, where others are shown as PEM. A version below
`min_decryption_version` is not shown; signing with that, or with one below `min_encryption_version`, is answered 500,
as a server in trouble would: so a version is looked up before it is asked to sign.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Mapping

from rotator.ports import Refused, StoreRefused, Transient
from rotator.vault.hvac_adapter import VaultResponse
from rotator.vault.session import Session

_BITS = ("256", "384", "512")  # of the hash, at the end of the algorithm's name; an ed25519 key has its own
_SCHEMES = {"PS": "pss", "RS": "pkcs1v15"}  # by the beginning of the algorithm's name; for other keys it is not read
_ED25519 = bytes.fromhex("302a300506032b6570032100")  # what stands before the 32 bytes in an SPKI (RFC 8410, section 4)


class TransitKey:
    """One key by its name; the newest version signs. The policy needs `read` on keys/NAME and `update` on sign/NAME,
    and to rotate it `update` on keys/NAME/rotate. Every verb may raise Transient, Refused or StoreRefused.
    """

    def __init__(self, session: Session, name: str, mount: str = "transit") -> None:
        self._session = session
        self._name = name
        self._mount = mount

    async def public_pem(self) -> str:
        """The newest version's public key. Raises Refused when there is no such key, or it has no public half."""
        answer = await self._read()
        newest = str(self._section(answer).get("latest_version", ""))
        pem = answer.section("data", "keys", newest).get("public_key")
        if isinstance(pem, str) and not pem.isascii():
            raise Transient(f"what Vault answers of Transit key {self} is not in Transit's form")
        if not isinstance(pem, str) or not pem:
            raise Refused(
                f"Transit key {self} has no public key: make it rsa-3072, ecdsa-p256, -p384 or -p521, or ed25519"
            )
        return _pem(pem)

    async def sign(self, algorithm: str, message: bytes, version: int | None = None) -> bytes:
        """A signature in the form of RFC 7518, by one version or by the newest."""
        answer = await self._session.ask(
            lambda client: client.secrets.transit.sign_data(
                self._name,
                hash_input=b64encode(message).decode(),
                key_version=version,
                hash_algorithm=f"sha2-{algorithm[2:]}" if algorithm[2:] in _BITS else "sha2-512",
                signature_algorithm=_SCHEMES.get(algorithm[:2], "pss"),
                marshaling_algorithm="jws",
                salt_length="hash",
                mount_point=self._mount,
            )
        )
        text = str(self._section(answer).get("signature", "")).rpartition(":")[2]
        try:
            signature = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            signature = b""
        if not signature:
            raise Transient(f"Transit key {self} gave no readable signature")
        return signature

    # versions

    async def prepare(self, sort: str) -> None:
        """Ensure that the key exists, has this Transit type and cannot be exported; create it if allowed. Raises
        Refused with words.
        """
        answer = await self._read()
        if answer.status == 404:
            await self._make(sort)
            return
        told = answer.section("data")
        if told.get("exportable") or told.get("allow_plaintext_backup") or told.get("imported_key"):
            raise Refused(f"Transit key {self} is exportable, backed up in plaintext or imported: others may have it")
        if told.get("type") != sort:
            raise Refused(f"Transit key {self} is not of the type {sort}, which the settings ask for")

    async def versions(self) -> dict[int, str]:
        """The public keys of the versions that can sign, by number; none where there is no such key.

        Raises Transient for an answer that is not Transit's: a version that seems missing may end a credential.
        """
        answer = await self._read()
        if answer.status == 404:
            return {}
        shown, least = answer.section("data", "keys"), answer.section("data").get("min_encryption_version")
        if not shown or not all(map(_is_version, shown.items())):
            raise Transient(f"what Vault answers of Transit key {self} is not in Transit's form")
        least = least if isinstance(least, int) else 0
        return {int(number): pem for number, pem in _pems(shown) if int(number) >= least}

    async def rotate(self) -> None:
        """Create a version. If the answer is lost, `versions` shows whether it was created."""
        self._section(
            await self._session.ask(
                lambda client: client.secrets.transit.rotate_key(self._name, mount_point=self._mount)
            )
        )

    def version(self, number: int, public_pem: str) -> TransitVersion:
        """A signer with exactly this version."""
        return TransitVersion(self, number, public_pem)

    def __str__(self) -> str:
        return f"{self._mount}/{self._name}"

    async def _read(self) -> VaultResponse:
        answer: VaultResponse = await self._session.ask(
            lambda client: client.secrets.transit.read_key(self._name, mount_point=self._mount)
        )
        return answer

    async def _make(self, sort: str) -> None:
        command = f"`bao write -f {self._mount}/keys/{self._name} type={sort}`"
        try:
            answer = await self._session.ask(
                lambda client: client.secrets.transit.create_key(
                    self._name, key_type=sort, exportable=False, mount_point=self._mount
                )
            )
        except StoreRefused:
            raise Refused(f"there is no Transit key {self}, and our policy lets us make none: {command}") from None
        if answer.status == 404:
            raise Refused(f"there is no Transit engine at {self._mount}: `bao secrets enable` it, then {command}")

    def _section(self, answer: VaultResponse) -> dict[str, object]:
        if answer.status == 404:
            raise Refused(f"there is no Transit key {self}")
        return dict(answer.section("data"))


class TransitVersion:
    """One version of a key. Its number and its public key never change."""

    def __init__(self, key: TransitKey, number: int, public_pem: str) -> None:
        self._key = key
        self._number = number
        self._pem = public_pem

    async def public_pem(self) -> str:
        """The version's public key."""
        return self._pem

    async def sign(self, algorithm: str, message: bytes) -> bytes:
        """See `TransitKey.sign`."""
        return await self._key.sign(algorithm, message, self._number)


def _is_version(each: tuple[str, object]) -> bool:
    """Whether a version has a number, and a time (key without a public half) or an object with a public key as text."""
    number, told = each
    text = told.get("public_key", "") if isinstance(told, Mapping) else ""
    return isinstance(text, str) and text.isascii() and re.fullmatch("[0-9]{1,9}", number) is not None


def _pems(shown: Mapping[str, object]) -> list[tuple[str, str]]:
    found = ((number, each.get("public_key")) for number, each in shown.items() if isinstance(each, Mapping))
    return [(number, _pem(pem)) for number, pem in found if isinstance(pem, str) and pem]


def _pem(shown: str) -> str:
    """The PEM of a public key, of which Transit shows an ed25519 one as its 32 bytes in base64."""
    if "-----BEGIN" in shown:
        return shown
    try:
        raw = b64decode(shown, validate=True)
    except ValueError:
        return shown
    text = b64encode(_ED25519 + raw).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n" if len(raw) == 32 else shown
