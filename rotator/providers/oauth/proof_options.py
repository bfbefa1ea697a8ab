"""The options by which a client proves itself, and which of them go together."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

import msgspec

from rotator.rotation.secret import SecretRef

MOUNT_AND_NAME = re.compile(r"[A-Za-z0-9._/-]+/[A-Za-z0-9._-]+")
SigningAlgorithm = Literal[
    "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
    "HS256", "HS384", "HS512",
]  # fmt: skip
AuthMethod = Literal[
    "client_secret_post", "client_secret_basic", "client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth"
]


class ProofOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a client proves itself. Raises ValueError for options that do not go together.

    A client with `client_secret` sends it; one with a key sends an assertion; one with both sends both, as HaloITSM
    seems to want it. With client_secret_jwt it sends an assertion that the secret signs, and never the secret.
    """

    makes_key: ClassVar[bool] = False  # rotations make the signing key; settings do not name it
    client_secret: SecretRef | None = None
    auth_method: AuthMethod = "client_secret_post"  # how the client shows its secret: in the form, in a header, or ...
    signing_key: SecretRef | None = None  # PEM; or ...
    transit_key: str = ""  # ... "transit/crm": the mount and name of a key that never leaves Vault
    tls_certificate: SecretRef | None = None  # PEM with its chain, presented by the connections of this client ...
    tls_key: SecretRef | None = None  # ... with this key; left out: in the same place
    algorithm: SigningAlgorithm = "PS256"

    def __post_init__(self) -> None:
        if conflict := self._foreign() or self._conflict():
            raise ValueError(conflict)
        if self.signing_key and self.transit_key:
            raise ValueError("signing_key and transit_key exclude each other")
        if self.transit_key and not MOUNT_AND_NAME.fullmatch(self.transit_key):
            raise ValueError('transit_key is a mount and a name, such as "transit/crm"')

    @property
    def proves_by_tls(self) -> bool:
        """Whether the certificate of its connections is its proof (RFC 8705, section 2)."""
        return self.auth_method in ("tls_client_auth", "self_signed_tls_client_auth")

    @property
    def has_key(self) -> bool:
        """Whether settings name a signing key."""
        return bool(self.signing_key or self.transit_key)

    @property
    def signs_by_secret(self) -> bool:
        """Whether its secret signs assertions and is never sent."""
        return self.auth_method == "client_secret_jwt"

    @property
    def asserts(self) -> bool:
        """Whether it proves itself with an assertion, by a key or a secret in the settings."""
        return self.has_key or self.signs_by_secret

    @property
    def certificate_option(self) -> str:
        """The first option in the settings that is about a certificate of its connections, or ""."""
        if self.proves_by_tls:
            return f"auth_method {self.auth_method}"
        return "tls_certificate" if self.tls_certificate else "tls_key" if self.tls_key else ""

    def unproven(self) -> str:
        """Why a client that names no proof cannot have a token, and what to do."""
        if self.tls_certificate is None:
            return "client_secret, signing_key, transit_key or tls_certificate is missing: how shall it prove itself?"
        return (
            'tls_certificate is no proof by itself: set auth_method = "tls_client_auth", or'
            ' "self_signed_tls_client_auth"; or name client_secret, signing_key or transit_key, and it goes beside that'
        )

    def _foreign(self) -> str:
        """Why an option is none of this kind's, and what to do; empty: each is."""
        return ""

    def _conflict(self) -> str:
        """Why these options do not go together, and what to do; empty: they do."""
        key = self.has_key or self.makes_key
        if self.auth_method == "client_secret_basic" and (key or not self.client_secret):
            return "auth_method can be that for a secret alone; beside a key an assertion is the proof"
        return self._of_a_secret_that_signs(key=key) or self._of_a_certificate(key=key)

    def _of_a_secret_that_signs(self, *, key: bool) -> str:
        hashed = self.algorithm.startswith("HS")
        if not self.signs_by_secret:
            instead = 'set auth_method = "client_secret_jwt", or another algorithm where a key signs'
            return f"algorithm {self.algorithm} signs with a shared secret: {instead}" if hashed else ""
        if key:
            return "auth_method client_secret_jwt excludes signing_key and transit_key: leave it out where a key signs"
        if self.client_secret is None:
            return "auth_method client_secret_jwt needs the key client_secret: it signs the assertions"
        return "" if hashed else 'algorithm must be "HS256", "HS384" or "HS512" with auth_method = "client_secret_jwt"'

    def _of_a_certificate(self, *, key: bool) -> str:
        if self.tls_key and not self.tls_certificate:
            return "tls_key needs the key tls_certificate: the certificate of that key"
        if not self.proves_by_tls:
            return ""
        if self.tls_certificate is None:
            return f"auth_method {self.auth_method} needs the key tls_certificate: it is the proof"
        if self.client_secret or key:
            return (
                f"auth_method {self.auth_method} excludes client_secret, signing_key and transit_key: leave them out,"
                " or leave auth_method out, and the certificate goes beside that proof"
            )
        return ""
