"""Addresses of Vault, targets and proxies: which are accepted. No name is resolved and nothing is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rotator.host.proxy import Proxy, ip_of, is_loopback, leaves_here
from rotator.rotation.secret import SecretRef
from rotator.settings.parsers import Reader, WrongValueError, file, flag, sort_of, text
from rotator.settings.secret_files import secret_ref
from rotator.settings.table_reader import Section

# Clouds hand out machine identities here: settings must not be able to send the daemon there.
_METADATA = {
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
}
_LONGEST_HOST, _LONGEST_LABEL = 253, 63  # RFC 1035, section 2.3.4
_DISGUISED = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*\.?")
_TABLE = '{url = "http://proxy.example:3128", username = "name", password = {file = "/run/secrets/proxy"}}'
_LEAVES = (
    "plain http to this host would leave it through a proxy elsewhere, in the clear: take `proxy` away, or set"
    " allow_insecure_http = true"
)


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


def address(value: object, *, query: bool = False) -> Address:
    """Read a base address, or one that may have a query.

    Raises WrongValueError; the text never repeats the value, which may carry a password.
    """
    url = text(value)
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
    if "#" in url or ("?" in url and not query):
        raise WrongValueError("must end before any `#`" if query else "must end before any `?` or `#`")
    if port == 0 or not url.isascii() or " " in url:
        raise WrongValueError("is no address: write it as https://host:port")
    if len(parts.hostname) > _LONGEST_HOST or any(len(part) > _LONGEST_LABEL for part in parts.hostname.split(".")):
        raise WrongValueError("names a host that is longer than names of hosts can be")
    _refuse_metadata(parts.hostname)
    return Address(url.rstrip("/"), plain=parts.scheme == "http" and not is_loopback(parts.hostname))


def _refuse_metadata(host: str) -> None:
    ip = ip_of(host)
    if ip is None and _DISGUISED.fullmatch(host):
        raise WrongValueError("write an IP address as four plain decimal numbers")
    if host.rstrip(".").lower() in _METADATA or (ip and (ip.is_link_local or str(ip) in _METADATA)):
        raise WrongValueError("points to a link-local or cloud metadata address, which is refused")
    if ip and (ip.is_unspecified or ip.is_multicast):
        raise WrongValueError("names an address that nobody can be reached at")


def read_proxy(section: Section, password: Reader[SecretRef] = secret_ref) -> Proxy | None:
    """The section's `proxy`; None when it is absent or faulty. `password`: which references are allowed."""
    if not isinstance(section.table.get("proxy"), dict):
        return section.take("proxy", _plain, None)
    part = section.inner("proxy")
    assert part is not None
    insecure = part.take("allow_insecure_http", flag, False)
    proxy = Proxy(
        url=part.need("url", _url, "", '"http://proxy.example:3128"'),
        username=part.take("username", username, ""),
        password=part.take("password", password, None),
        ca_file=part.take("ca_file", file, None),
    )
    if part.sound and part.has("username") != part.has("password"):
        part.fault("", "a login needs both `username` and `password`")
    elif part.sound and proxy.password and not insecure and not (proxy.encrypted or proxy.is_here):
        said = "would travel to the proxy in the clear: use an https:// proxy, or set allow_insecure_http = true in"
        part.fault("password", f"{said} `proxy`")
    if part.sound and proxy.ca_file and not proxy.encrypted:
        part.fault("ca_file", "is for an https:// proxy; whom the server behind is believed by, the section says")
    section.close(part)
    return proxy if part.sound else None


def check_route(section: Section, url: object, proxy: Proxy | None, *, insecure: bool) -> None:
    """Report plain http to this host that would go through a proxy on another host. `url`: the section's own."""
    if isinstance(url, str) and not insecure and leaves_here(url, proxy):
        section.fault("proxy", _LEAVES)


def _plain(value: object) -> Proxy:
    if not isinstance(value, str):
        raise WrongValueError(
            f'must be an address such as "http://proxy.example:3128", or {_TABLE}, not {sort_of(value)}'
        )
    return Proxy(_url(value))


def _url(value: object) -> str:
    url = text(value)
    if url.lower().startswith("socks"):
        raise WrongValueError("SOCKS proxies are not supported: name one that speaks HTTP, http:// or https://")
    authority = url.partition("://")[2] or url
    if "@" in authority:
        raise WrongValueError(
            f"must not carry a user or password: write proxy = {_TABLE}. If this was a real password, replace it now"
        )
    if "://" not in url:
        raise WrongValueError('must start with http:// or https://, such as "http://proxy.example:3128"')
    url = address(url).url
    if urlsplit(url).path:
        raise WrongValueError("must end after host and port")
    return url


def username(value: object) -> str:
    name = text(value)
    if ":" in name:
        raise WrongValueError("must not contain a colon: Basic Auth (RFC 7617) cannot carry it")
    return name
