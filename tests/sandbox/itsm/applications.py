"""The API applications: what the server knows of each client, its two key slots, and how it is shown as JSON.

Who may read or change them is left to `application_api`. Values are kept as digests only.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509


def digest(value: str) -> str:
    """What the server keeps of a value."""
    return hashlib.sha256(value.encode()).hexdigest() if value else ""


def bound_to(certificate: bytes) -> str:
    """By what a token is bound to a TLS certificate: `x5t#S256` (RFC 8705, section 3.1); empty: to none."""
    return urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode() if certificate else ""


@dataclass(slots=True)
class KeySlot:
    """One of the two places for an API key."""

    kept: str = ""
    generated: datetime | None = None
    expires: datetime | None = None
    last_used: datetime | None = None

    def put(self, value: str, now: datetime, days: int) -> None:
        """Overwrite the slot; the former key is dead at once."""
        self.kept, self.generated, self.last_used = digest(value), now, None
        self.expires = now + timedelta(days=days)

    def opens(self, value: str, now: datetime, *, use: bool = True) -> bool:
        """Whether this value is the slot's living key; notes the use, if it is one."""
        live = bool(self.kept) and self.expires is not None and now < self.expires
        if not (live and hmac.compare_digest(self.kept, digest(value))):
            return False
        if use:
            self.last_used = now
        return True


@dataclass(slots=True)
class Application:
    """One API application. `agent` None: it is its own machine identity, with `roles`."""

    id: str
    client_id: str
    name: str
    created: datetime
    secret: str = ""  # a digest
    shared_secret: str = ""  # the secret itself, for a client that signs with it
    scopes: tuple[str, ...] = ("all",)
    agent: int | None = None
    roles: tuple[str, ...] = ()
    certificate: str = ""  # the digest of its TLS certificate (x5t#S256), or ...
    subject: str = ""  # ... the subject that a trusted one has: its proof (RFC 8705)
    demands_assertion: bool = False
    public_key: str = ""  # PEM; one key, so that replacing it is a hard cut-over
    kid: str = ""
    jwks: Callable[[], str] | None = None  # where the client's key set is read; then there is no single key
    rereads: bool = False  # the set is the server's own: what it holds counts at once
    issuer: str = ""  # what `iss` must be; empty: the client id
    expiry_days: int = 90
    inactive: bool = False
    system: bool = False  # the product's own: to be left alone
    slots: tuple[KeySlot, KeySlot] = field(default_factory=lambda: (KeySlot(), KeySlot()))
    changes: int = 0

    @property
    def public(self) -> bool:
        """Whether it is a public client (RFC 6749, section 2.1): it has nothing to prove itself with."""
        return not (self.secret or self.demands_assertion or self.certificate or self.subject)

    def is_shown_by(self, certificate: bytes) -> bool:
        """Whether this TLS certificate (DER) is the client's proof."""
        if not certificate:
            return False
        subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
        return bool(self.subject and subject == self.subject) or (
            bool(self.certificate) and hmac.compare_digest(bound_to(certificate), self.certificate)
        )

    def knows(self, secret: str) -> bool:
        """Whether this is the client secret."""
        return bool(self.secret) and hmac.compare_digest(self.secret, digest(secret))

    def document(self) -> dict[str, Any]:
        """As the Application API shows it: no secret, no key."""
        shown: dict[str, Any] = {
            "id": self.id,
            "clientId": self.client_id,
            "displayName": self.name,
            "grant_type": "client_credentials",
            "inactive": self.inactive,
            "_issystem": self.system,
            "creation_date": _stamp(self.created),
            "use_jwt_assertion": self.demands_assertion,
            "public_key": self.public_key,
            "issuer": self.issuer,
            "loginas_agent_id": self.agent or 0,
            "roles": list(self.roles),
            "scopes": [{"application_id": self.id, "name": name} for name in self.scopes],
            "apikey_expiry_days": self.expiry_days,
            "concurrencyToken": str(self.changes),
        }
        for number, slot in enumerate(self.slots, 1):
            shown[f"apikey{number}_date_generated"] = _stamp(slot.generated)
            shown[f"apikey{number}_last_use_date"] = _stamp(slot.last_used)
            shown[f"apikey{number}_expiry_date"] = _stamp(slot.expires)
        return shown


def _stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if moment else None
