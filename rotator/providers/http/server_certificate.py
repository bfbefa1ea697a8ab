"""What a server's certificate says of itself, in words: a look at it when it was refused. Nothing is sent."""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult

import anyio
import httpcore
from cryptography import x509

from rotator.providers.http.transport import Backend

_WITHIN = 3.0  # seconds
_LONGEST = 120  # characters of a name


async def presented(url: SplitResult, backend: Backend) -> str:
    """Subject, issuer, names and end of the certificate that is shown there; nothing when there is none to see."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, not believed
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
    """A certificate in DER, in words; nothing when it cannot be read."""
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
    """The hosts that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return _plain(", ".join(hosts))


def _plain(text: str) -> str:
    """A foreign text: printable, and not longer than a line."""
    clean = "".join(char if char.isprintable() and char.isascii() else "?" for char in text)
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
