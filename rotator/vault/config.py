"""The description of a Vault: where it is, how it is reached, and where in it our documents live.

Reaching it is session.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from rotator.host.proxy import is_loopback, leaves_here
from rotator.vault.transport import VaultProxy


@dataclass(frozen=True, slots=True)
class VaultConnection:
    """Where Vault is and where our documents live in it."""

    address: str
    mount: str = "secret"
    prefix: str = "rotator"
    instance: str = "rotator"  # names our heartbeat; no two running instances share one
    reading: bool = False  # we write nothing: what was written before our login is new enough
    namespace: str | None = None
    login_namespace: str | None = None  # where the login and its token live
    ca_file: str | None = None
    client_cert: tuple[str, str] | None = None  # certificate and key files
    connect_timeout: float = 3.0  # seconds
    read_timeout: float = 7.0  # seconds between two pieces of an answer
    total_timeout: float = 10.0  # seconds for one request, whatever happens
    allow_insecure_http: bool = False
    proxy: VaultProxy | None = None

    def __post_init__(self) -> None:
        """Raises ValueError with words for the settings."""
        if self.login_namespace is None:
            object.__setattr__(self, "login_namespace", self.namespace)
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the Vault address is not an http(s) URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the Vault address must not carry user, query or fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname) and not self.allow_insecure_http:
            raise ValueError("plain http to Vault is for loopback only, unless allow_insecure_http is set")
        if leaves_here(self.address, self.proxy.proxy if self.proxy else None) and not self.allow_insecure_http:
            raise ValueError("plain http to this host would leave it through a proxy elsewhere, in the clear")
