"""Declarations by authors of kinds: the kind, its family of targets, and the common options of a target."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from rotator.host.proxy import Proxy, ip_of, is_loopback
from rotator.ports import Clock, InventoryItem, Provider
from rotator.providers.http.auth import Minter, SecretResolver
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token

_METADATA = ipaddress.ip_network("fd00:ec2::/64")  # where EC2 answers over IPv6


class TargetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options that every kind of target has. Raises ValueError for an address that must not be called."""

    rests: ClassVar[bool] = False  # after a 429 without a time, pause for long (see RateLimiter.weary)

    url: str
    ca_file: str | None = None  # PEM; instead of the system's authorities
    allow_insecure_http: bool = False  # plain http is for loopback only, unless this says otherwise
    timeout: timedelta = timedelta(seconds=10)  # of each phase of a call
    deadline: timedelta = timedelta(seconds=30)  # of the whole call, up to the last byte of the answer
    calls: int = 600  # at most this many calls ...
    period: timedelta = timedelta(minutes=1)  # ... in this time
    concurrency: int = 8  # calls at once
    proxy: Proxy | None = None  # every call goes through it

    def __post_init__(self) -> None:
        check_url(self.url, insecure=self.allow_insecure_http)
        if min(self.timeout, self.deadline, self.period) <= timedelta(0):
            raise ValueError("timeout, deadline and period must be longer than nothing")
        if self.calls < 1 or not 1 <= self.concurrency <= 8:
            raise ValueError("calls must be at least 1, and concurrency from 1 to 8")


def check_url(url: str, option: str = "url", *, insecure: bool, query: bool = False) -> None:
    """Raise ValueError, naming the option, unless this is an http(s) address that may be called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{option} is no address: write it as https://host:port/path") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"{option} must start with https:// (or http://) and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{option} must not contain a user or a password")
    if "#" in url or ("?" in url and not query):
        raise ValueError(f"{option} must have {'no' if query else 'neither query nor'} fragment")
    address = ip_of(host)
    if address is not None and (address.is_link_local or address in _METADATA):
        raise ValueError(f"{option} must not be a link-local address: cloud metadata lives there")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ValueError(
            f"{option}: plain http is for loopback only; set allow_insecure_http = true to send secrets in the clear"
        )


class Server(Protocol):
    """One target, shared by all its credentials: one client, one request budget, one listing."""

    def minted_by(self, minter: Minter) -> Server:
        """The same target and budget, with another minter."""
        ...

    async def list_tokens(self) -> tuple[Token, ...]:
        """Every living token with a mark of ours, from one listing, which a sweep shares among credentials."""
        ...

    async def inventory(self) -> tuple[InventoryItem, ...] | None:
        """Every living token on the target, other people's included; None when the target does not list them."""
        ...

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Delete tokens revoked long ago whose mint name `owns` claims. Returns how many."""
        ...

    async def control(self, credential: Credential[Any]) -> None:
        """The negative control: the proof of this credential must fail for a broken secret. Raises Refused."""
        ...

    async def audit(self, credentials: tuple[Credential[Any], ...]) -> Sequence[str | Remark]:
        """Findings for `rotate check`, by calls: rights of the minter that these credentials do not need, and whatever
        else differs from the settings. A text is a warning."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Remark:
    """What a look at a target found, and what to do about it. `grave`: a rotation could not be done; `note`: good to
    know, with nothing to mend; `sound`: as it should be; else a warning."""

    text: str
    remedy: str = ""
    grave: bool = False
    note: bool = False
    sound: bool = False


@runtime_checkable
class SupportsPreview(Protocol):
    """The additional verb of a server that can tell, by reading alone, whether a next rotation could be done."""

    async def preview(self, credential: Credential[Any], keep: tuple[Token, ...]) -> list[Remark] | None:
        """What the next rotation of this credential would find there, the tokens in `keep` living on; None when there
        is nothing to look at.

        Raises Transient, Refused, MinterRefused.
        """
        ...


Cell = str | bool | tuple[str, ...] | None  # None: the target does not say


@dataclass(frozen=True, slots=True)
class TargetTable:
    """Things of one sort on a target: a title, rows by column, and the line by which settings name one of them. `said`:
    why there are no rows, or what else there is to know."""

    title: str
    rows: tuple[dict[str, Cell], ...] = ()
    settings: str = ""
    said: str = ""


