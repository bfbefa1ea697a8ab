"""The keys of a target's and a credential's settings sections; reading the files is left to settings."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from rotator.host.proxy import Proxy, is_loopback

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_METADATA = ipaddress.ip_network("fd00:ec2::/64")  # where EC2 answers over IPv6
_HALO_ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
LAST_USE_STEP = timedelta(minutes=1)  # Halo CMS notes a use of a token a minute after the one noted before, at most
API_KEY_USE_STEP = timedelta(days=1)  # HaloITSM shows a `last_use_date`; that it is finer than a date, nobody has said
_TRANSIT_BITS = (2048, 3072, 4096)  # of the RSA keys that Vault Transit makes


class TargetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every kind of target has. Raises ValueError for an address that we will not call."""

    rests: ClassVar[bool] = False  # after a 429 that names no time it is left alone for long, not for a moment

    url: str
    ca_file: str | None = None  # PEM; instead of the system's authorities
    allow_insecure_http: bool = False  # plain http is for loopback only, unless this says otherwise
    timeout: timedelta = timedelta(seconds=10)  # of each phase of a call
    deadline: timedelta = timedelta(seconds=30)  # of the whole call, the last byte of the answer included
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


class HaloCmsTargetConfig(TargetConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Halo CMS site."""

    version: str = "auto"  # of the server, when known: 2.20.19 and later keep the names we choose
    keep: timedelta = timedelta(hours=24)  # how long revoked records stay, so that a late mint finds its name taken
    api_group: str = "uc.api.security.halo.run"  # before 2.17: api.security.halo.run
    username: str | None = None  # whose tokens these must be; with Basic Auth, the minter's name

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version != "auto" and not _VERSION.fullmatch(self.version):
            raise ValueError('version is "auto" or a number such as "2.26.0"')
        if self.keep < timedelta(0):
            raise ValueError("keep must not be negative")
        if not re.fullmatch(r"[a-z0-9.]+", self.api_group):
            raise ValueError("api_group is a dotted lower-case name")

    @property
    def keeps_names(self) -> bool | None:
        """Whether a chosen metadata.name survives a mint (since 2.20.19); None: not known."""
        return None if self.version == "auto" else tuple(map(int, self.version.split("."))) >= (2, 20, 19)


class HaloPatOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Halo personal access token."""

    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()  # stored and shown by Halo (to 2.26.0), enforced nowhere
    probe: str | None = None  # a path that answers 2xx to nobody but a token with the wanted roles
    description: str = ""  # shown in Halo's console, before our marker

    def __post_init__(self) -> None:
        if self.probe is not None and not re.fullmatch(r"/(?!/)[!-~]*", self.probe):
            raise ValueError("probe is a path on the target: it starts with one slash and holds no blanks")
        if self.probe is not None and "#" in self.probe:
            raise ValueError("probe must not have a fragment")
        if unfit := [role for role in self.roles if not _HALO_ROLE.fullmatch(role)]:
            raise ValueError(f"not the name of a role: {unfit[0]!r}")


def check_url(url: str, option: str = "url", *, insecure: bool, query: bool = False) -> None:
    """Raises ValueError, naming the option, for anything but an http(s) address that is fit to be called."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.port == 0:
        raise ValueError(f"{option} must start with https:// (or http://) and name a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{option} must not contain a user or a password")
    if "#" in url or ("?" in url and not query):
        raise ValueError(f"{option} must have {'no' if query else 'neither query nor'} fragment")
    address = _address(host)
    if address is not None and (address.is_link_local or address in _METADATA):
        raise ValueError(f"{option} must not be a link-local address: cloud metadata lives there")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ValueError(
            f"{option}: plain http is for loopback only; set allow_insecure_http = true to send secrets in the clear"
        )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def unfit_in_transit(transit_key: str, bits: int) -> str:
    """Why Transit makes no such key, or nothing."""
    known = ", ".join(map(str, _TRANSIT_BITS))
    return f"bits is one of {known} where transit_key is set" if transit_key and bits not in _TRANSIT_BITS else ""
