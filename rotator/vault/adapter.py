"""One HTTP exchange with Vault: hvac's adapter made safe, and its faults in words.

What hvac 2.4.0 does and this adapter does not: follow redirects (and hand X-Vault-Token to the other host), read
proxies, certificates and .netrc from the environment, wait 30 s, lose status and headers, and put the answer's body
into exceptions. Secrets stay `Secret` up to the wire: body and token header are revealed in one place. Texts of network
errors are not quoted, as they may contain headers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from http.client import HTTPException
from typing import Any

import requests
from hvac.adapters import JSONAdapter
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException, SSLError
from urllib3.exceptions import HTTPError, ProtocolError

from rotator.host.network_errors import explain_failure
from rotator.host.proxy import Proxy, proxy_fault, through
from rotator.ports import Fault, Refused, Transient
from rotator.rotation.secret import Secret
from rotator.vault.answer import VaultResponse, judge

BODY_LIMIT = 4 * 2**20  # bytes of an answer; the largest real one is a long list of names


class HardenedAdapter(JSONAdapter):  # type: ignore[misc]  # hvac ships no types
    """The adapter that hvac's API classes call. `token`: a `Secret` or None. Returns `VaultResponse`, raises faults."""

    extra: Mapping[str, str] = {}  # never changed: `with_headers` puts a new one on a copy

    def with_headers(self, headers: Mapping[str, str]) -> HardenedAdapter:
        """The same connection and token, with further headers on each request."""
        other = copy(self)
        other.extra = headers
        return other

    def request(self, method: str, url: str, **wishes: Any) -> VaultResponse:
        """One exchange, no redirect, no retry. Raises Transient, Refused, StoreRefused (Denied) or Conflict."""
        try:
            with self._sent(method, self.urljoin(self.base_uri, url), wishes) as response:
                body = _read(response)
        except (RequestException, HTTPError, HTTPException, OSError, UnicodeError) as error:
            raise network_fault(error, self.base_uri, self.session.verify, self.session.proxy) from None
        forwarded = self.session.proxy if self.base_uri.startswith("http:") else None
        return judge(response, body, forwarded)

    def _sent(self, method: str, url: str, wishes: Mapping[str, Any]) -> Response:
        """Send straight to the connection pool. A session's own `request` looks for cookies, environment and
        redirects, and takes a seventh of a rotation's CPU time (measured with requests 2.34).
        """
        prepared = PreparedRequest()
        prepared.prepare(
            method=method,
            url=url,
            headers={**self.session.headers, **self._headers()},
            params=wishes.get("params"),
            data=_encoded(wishes["json"]) if "json" in wishes else None,
        )
        verify, cert, timeout = self._kwargs.get("verify", True), self._kwargs.get("cert"), self._kwargs.get("timeout")
        pool: HTTPAdapter = self.session.get_adapter(url)
        return pool.send(prepared, stream=True, timeout=timeout, verify=verify, cert=cert)

    def get_login_token(self, response: VaultResponse) -> Secret:
        """Called by hvac's login methods for the new token, which stays a `Secret`."""
        return Secret(str(response.section("auth")["client_token"]))

    def _headers(self) -> dict[str, str]:
        headers = {"X-Vault-Request": "true", "Content-Type": "application/json", **self.extra}
        if self.token is not None:
            headers["X-Vault-Token"] = _revealed(self.token)
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        return headers


def _revealed(value: object) -> str:
    """The only place where secrets are revealed to Vault; also json's hook for types that it cannot encode."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no place in a Vault document")


def _encoded(document: object) -> bytes:
    return json.dumps(document, default=_revealed, allow_nan=False).encode()


def as_stored(document: Mapping[str, object]) -> Any:
    """The document as Vault will return it: plain JSON values, secrets revealed. For comparing only."""
    return json.loads(_encoded(document))


def _read(response: requests.Response) -> bytes:
    """Read the body without decompressing it: we ask for no compression, and kilobytes can hold gigabytes."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Transient("a compressed answer, which was not asked for, in place of Vault's")
    body = response.raw.read(BODY_LIMIT + 1, decode_content=False)
    if len(body) > BODY_LIMIT:
        raise Transient(f"Vault's answer is longer than {BODY_LIMIT} bytes")
    return bytes(body)


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
