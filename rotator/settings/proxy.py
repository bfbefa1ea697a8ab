"""The `proxy` of a section: an address, or a table with address, login and authorities."""

from __future__ import annotations

from urllib.parse import urlsplit

from rotator.host.proxy import Proxy, leaves_here
from rotator.rotation.secret_ref import SecretRef
from rotator.settings.address import address
from rotator.settings.errors import WrongValueError
from rotator.settings.parsers import Reader, file, flag, sort_of, text
from rotator.settings.secret_files import secret_ref
from rotator.settings.table_reader import Section

_TABLE = '{url = "http://proxy.example:3128", username = "name", password = {file = "/run/secrets/proxy"}}'
_LEAVES = (
    "plain http to this host would leave it through a proxy elsewhere, in the clear: take `proxy` away, or set"
    " allow_insecure_http = true"
)


def read_proxy(section: Section, password: Reader[SecretRef] = secret_ref) -> Proxy | None:
    """The section's `proxy`; None when it is absent or faulty. `password`: which references are allowed."""
    if not isinstance(section.table.get("proxy"), dict):
        return section.take("proxy", _plain, None)
    part = section.inner("proxy")
    assert part is not None
    insecure = part.take("allow_insecure_http", flag, False)
    proxy = Proxy(
        url=part.need("url", _url, "", '"http://proxy.example:3128"'),
        username=part.take("username", _username, ""),
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


def check_way(section: Section, url: object, proxy: Proxy | None, *, insecure: bool) -> None:
    """Report plain http to this host that a proxy elsewhere would be asked for. `url`: the section's own."""
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


def _username(value: object) -> str:
    name = text(value)
    if ":" in name:
        raise WrongValueError("must not contain a colon: Basic Auth (RFC 7617) cannot carry it")
    return name
