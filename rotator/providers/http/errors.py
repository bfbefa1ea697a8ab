"""Exchanges that failed, in words, for every client of httpx; no foreign text is quoted."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import httpx

from rotator.host.network_errors import explain_failure, is_untrusted
from rotator.host.proxy import ProxyFault, proxy_fault
from rotator.host.tls_files import TrustFault
from rotator.ports import Transient
from rotator.providers.http.proxy_transport import ProxyRoute
from rotator.providers.http.server_certificate import presented
from rotator.providers.http.transport import Backend

IN_FRONT = "is the target's url right, and does what stands in front of it (a proxy, a login page) let us through?"
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "no connection in time; a firewall that drops it, perhaps"),
    (httpx.ReadTimeout, "it was connected, but gave no answer in time"),
    (httpx.WriteTimeout, "it was connected, but did not take the request in time"),
    (httpx.PoolTimeout, "all our connections to it are busy"),
    (httpx.ReadError, "the connection broke while we were reading its answer"),
    (httpx.WriteError, "the connection broke while we were sending the request"),
    (httpx.CloseError, "the connection broke"),
    (httpx.RemoteProtocolError, "it closed the connection without an answer, or what it answered is not HTTP"),
    (httpx.LocalProtocolError, "the request is none that HTTP allows"),
    (httpx.InvalidURL, "the address is none that can be called"),
    (httpx.UnsupportedProtocol, "the address is none that can be called"),
    (httpx.ConnectError, "no connection"),
    (TimeoutError, "no answer in time"),
)


async def failed(
    call: str, fault: Exception, url: str, ca_file: str | None, route: ProxyRoute | None = None
) -> Transient:
    """What went wrong, and what to do. A certificate that was refused is looked at once more, to say whose it is."""
    if ours := fault if isinstance(fault, TrustFault) else proxy_fault(fault):
        return Transient(f"{call} failed: {ours.what}", remedy=ours.remedy)
    untrusted = is_untrusted(fault)
    shown = await _presented(urlsplit(url), route) if untrusted else ""
    said = explain_failure(fault, ca_file, shown) or next(
        (words for kind, words in _KINDS if isinstance(fault, kind)), ""
    )
    what, _, remedy = said.rpartition(": ") if untrusted else (said, "", "")
    return Transient(f"{call} failed: {what or remedy or 'the connection failed'}", remedy=remedy if what else "")


async def _presented(url: SplitResult, route: ProxyRoute | None) -> str:
    try:
        backend = route.backend(await route.entry(), tunnels=True) if route else Backend()
    except ProxyFault:
        return ""
    return await presented(url, backend)


def place(url: SplitResult) -> str:
    """Scheme, host and port: all that is told of an address, as the rest may be secret."""
    host = url.hostname or "no host"
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
