"""Network failures in words: name look-up, connection, TLS handshake. No text of a library is quoted."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

_STRICT = range(80, 94)  # X509_V_ERR_*: errors of OpenSSL with VERIFY_X509_STRICT, Python's default since 3.13
_NO_AUTHORITY = (24, 79)  # X509_V_ERR_INVALID_CA, before OpenSSL 3 and since
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT and its kin
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)
_UNTIL_THEN = (
    "until then put the server's own certificate in ca_file"  # a chain of one certificate is checked less strictly
)
_ERRNO = {
    errno.ECONNREFUSED: "nothing listens there (connection refused)",
    errno.ECONNRESET: "the connection was cut off (reset)",
    errno.ECONNABORTED: "the connection was cut off (aborted)",
    errno.EPIPE: "the connection was closed while we were writing",
    errno.ENETUNREACH: "no network leads there",
    errno.EHOSTUNREACH: "no way leads to that host",
    errno.ETIMEDOUT: "no connection in time; a firewall that drops it, perhaps",
    errno.EMFILE: "we have as many files open as we may (LimitNOFILE)",
    errno.ENFILE: "this machine has as many files open as it can",
    errno.EACCES: "this machine does not let us connect there (a firewall or its policy)",
    errno.EPERM: "this machine does not let us connect there (a firewall or its policy)",
    errno.EADDRNOTAVAIL: "this machine has no address or port left to connect from",
}
_OURS = {  # alerts of a server about the certificate of its client, or the lack of one
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it ended the handshake: no cipher in common, or it wants a client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the authority of our client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our client certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses our client certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refuses our client certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "our client certificate is revoked",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "our client certificate is not for clients (extended key usage)",
    "TLSV1_ALERT_ACCESS_DENIED": "it refuses our client certificate",
}
_TLS = _OURS | {
    "WRONG_VERSION_NUMBER": "it does not speak TLS there; is it http:// in place of https://, or another port?",
    "HTTP_REQUEST": "it does not speak TLS there; is it http:// in place of https://, or another port?",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS that is new enough (1.2 or 1.3)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no TLS that is new enough (1.2 or 1.3)",
    "NO_PROTOCOLS_AVAILABLE": "this machine's own policy allows no TLS that it speaks",
    "UNEXPECTED_EOF_WHILE_READING": "it closed the connection in the midst of the TLS handshake",
    "TLSV1_UNRECOGNIZED_NAME": "it knows no host of the name that the url has",
    "DH_KEY_TOO_SMALL": "its key exchange is too weak",
    "EE_KEY_TOO_SMALL": "its certificate's key is too small",
    "CA_MD_TOO_WEAK": "its certificate is signed with a hash that is too weak",
}


def wants_our_certificate(fault: BaseException) -> bool:
    """Whether the server ended TLS because of the certificate that we showed, or did not show."""
    return any(isinstance(each, ssl.SSLError) and getattr(each, "reason", None) in _OURS for each in within(fault))


def explain_failure(fault: BaseException, ca_file: str | None = None, certificate: str = "") -> str:
    """The failure and its remedy; empty if unknown. `ca_file`: the authorities that were trusted.

    `certificate`: the server's certificate in words.
    """
    found = list(within(fault))
    refused = next((each for each in found if isinstance(each, ssl.SSLCertVerificationError)), None)
    if refused:
        return _certificate(refused, ca_file, certificate)
    waiting = (ssl.SSLWantReadError, ssl.SSLWantWriteError)  # no fault: what a broken connection was waiting for
    if handshake := next((e for e in found if isinstance(e, ssl.SSLError) and not isinstance(e, waiting)), None):
        return _handshake(handshake)
    if unnamed := next((each for each in found if isinstance(each, socket.gaierror)), None):
        return _name(unnamed)
    return next((text for each in found if isinstance(each, OSError) and (text := _connection(each))), "")


def is_untrusted(fault: BaseException) -> bool:
    """Whether the server's certificate was refused, so that showing it helps."""
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in within(fault))


def within(fault: object, depth: int = 8) -> Iterator[BaseException]:
    """The fault and those inside it: causes, members of groups, and exceptions that libraries keep in attributes."""
    if not isinstance(fault, BaseException) or not depth:
        return
    yield fault
    members = fault.exceptions if isinstance(fault, BaseExceptionGroup) else ()
    for inner in (fault.__cause__, fault.__context__, *members, getattr(fault, "reason", None), *fault.args):
        if inner is not fault:
            yield from within(inner, depth - 1)


def _certificate(fault: ssl.SSLCertVerificationError, ca_file: str | None, certificate: str) -> str:
    it = f"its certificate ({certificate})" if certificate else "its certificate"
    code = getattr(fault, "verify_code", 0)
    if code == _EXPIRED:
        return f"{it} has expired, or one of its issuers' has: it must be renewed there"
    if code == _NOT_YET:
        return f"{it} is not valid yet: compare the clocks of both machines"
    if code in _OTHER_NAME:
        return f"{it} is for another name than the url has: correct the url, or have one made for that name"
    if code in _STRICT:
        lacks = " ".join(
            word if word == "CA" else word.lower() for word in str(fault.verify_message).strip(". ").split()
        )
        refused = f"refused by the stricter rules of Python 3.13 and newer ({lacks})"
        return (
            f"{it}, or an issuer's, is {refused}: have that one made anew; {_UNTIL_THEN}, or use Python 3.12 or older"
        )
    if code in _NO_AUTHORITY:
        lacks = "basic constraints, without which Python 3.13 and newer take not even a root"
        return (
            f"{it} is issued by one that is no authority by its own words ({lacks}): have that made anew; {_UNTIL_THEN}"
        )
    if code in _UNKNOWN_ISSUER:
        if ca_file:
            return f"{it} is not issued by an authority in ca_file {ca_file}: put the issuer's certificate there"
        return f"{it} is not issued by an authority that this machine knows: name the issuer's PEM file in ca_file"
    return f"{it} is not accepted (OpenSSL says {code})"


def _handshake(fault: ssl.SSLError) -> str:
    said = getattr(fault, "reason", None)
    reason = said if isinstance(said, str) else ""
    if isinstance(fault, ssl.SSLEOFError):
        reason = "UNEXPECTED_EOF_WHILE_READING"
    if reason in _TLS:
        return _TLS[reason]
    known = reason.replace("_", "").isalnum() and reason.isupper()
    return f"the TLS handshake failed ({reason.lower().replace('_', ' ')})" if known else "the TLS handshake failed"


def _name(fault: socket.gaierror) -> str:
    if fault.errno == socket.EAI_AGAIN:
        return "its name cannot be looked up now: the name servers do not answer"
    return "its name is not known: is it spelt right, and does this machine's DNS know it?"


def _connection(fault: OSError) -> str:
    """The text of an errno is safe to quote: it is the C library's."""
    if fault.errno in _ERRNO:
        return _ERRNO[fault.errno]
    if not fault.errno or fault.errno not in errno.errorcode:
        return ""
    return f"the connection failed ({errno.errorcode[fault.errno]})"
