"""TLS client certificates (RFC 8705): reading, dates, and TLS settings that present them."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from rotator.ports import UnusableKey
from rotator.providers.keys.signing import unpadded
from rotator.rotation.secret import Secret

_SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
_RENEW = "compare tls_certificate and tls_key, and have the pair issued again"
_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_LATE = 5  # a certificate with less than this part of its life should have been renewed: agents do so at a third
_LONGEST = 120  # characters of a subject


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate with its chain, and its private key. `str` is no secret: subject, end, SHA-256 digest."""

    chain: Secret  # PEM, our own certificate first
    key: Secret  # PEM; other blocks may stand around it
    subject: str
    digest: str  # `x5t#S256`, by which servers bind tokens to it
    begins: datetime
    ends: datetime

    def is_made_of(self, chain: Secret, key: Secret) -> bool:
        """Whether it was read from these texts."""
        return self.chain.matches(chain) and self.key.matches(key)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Present it with these TLS settings. `ssl` reads files only, so it is shown one that is in memory alone.

        Raises UnusableKey when OpenSSL takes neither the chain nor the key.
        """
        file, sole = os.memfd_create("client-certificate"), _KEY.search(self.key.reveal())
        try:
            with open(
                file, "wb", closefd=False
            ) as inner:  # each certificate once: the length of a chain tells its sort
                inner.write(f"{sole[0] if sole else ''}\n{self.chain.reveal()}\n".encode())
            context.load_cert_chain(f"/proc/self/fd/{file}", password="")
        except ssl.SSLError:
            raise UnusableKey("TLS cannot use the client certificate", remedy=_RENEW) from None
        except OSError:
            raise UnusableKey("the client certificate cannot be handed to TLS", remedy="is /proc there?") from None
        finally:
            os.close(file)

    def trouble(self, now: datetime) -> str:
        """What is wrong with its dates, or soon will be; empty: nothing."""
        if now < self.begins:
            return f"it is not valid before {self.begins:%F %R}Z: compare this machine's clock"
        if now >= self.ends:
            return f"it expired at {self.ends:%F %R}Z: renew it, the files are read anew at each call"
        if (self.ends - now) * _LATE < self.ends - self.begins:
            return f"it expires at {self.ends:%F %R}Z and was not renewed yet: does whoever renews it still run?"
        return ""

    def __str__(self) -> str:
        return f"{self.subject or 'without a subject'}, valid until {self.ends:%F %R}Z, x5t#S256 {self.digest}"


def client_certificate(certificate: Secret, key: Secret) -> ClientCertificate:
    """The pair, from PEM texts that may hold each other's blocks as well. Raises UnusableKey without quoting them."""
    try:
        own = x509.load_pem_x509_certificates(certificate.reveal().encode())[0]
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(
            "the client certificate cannot be read", remedy="tls_certificate is PEM: our certificate first, its chain"
        ) from None
    if (found := _KEY.search(key.reveal())) is None:
        raise UnusableKey("there is no private key for the client certificate", remedy="name its PEM file in tls_key")
    try:
        public = load_pem_private_key(found[0].encode(), None).public_key()
        fits = public.public_bytes(*_SPKI) == own.public_key().public_bytes(*_SPKI)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey(
            "the client certificate's key cannot be read", remedy="tls_key is a PEM private key without a passphrase"
        ) from None
    if not fits:
        raise UnusableKey("tls_key is not the key of tls_certificate", remedy=_RENEW)
    subject = "".join(char if char.isprintable() and char.isascii() else "?" for char in own.subject.rfc4514_string())
    digest = unpadded(own.fingerprint(hashes.SHA256()))
    return ClientCertificate(
        certificate, key, subject[:_LONGEST], digest, own.not_valid_before_utc, own.not_valid_after_utc
    )
