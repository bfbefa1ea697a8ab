"""When what we log in to Vault with can be used no more, as far as somebody tells: a date, or a number of uses."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from rotator.rotation.secret import Secret

_SHARE = 10  # a tenth of its life before the end is soon: what a kubelet replaces at four fifths never gets there
_SOONEST = timedelta(days=14)
_FEW = 3  # further logins


@dataclass(frozen=True, slots=True)
class LoginEnd:
    """`uses`: logins that are left, None without a limit. `unknown`: why neither end nor uses could be found out."""

    what: str
    ends: datetime | None = None
    began: datetime | None = None
    uses: int | None = None
    unknown: str = ""

    @property
    def soon_from(self) -> datetime | None:
        """From when on the end is near enough for a person to act."""
        if self.ends is None:
            return None
        life = self.ends - self.began if self.began and self.began < self.ends else _SOONEST
        return self.ends - min(life / _SHARE, _SOONEST)

    def is_near(self, now: datetime) -> bool:
        """Whether a person should replace it now."""
        soon = self.soon_from
        return (soon is not None and now >= soon) or (self.uses is not None and self.uses < _FEW)

    def __str__(self) -> str:
        parts = [f"ends {self.ends:%F %T}Z"] if self.ends else []
        if self.uses is not None:
            more = "one more login" if self.uses == 1 else f"{self.uses} more logins"
            parts.append(f"is good for {more}" if self.uses else "was used for the last time")
        if self.unknown:
            return f"our {self.what}: when it ends is not known, {self.unknown}"
        return f"our {self.what} {' and '.join(parts) or 'has no end that Vault tells'}"


def of_jwt(token: Secret) -> LoginEnd:
    """A JWT's own word. Its signature is Vault's to check."""
    try:
        payload = token.reveal().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        ends, began = (
            datetime.fromtimestamp(claims[key], UTC) if isinstance(claims.get(key), int | float) else None
            for key in ("exp", "iat")
        )
    except (ValueError, IndexError, AttributeError, OverflowError, OSError, RecursionError):
        return LoginEnd("JWT", unknown="it is no JWT that we can read")
    return LoginEnd("JWT", ends, began)


def of_certificate(path: str) -> LoginEnd:
    """The first certificate in a PEM file."""
    try:
        found = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return LoginEnd("client certificate", unknown="its file cannot be read")
    return LoginEnd("client certificate", found.not_valid_after_utc, found.not_valid_before_utc)


def instant(told: object) -> datetime | None:
    """A time as Vault writes it; year 1 says that there is none. Python keeps six digits of a second."""
    try:
        read = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo and read.year > 1 else None
