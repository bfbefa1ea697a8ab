"""What failed on the way to a server is told by its kind, however deep a library wraps it, and without foreign text."""

from __future__ import annotations

import errno
import socket
import ssl
from urllib.parse import urlsplit

import httpx
import pytest
import requests
import urllib3.exceptions

from rotator.host.network_errors import explain_failure, is_untrusted
from rotator.ports import Refused, Transient
from rotator.providers.http.errors import place
from rotator.vault.hvac_adapter import network_fault

CANARY = "canary-mishap-7c1f9e3b5a2d"


def untrusted(code: int, message: str = "unable to get local issuer certificate") -> ssl.SSLCertVerificationError:
    fault = ssl.SSLCertVerificationError(1, f"certificate verify failed: {message}")
    fault.verify_code, fault.verify_message = code, message
    return fault


def handshake(reason: str) -> ssl.SSLError:
    fault = ssl.SSLError(1, CANARY)
    fault.reason = reason
    return fault


# what failed, and a part of what is said of it
TOLD = {
    "a closed port": (ConnectionRefusedError(errno.ECONNREFUSED, CANARY), "nothing listens there"),
    "a reset": (ConnectionResetError(errno.ECONNRESET, CANARY), "cut off (reset)"),
    "no route": (OSError(errno.EHOSTUNREACH, CANARY), "no way leads to that host"),
    "no file left": (OSError(errno.EMFILE, CANARY), "LimitNOFILE"),
    "another errno": (OSError(errno.EPROTO, CANARY), "the connection failed (EPROTO)"),
    "a wrong name": (socket.gaierror(socket.EAI_NONAME, CANARY), "its name is not known"),
    "silent name servers": (socket.gaierror(socket.EAI_AGAIN, CANARY), "name servers do not answer"),
    "plain HTTP on the port": (handshake("WRONG_VERSION_NUMBER"), "does not speak TLS there"),
    "old TLS": (handshake("UNSUPPORTED_PROTOCOL"), "no TLS that is new enough"),
    "a handshake that is cut off": (ssl.SSLEOFError(8, CANARY), "in the midst of the TLS handshake"),
    "a wish for a client certificate": (handshake("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "wants a client certificate"),
    "another TLS reason": (handshake("BAD_SIGNATURE"), "the TLS handshake failed (bad signature)"),
    "a TLS reason that is a text": (handshake(CANARY), "the TLS handshake failed"),
    "an unknown issuer": (untrusted(20), "not issued by an authority that this machine knows: name the issuer's PEM"),
    "a self-signed one": (untrusted(18), "not issued by an authority"),
    "an expired one": (untrusted(10), "has expired, or one of its issuers' has"),
    "one from tomorrow": (untrusted(9), "not valid yet: compare the clocks"),
    "another host's": (untrusted(62), "for another name than the url has"),
    "one without a key identifier, for Python 3.13": (
        untrusted(85, "Missing Authority Key Identifier"),
        "stricter rules of Python 3.13 and newer (missing authority key identifier): have that one made anew; until",
    ),
    "an authority without key usage, for Python 3.13": (
        untrusted(92, "CA cert does not include key usage extension"),
        "(CA cert does not include key usage extension): have that one made anew; until then put the server's own",
    ),
    "an issuer that is no authority": (
        untrusted(79, "invalid CA certificate"),
        "is issued by one that is no authority by its own words (basic constraints",
    ),
    "one that OpenSSL minds": (untrusted(3), "not accepted (OpenSSL says 3)"),
    "what has no kind": (OSError(CANARY), ""),
}


@pytest.mark.parametrize(("fault", "said"), TOLD.values(), ids=TOLD)
def test_a_fault_is_told_by_its_kind(fault: Exception, said: str) -> None:
    told = explain_failure(fault)
    assert said in told
    assert bool(told) is bool(said)
    assert CANARY not in told


def _as_httpx(inner: Exception) -> Exception:
    outer = httpx.ConnectError(CANARY)
    outer.__cause__ = inner
    return outer


def _in_a_group(inner: Exception) -> Exception:
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("attempts", [inner])
    return _as_httpx(outer)


def _as_requests(inner: Exception) -> Exception:
    return requests.exceptions.SSLError(urllib3.exceptions.MaxRetryError(None, "/v1", inner))


@pytest.mark.parametrize("wrap", [_as_httpx, _in_a_group, _as_requests])
def test_it_is_found_inside_what_libraries_make_of_it(wrap) -> None:
    assert "nothing listens" in explain_failure(wrap(ConnectionRefusedError(errno.ECONNREFUSED, "")))
    assert is_untrusted(wrap(untrusted(20)))
    assert not is_untrusted(wrap(ConnectionRefusedError()))


def test_a_refused_certificate_is_told_with_what_it_shows_and_with_the_file_that_was_believed() -> None:
    said = explain_failure(untrusted(20), "/etc/ca.pem", "CN=blog, issued by CN=Old CA, valid until 2027-01-01 00:00Z")
    assert said == (
        "its certificate (CN=blog, issued by CN=Old CA, valid until 2027-01-01 00:00Z) is not issued by an authority"
        " in ca_file /etc/ca.pem: put the issuer's certificate there"
    )


def test_faults_that_go_round_in_circles_are_no_trap() -> None:
    one, other = OSError("a"), OSError("b")
    one.__cause__, other.__cause__ = other, one
    assert explain_failure(one) == ""


# what requests raises, and what is said of it
VAULT = {
    "a closed port": (
        _as_requests(ConnectionRefusedError(errno.ECONNREFUSED, CANARY)),
        "no answer from Vault (https://vault:8200): nothing listens there (connection refused)",
    ),
    "silence": (
        requests.exceptions.ReadTimeout(CANARY),
        "no answer from Vault (https://vault:8200): none came in time",
    ),
    "no connection in time": (
        requests.exceptions.ConnectTimeout(CANARY),
        "no connection to Vault (https://vault:8200) within the connect timeout",
    ),
    "a connection that breaks": (
        requests.exceptions.ConnectionError(CANARY),
        "no answer from Vault (https://vault:8200): the connection broke, or there was none",
    ),
    "a handshake": (
        requests.exceptions.SSLError(CANARY),
        "no answer from Vault (https://vault:8200): the TLS handshake failed (see ca_file)",
    ),
    "anything else": (
        UnicodeError(CANARY),
        "no answer from Vault (https://vault:8200): what came is not usable (UnicodeError)",
    ),
}


@pytest.mark.parametrize(("fault", "said"), VAULT.values(), ids=VAULT)
def test_vault_is_told_the_same_way(fault: Exception, said: str) -> None:
    told = network_fault(fault, "https://vault:8200", True)
    assert isinstance(told, Transient)
    assert told.reason == said


def test_a_certificate_file_that_cannot_be_read_is_refused() -> None:
    assert isinstance(network_fault(FileNotFoundError(2, CANARY), "https://vault:8200", "/none.pem"), Refused)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://blog.example/secret?x", "https://blog.example:443"),
        ("http://[::1]:8090/", "http://[::1]:8090"),
        ("http://blog.example", "http://blog.example:80"),
    ],
)
def test_of_an_address_scheme_host_and_port_are_told(url: str, said: str) -> None:
    assert place(urlsplit(url)) == said
