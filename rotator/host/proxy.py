"""A proxy on the way to a server: its address, login and faults; and which names mean this very host.

A fault names the proxy and no secret. It says nothing about the server behind, and is never that server's verdict.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from rotator.host.network_errors import explain_failure, within
from rotator.rotation.secret import Secret, SecretRef

LOGIN_WANTED = 407  # RFC 9110, section 15.5.8: only a proxy asks for it


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy. `url`: scheme, host and port; `ca_file`: PEM, instead of this machine's authorities, for https."""

    url: str
    username: str = ""
    password: SecretRef | None = None
    ca_file: str | None = None

    @property
    def host(self) -> str:
        """Its name or number, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the address, or the scheme's default."""
        return urlsplit(self.url).port or (443 if self.encrypted else 80)

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken to the proxy itself."""
        return self.url.startswith("https:")

    @property
    def is_here(self) -> bool:
        """Whether the proxy is on this host."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"the proxy {self.url}"


class ProxyFault(OSError):  # noqa: N818 (as `Fault`)
    """A proxy failed, and the server behind it did not get the request. The text is for people."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what, self.remedy = what, remedy


def proxy_fault(fault: BaseException) -> ProxyFault | None:
    """The proxy's fault inside a library's exception, if there is one."""
    return next((each for each in within(fault) if isinstance(each, ProxyFault)), None)


def through(proxy: Proxy | None) -> str:
    """The words that follow a server's name: " through the proxy …", or nothing."""
    return f" through {proxy}" if proxy else ""


def leaves_here(url: str, proxy: Proxy | None) -> bool:
    """Whether plain http to this host would leave it, because a proxy on another host is in use."""
    parts = urlsplit(url)
    return bool(
        proxy and not proxy.is_here and parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname)
    )


def authorization(username: str, password: Secret) -> str:
    """The value of Proxy-Authorization (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{password.reveal()}".encode(errors="surrogatepass")).decode()


def unreached(proxy: Proxy, fault: BaseException) -> ProxyFault:
    """No connection to the proxy, or no TLS with it."""
    late = any(isinstance(each, TimeoutError) for each in within(fault))
    said = explain_failure(fault, proxy.ca_file) or ("no connection in time" if late else "the connection failed")
    return ProxyFault(f"{proxy} cannot be reached: {said}", "is it up, and its address in `proxy` right?")


def broken(proxy: Proxy, fault: BaseException | None = None) -> ProxyFault:
    """The proxy accepted the connection, and its answer to CONNECT was incomplete."""
    late = fault is not None and any(isinstance(each, TimeoutError) for each in within(fault))
    said = "did not answer in time" if late else "closed the connection without an answer"
    return ProxyFault(f"{proxy} {said}, when it was asked for the way to the server", "see the proxy's own log")


def garbled(proxy: Proxy) -> ProxyFault:
    """The server at the address is not a proxy."""
    return ProxyFault(f"what {proxy} answers is not HTTP", "is `proxy` the right port, and is it a proxy for HTTP?")


def unread(proxy: Proxy, reason: str) -> ProxyFault:
    """The proxy's password cannot be read."""
    return ProxyFault(f"the password of {proxy} cannot be had: {reason}", "see `password` of `proxy`")


def turned_away(proxy: Proxy, status: int, place: str) -> ProxyFault:
    """The proxy refused CONNECT. `place`: host and port of the server."""
    if status in (LOGIN_WANTED, 401):  # so Tinyproxy 1.11.1 answers a wrong password
        return ProxyFault(*login_refused(proxy, status))
    if status in (502, 503, 504):
        return ProxyFault(f"{proxy} cannot reach {place} now ({status})", "is that server up, and known to the proxy?")
    return ProxyFault(f"{proxy} does not let us through to {place} ({status})", "allow that in the proxy's rules")


def login_refused(proxy: Proxy, status: int = LOGIN_WANTED) -> tuple[str, str]:
    """The meaning of a 407, and its remedy."""
    if proxy.password:
        return f"{proxy} refuses our login ({status})", "compare username and password of `proxy` with what it expects"
    return f"{proxy} wants a login ({status})", "give `proxy` a username and a password"


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """The IP address that a URL names as its host, without its zone; None for a name. An IPv4 address may be mapped."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def is_loopback(host: str) -> bool:
    """Whether the host of an address, as `urlsplit` gives it, is this one whatever a resolver says.

    `x.localhost` is not: browsers treat it as loopback, but resolvers ask the DNS (glibc without nss-myhostname).
    """
    ip = ip_of(host)
    return ip.is_loopback if ip else host == "localhost"
