"""Which addresses of Vault and of targets are acceptable; no name is resolved and nothing is called here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from rotator.host.loopback import is_loopback
from rotator.settings.errors import WrongValueError
from rotator.settings.parsers import text

# Where clouds hand out machine identities: a daemon must never be talked into asking there.
_METADATA = {
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
}
_LONGEST_HOST, _LONGEST_LABEL = 253, 63  # RFC 1035, section 2.3.4
_LONGEST = 2048  # characters of an address
_DISGUISED = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*\.?")


@dataclass(frozen=True, slots=True)
class Address:
    """An accepted base address. `plain`: unencrypted http to something other than this host."""

    url: str
    plain: bool = False

    def over(self, insecure: bool) -> str:
        """The address, when plain http is allowed or not needed. Raises WrongValueError."""
        if self.plain and not insecure:
            raise WrongValueError(
                "plain http carries every secret in the clear: use https, or set allow_insecure_http = true"
            )
        return self.url


def address(value: object) -> Address:
    """Read a base address. Raises WrongValueError; the text never repeats the value, which may carry a password."""
    url = text(value)
    if len(url) > _LONGEST:
        raise WrongValueError(f"is longer than {_LONGEST} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise WrongValueError("is no address: write it as https://host:port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongValueError(
            "must start with https:// (or http://) and name a host, such as https://vault.example:8200"
        )
    if parts.username is not None or parts.password is not None:
        raise WrongValueError("must not carry a user or password: say how to log in with a secret reference instead")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise WrongValueError("must end before any `?` or `#`")
    if port == 0 or not url.isascii() or " " in url:
        raise WrongValueError("is no address: write it as https://host:port")
    if len(parts.hostname) > _LONGEST_HOST or any(len(part) > _LONGEST_LABEL for part in parts.hostname.split(".")):
        raise WrongValueError("names a host that is longer than names of hosts can be")
    _refuse_metadata(parts.hostname)
    return Address(url.rstrip("/"), plain=parts.scheme == "http" and not is_loopback(parts.hostname))


def _refuse_metadata(host: str) -> None:
    ip = _ip(host)
    if ip is None and _DISGUISED.fullmatch(host):
        raise WrongValueError("write an IP address as four plain decimal numbers")
    if host.rstrip(".").lower() in _METADATA or (ip and (ip.is_link_local or str(ip) in _METADATA)):
        raise WrongValueError("points to a link-local or cloud metadata address, which is refused")
    if ip and (ip.is_unspecified or ip.is_multicast):
        raise WrongValueError("names an address that nobody can be reached at")


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip
