"""Failed exchanges in words, for every client of httpx, with the server's certificate where it was refused.

No foreign text is quoted.
"""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult, urlsplit

import anyio
import httpcore
import httpx
from cryptography import x509

from rotator.host.network_errors import explain_failure, is_untrusted, wants_our_certificate
from rotator.host.proxy import ProxyFault, proxy_fault
from rotator.host.tls_files import TrustFault
from rotator.ports import Transient
from rotator.providers.http.transport import Backend, ProxyRoute

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
_OURS = "compare the client certificate (tls_certificate) with what the server asks for: its authority, date and use"
_WITHIN = 3.0  # seconds
_LONGEST = 120  # characters of a name


async def failed(
    call: str, fault: Exception, url: str, ca_file: str | None, route: ProxyRoute | None = None
) -> Transient:
    """The failure and its remedy. If a certificate was refused, it is fetched once more to describe it."""
    if ours := fault if isinstance(fault, TrustFault) else proxy_fault(fault):
        return Transient(f"{call} failed: {ours.what}", remedy=ours.remedy)
    untrusted = is_untrusted(fault)
    shown = await _presented(urlsplit(url), route) if untrusted else ""
    said = explain_failure(fault, ca_file, shown) or next(
        (words for kind, words in _KINDS if isinstance(fault, kind)), ""
    )
    if wants_our_certificate(fault):
        return Transient(f"{call} failed: {said}", remedy=_OURS)
    what, _, remedy = said.rpartition(": ") if untrusted else (said, "", "")
    return Transient(f"{call} failed: {what or remedy or 'the connection failed'}", remedy=remedy if what else "")


async def _presented(url: SplitResult, route: ProxyRoute | None) -> str:
    try:
        backend = route.backend(await route.access(), tunnels=True) if route else Backend()
    except ProxyFault:
        return ""
    return await presented(url, backend)


def place(url: SplitResult) -> str:
    """Scheme, host and port: the rest of an address may be secret and is not shown."""
    host = url.hostname or "no host"
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def presented(url: SplitResult, backend: Backend) -> str:
    """Subject, issuer, names and end of the server's certificate; empty when there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is only shown, not trusted
    host, port = url.hostname or "", url.port or 443
    stream: httpcore.AsyncNetworkStream | None = None
    try:
        with anyio.fail_after(_WITHIN):
            stream = await backend.connect_tcp(host, port)
            stream = await stream.start_tls(context, host)
            return described(stream.get_extra_info("ssl_object").getpeercert(True) or b"")
    except (TimeoutError, OSError, httpcore.NetworkError, httpcore.TimeoutException):
        return ""
    finally:
        if stream is not None:
            with anyio.CancelScope(shield=True):
                await stream.aclose()


def described(certificate: bytes) -> str:
    """A DER certificate in words; empty when it cannot be read."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        subject, issuer = _plain(read.subject.rfc4514_string()), _plain(read.issuer.rfc4514_string())
        end = f"{read.not_valid_after_utc:%F %R}Z"
        names = _names(read)
    except ValueError:
        return ""
    whose = "issued by itself" if read.subject == read.issuer else f"issued by {issuer or 'nobody named'}"
    return f"{subject or 'without a subject'}, for {names or 'no host'}, {whose}, valid until {end}"


def _names(certificate: x509.Certificate) -> str:
    """The host names of the certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return _plain(", ".join(hosts))


def _plain(text: str) -> str:
    """A foreign text, printable and cut to one line."""
    clean = "".join(char if char.isprintable() and char.isascii() else "?" for char in text)
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
