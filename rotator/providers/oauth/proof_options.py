"""Which options of a client's proof go together."""

from __future__ import annotations

from typing import Protocol

from rotator.rotation.secret import SecretRef


class ProofOptions(Protocol):
    """The options by which a client proves itself: see `ClientOptions`."""

    @property
    def makes_key(self) -> bool: ...
    @property
    def has_key(self) -> bool: ...
    @property
    def signs_by_secret(self) -> bool: ...
    @property
    def proves_by_tls(self) -> bool: ...
    @property
    def auth_method(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def client_secret(self) -> SecretRef | None: ...
    @property
    def tls_certificate(self) -> SecretRef | None: ...
    @property
    def tls_key(self) -> SecretRef | None: ...


def proof_conflict(client: ProofOptions) -> str:
    """Why the options by which a client proves itself do not go together, and what to do; empty: they do."""
    key = client.has_key or client.makes_key
    if client.auth_method == "client_secret_basic" and (key or not client.client_secret):
        return "auth_method can be that for a secret alone; beside a key an assertion is the proof"
    return _of_a_secret_that_signs(client, key=key) or _of_a_certificate(client, key=key)


def _of_a_secret_that_signs(client: ProofOptions, *, key: bool) -> str:
    hashed = client.algorithm.startswith("HS")
    if not client.signs_by_secret:
        instead = 'set auth_method = "client_secret_jwt", or another algorithm where a key signs'
        return f"algorithm {client.algorithm} signs with a shared secret: {instead}" if hashed else ""
    if key:
        return "auth_method client_secret_jwt excludes signing_key and transit_key: leave it out where a key signs"
    if client.client_secret is None:
        return "auth_method client_secret_jwt needs the key client_secret: it signs the assertions"
    return "" if hashed else 'algorithm must be "HS256", "HS384" or "HS512" with auth_method = "client_secret_jwt"'


def _of_a_certificate(client: ProofOptions, *, key: bool) -> str:
    if client.tls_key and not client.tls_certificate:
        return "tls_key needs the key tls_certificate: the certificate of that key"
    if not client.proves_by_tls:
        return ""
    if client.tls_certificate is None:
        return f"auth_method {client.auth_method} needs the key tls_certificate: it is the proof"
    if client.client_secret or key:
        return (
            f"auth_method {client.auth_method} excludes client_secret, signing_key and transit_key: leave them out, or"
            " leave auth_method out, and the certificate goes beside that proof"
        )
    return ""