@runtime_checkable
class SupportsBrowse(Protocol):
    """The additional verb of a server that can list what settings name by an id. It shows no secret."""

    async def browse(self) -> tuple[TargetTable, ...]:
        """What there is, by reading alone. Raises Transient, Refused, MinterRefused."""
        ...


if TYPE_CHECKING:  # `Kind` alone is any kind
    Config = TypeVar("Config", bound=TargetConfig, default=Any)
    Options = TypeVar("Options", default=Any)
else:
    Config, Options = TypeVar("Config"), TypeVar("Options")


def _fits(credential: Credential, config: TargetConfig, longest: timedelta) -> str:
    """`longest`: the time between two publications, at most."""
    return ""


def _overlaps(options: object) -> bool:
    return False


def _never(config: object, options: object) -> bool:
    return False


def _unclaimed(credential: Credential) -> frozenset[str]:
    return frozenset()


def _none(options: object) -> timedelta:
    return timedelta(0)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Config, Options]):
    """A kind of credential, and its family of targets. Other packages offer one by an entry point with its name."""

    # What settings write as `kind` of a credential: "acme-token".
    name: str
    # What settings write as `kind` of a target: "acme". Kinds of one family share target_config, open_target and
    # needs_minter.
    family: str
    # The options of a [targets.NAME] section: a TargetConfig with further fields, one for each option.
    target_config: type[Config]
    # The options of a [credentials.NAME] section that are this kind's own: a frozen dataclass, or a msgspec.Struct,
    # which takes less time to import. They are read once, at load, and are `Credential.options` from then on.
    options: type[Options]
    # Opens the connection to a target, once per process. Arguments: its name and config, minter, secrets, clock.
    # Import heavy libraries inside, so that `rotate --help` stays fast.
    open_target: Callable[[str, Config, Minter, SecretResolver, Clock], Server]
    # The provider for one credential on an opened target. It is called often and must make no request.
    bind: Callable[[Server, Credential[Options]], Provider]
    # Options whose change needs no new token (a probe, a description). A change of any other one starts a rotation.
    non_rotating_options: frozenset[str]
    # Warnings about this credential for `rotate check`, found without a request; empty: none.
    warnings: Callable[[Credential[Options], Config], list[str]]
    # Why these options and this lifetime cannot work on that target; shown with file and line at load; empty: they can.
    # The last argument is the longest time between two publications.
    validate: Callable[[Credential[Options], Config, timedelta], str] = _fits
    # Whether one identity mints for all credentials of a target: then settings must give the target a `minter`.
    needs_minter: bool = True
    # Whether a token ends by its date, and no target lists it: then there is no revocation and no grace, unless ...
    only_expires: bool = False
    # By the target's config and the options, of a kind whose tokens only expire: whether the target ends one before
    # its date when it is shown the value (Capabilities.revokes_by_value). Then there is a grace.
    revokes_by_value: Callable[[Config, Options], bool] = _never
    # The key of the value in the published document, unless settings say otherwise.
    document_field: str = "token"
    # The same for options with a `transit_key`, of which each rotation makes a version; empty: no such options.
    document_field_in_transit: str = ""
    # How long a token lives, unless settings say otherwise; None: it never expires.
    default_lifetime: timedelta | None = timedelta(days=90)
    # By its options: how long consumers need a predecessor at least, after a publication.
    minimum_grace: Callable[[Options], timedelta] = _none
    # By its options: how long the target may use what it read before (caches).
    propagation_delay: Callable[[Options], timedelta] = _none
    # By its options: whether the new value ends the old one at once, so that there is no grace.
    has_cutover: Callable[[Options], bool] = _overlaps
    # Resources on the target that only one credential may write: settings in which two name the same are refused.
    exclusive_resources: Callable[[Credential[Options]], frozenset[str]] = _unclaimed
    # How late the target notes a use, see Capabilities; None: it does not tell when a value was last used.
    last_use_resolution: timedelta | None = None
    # How many calls to the target a rotation makes at least, and a proof of a published value: settings that need more
    # than the target allows are refused, and `rotate plan --calls` shows them.
    calls_of_rotation: int = 4
    calls_of_proof: int = 1
    # How a person ends a token without us: the end of a sentence, in which {id} and {url} are filled in.
    end_by_hand: str = "where {url} lists what may log in"
    # Whether a value says which token it is (`SupportsIdentify`): only then is its adoption proposed.
    identifies: bool = False
    # Whether the target's management client, not the minter, makes and ends its tokens.
    needs_management_client: bool = False
