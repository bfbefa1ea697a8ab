"""A local certificate authority and the certificates it signs, for TLS listeners and client certificates."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.kit.certificates import sign


class Authority:
    """Signs for a day. `file` is its own certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(name, self._key, ca=True))

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for loopback that may serve and be a client; the files of it and of its key (0600)."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(self._signed(name, key))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        secret.chmod(0o600)
        return certificate, secret

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool = False) -> bytes:
        host = "" if ca else "127.0.0.1"
        return sign(key.public_key(), name, self._key, self._name, ca=ca, host=host).public_bytes(Encoding.PEM)
