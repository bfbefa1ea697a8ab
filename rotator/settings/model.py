"""The settings as data classes: frozen, checked, without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rotator.host.proxy import Proxy
from rotator.rotation.change_calendar import Freeze, Window
from rotator.rotation.credential import Credential
from rotator.rotation.secret import SecretRef

if TYPE_CHECKING:
    from rotator.providers.base import TargetConfig


class Method(StrEnum):
    """The method of the login to Vault."""

    TOKEN = "token"  # noqa: S105 - the name of a method
    APPROLE = "approle"
    KUBERNETES = "kubernetes"
    JWT = "jwt"
    CERT = "cert"


class LogLevel(StrEnum):
    """The least serious log lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class VaultAuth:
    """A login; which fields are set depends on the method."""

    method: Method
    mount: str  # where the auth method is mounted, without `auth/`
    role: str = ""  # kubernetes, jwt, cert
    role_id: str = ""  # approle
    secret_id: SecretRef | None = None  # approle
    token: SecretRef | None = None  # token; kubernetes and jwt: the signed JWT
    cert_file: str = ""
    key_file: str = ""
    namespace: str | None = None  # of the login; None: that of the secrets; "": the root


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """The address of Vault, the login, and the part of Vault that is ours."""

    address: str
    auth: VaultAuth
    namespace: str = ""
    mount: str = "secret"
    prefix: str = "rotator"
    mounts: tuple[str, ...] = ()  # further mounts that secret references point into
    ca_file: str | None = None
    allow_insecure_http: bool = False
    connect_timeout: timedelta = timedelta(seconds=3)
    read_timeout: timedelta = timedelta(seconds=5)
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The options of the process."""

    instance: str
    socket: str = "/run/rotator/control.sock"
    in_flight: int = 8  # rotations at once
    tick: timedelta = timedelta(seconds=1)
    lease: timedelta = timedelta(seconds=30)
    reconcile: timedelta = timedelta(seconds=45)
    sweep: timedelta = timedelta(hours=1)
    probe: timedelta | None = timedelta(minutes=15)  # between two probes of a published value
    drain: timedelta = timedelta(seconds=30)
    name_prefix: str = "rotator"  # mint names begin with it
    read_only: bool = False  # this Vault is a copy of another: read, never act
    watch: bool = False  # changed settings are taken without a signal
    log_level: LogLevel = LogLevel.INFO


@dataclass(frozen=True, slots=True)
class Listen:
    """An address of this host: a numeric host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class MetricsBy(StrEnum):
    """Whether metrics tell of each credential, or sum up what is at a target."""

    CREDENTIALS = "credentials"
    TARGETS = "targets"


@dataclass(frozen=True, slots=True)
class Status:
    """The status server: off, unless settings name an address."""

    listen: Listen | None = None
    allow_remote: bool = False
    jwks_listen: Listen | None = None  # separate: readers of public keys need not see the status
    hosts: tuple[str, ...] = ()  # accepted Host names, besides addresses and loopback names
    metrics: MetricsBy = MetricsBy.CREDENTIALS


@dataclass(frozen=True, slots=True)
class Audit:
    """The file of receipts. `required`: without it no rotation begins; `sync`: each is on disk before the next step."""

    file: str = ""
    required: bool = False
    sync: bool = True


class HookMoment(StrEnum):
    """The moments at which a hook may be called; observe/hooks/facts.py maps transitions to them."""

    REQUESTED = "requested"
    STAGED = "staged"
    VERIFIED = "verified"
    PUBLISHED = "published"
    CONDEMNED = "condemned"
    RETIRED = "retired"
    SETTLED = "settled"
    FAILED = "failed"
    FAULTED = "faulted"
    REFUSED = "refused"
    AWAITING = "awaiting"
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Hook:
    """A program with its arguments, or an address and the secret that signs calls to it."""

    name: str
    on: tuple[HookMoment, ...]
    command: tuple[str, ...] = ()
    url: str | SecretRef = ""
    secret: SecretRef | None = None
    ca_file: str | None = None
    allow_insecure_http: bool = False
    credentials: tuple[str, ...] = ()  # only these; empty: all
    labels: Mapping[str, str] = field(default_factory=dict)  # only credentials that carry all of these
    timeout: timedelta = timedelta(seconds=10)  # of one attempt
    attempts: int = 3
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """An address that is called while all is well, so that silence raises an alarm."""

    url: str | SecretRef
    every: timedelta = timedelta(minutes=1)
    ca_file: str | None = None
    allow_insecure_http: bool = False
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Tracing:
    """Traces over OTLP. An empty endpoint means the one in the OTEL_* environment."""

    endpoint: str = ""
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Minter:
    """The identity that mints: a token, a name with its password, or the managed token itself."""

    pat: SecretRef | None = None
    username: str = ""
    password: SecretRef | None = None
    self_minting: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A system where tokens live. `config`: the options of its kind (address, timeouts, request budget, ...)."""

    name: str
    kind: str  # the family of targets
    config: TargetConfig
    minter: Minter | None = None
    in_flight: int = 2  # rotations at once on this target
    settle: timedelta = timedelta(seconds=10)  # a change takes effect within this time
    stop_above: float = (
        0.5  # nothing begins once more than this share of the latest rotations failed; 1: it always does
    )
    window: Window | None = None  # in which rotations of its credentials may begin, unless they name their own


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the files say. `digest` changes whenever a byte of them does."""

    vault: VaultConfig
    daemon: DaemonConfig
    targets: Mapping[str, Target] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    digest: str = ""
    status: Status = Status()
    audit: Audit = Audit()
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    ping: Ping | None = None
    tracing: Tracing | None = None
    freezes: tuple[Freeze, ...] = ()
