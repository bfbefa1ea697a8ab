"""One HTTP exchange with Vault: hvac's adapter made safe.

What hvac 2.4.0 does by itself and this adapter does not: follow redirects (and hand X-Vault-Token to the other host),
read proxies, certificates and .netrc from the environment, wait 30 s, lose status and headers, and put the answer's
body into exceptions. Secrets stay `Secret` up to the wire: bodies and the token header are revealed in one place.
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
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from rotator.ports import Transient
from rotator.rotation.secret import Secret
from rotator.vault.answer import VaultResponse, judge
from rotator.vault.network_faults import network_fault

BODY_LIMIT = 4 * 2**20  # bytes of an answer; the largest honest one is a long list of names


class HardenedAdapter(JSONAdapter):  # type: ignore[misc]  # hvac ships no types
    """What hvac's API classes call. `token` is a `Secret` or None; answers are `VaultResponse`, faults are ours."""

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
        """Straight to the connection pool. A session's own `request` looks for cookies, environment and redirects, of
        which there are none: a seventh of a rotation's CPU time (measured with requests 2.34).
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
        """Where hvac's login methods find the new token; it stays a `Secret`."""
        return Secret(str(response.section("auth")["client_token"]))

    def _headers(self) -> dict[str, str]:
        headers = {"X-Vault-Request": "true", "Content-Type": "application/json", **self.extra}
        if self.token is not None:
            headers["X-Vault-Token"] = _revealed(self.token)
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        return headers


def _revealed(value: object) -> str:
    """The only exit of secrets towards Vault; also json's hook for what it cannot encode."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no place in a Vault document")


def _encoded(document: object) -> bytes:
    return json.dumps(document, default=_revealed, allow_nan=False).encode()


def as_stored(document: Mapping[str, object]) -> Any:
    """The document as Vault will give it back: plain JSON values, secrets revealed. For comparing, not for keeping."""
    return json.loads(_encoded(document))


def _read(response: requests.Response) -> bytes:
    """Nothing is unpacked: some kilobytes can hold gigabytes, and no compression was asked for."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Transient("a compressed answer, which was not asked for, in place of Vault's")
    body = response.raw.read(BODY_LIMIT + 1, decode_content=False)
    if len(body) > BODY_LIMIT:
        raise Transient(f"Vault's answer is longer than {BODY_LIMIT} bytes")
    return bytes(body)
