"""Exchanges with Vault that failed, as faults in words; only their kinds are used, as their texts may quote headers."""

from __future__ import annotations

from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, ReadTimeout, SSLError
from urllib3.exceptions import ProtocolError

from rotator.host.network_errors import explain_failure
from rotator.host.proxy import Proxy, proxy_fault, through
from rotator.ports import Fault, Refused, Transient


def network_fault(error: Exception, address: str, verify: object, proxy: Proxy | None = None) -> Fault:
    """`verify`: the authorities that were believed, a file or True."""
    address = f"{address}{through(proxy)}"
    if by_proxy := proxy_fault(error):
        return Transient(f"no answer from Vault ({address}): {by_proxy.what}", remedy=by_proxy.remedy)
    if type(error) is OSError or isinstance(error, FileNotFoundError | PermissionError):
        which = f": {error.filename}: {error.strerror}" if error.filename else ""
        return Refused(f"a certificate file cannot be read (see ca_file, cert_file and key_file){which}")
    if isinstance(error, ConnectTimeout):
        return Transient(f"no connection to Vault ({address}) within the connect timeout")
    said = explain_failure(error, verify if isinstance(verify, str) else None)
    return Transient(f"no answer from Vault ({address}): {said or _kind(error)}")


def _kind(error: Exception) -> str:
    if isinstance(error, SSLError):
        return "the TLS handshake failed (see ca_file)"
    if isinstance(error, ReadTimeout | TimeoutError):
        return "none came in time"
    if isinstance(error, RequestsConnectionError | ProtocolError):
        return "the connection broke, or there was none"
    return f"what came is not usable ({type(error).__name__})"
