"""Where a secret is to be found; finding it is left to settings (files, systemd) and to the vault edge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SecretSource(StrEnum):
    """Who keeps the secret."""

    FILE = "file"
    CREDENTIAL = "credential"
    VAULT = "vault"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret's whereabouts, safe to log: an absolute file, a systemd credential, or a key of a Vault document."""

    source: SecretSource
    name: str  # the file, the credential's name, or "mount/path"
    key: str = ""  # the key within the Vault document

    def __str__(self) -> str:
        return f"{self.source}:{self.name}" + (f"#{self.key}" if self.key else "")
