"""Owns one HTTP exchange with Vault: hvac's adapter made safe, and the translation of every answer into our faults.

Who may ask, with which token, and whether to ask again, is session.py's; what a document means is kv.py's.

What hvac 2.4.0 does by itself and this adapter does not: follow redirects (and hand X-Vault-Token to the other host),
read proxies, certificates and .netrc from the environment, wait 30 s, lose status and headers, and put the answer's
body into exceptions. Secrets stay `Secret` up to the wire: bodies and the token header are revealed in one place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import requests
from hvac.adapters import JSONAdapter
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from rotator.ports import Conflict, Fault, Refused, StoreRefused, Transient
from rotator.rotation.secret import Secret
from rotator.vault.mishaps import network_fault

BODY_LIMIT = 4 * 2**20  # bytes of an answer; the largest honest one is a long list of names
MOST_VALUES = 500_000  # of an answer: an empty list is two bytes on the wire and sixty in memory
LONGEST_PAUSE = 3600.0  # seconds; a Vault that asks for more is asked again

# OpenBao 2.7.2 and Vault's KV source use these words; the status alone (400) does not tell.
_CAS_LOST = "check-and-set parameter did not match"
_CAS_WANTED = "check-and-set parameter required"
_INDEX_REFUSED = "X-Vault-Index"
_UPGRADING = "from non-versioned to versioned data"  # a fresh engine; on a raft standby seen for 1 s after mounting


class Denied(StoreRefused):
    """A 403, not yet told apart: a dead token, or a policy that withholds the right."""


class Misread(Transient):
    """The server could not use our X-Vault-Index: forget it and ask again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in Vault's own form: a 2xx, or a 404 (kv.py knows what that means). The body is never in a repr."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: Mapping[str, Any] = field(repr=False)

    def section(self, *keys: str) -> Mapping[str, Any]:
        """The object found by following the keys; an empty one where there is none."""
        here: Any = self.body
        for key in keys:
            here = here.get(key) if isinstance(here, Mapping) else None
        return here if isinstance(here, Mapping) else {}


class HardenedAdapter(JSONAdapter):  # type: ignore[misc]  # hvac ships no types
    """What hvac's API classes call. `token` is a `Secret` or None; answers are `Answer`, faults are ours."""

    extra: Mapping[str, str] = {}  # never changed: `with_headers` puts a new one on a copy

    def with_headers(self, headers: Mapping[str, str]) -> HardenedAdapter:
        """The same connection and token, with further headers on each request."""
        other = copy(self)
        other.extra = headers
        return other

    def request(self, method: str, url: str, **wishes: Any) -> Answer:
        """One exchange, no redirect, no retry. Raises Transient, Refused, StoreRefused (Denied) or Conflict."""
        try:
            with self._sent(method, self.urljoin(self.base_uri, url), wishes) as response:
                body = _read(response)
        except (RequestException, HTTPError, HTTPException, OSError, UnicodeError) as error:
            raise network_fault(error, self.base_uri, self.session.verify) from None
        return _judge(response, body)

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

    def get_login_token(self, response: Answer) -> Secret:
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


def _judge(response: requests.Response, raw: bytes) -> Answer:
    """The answer, or the fault it stands for. Texts from the body choose words of ours; they are never quoted."""
    status, headers = response.status_code, response.headers
    body = _decoded(raw)
    if 200 <= status < 300:
        if body is None:
            raise Transient(f"the answer ({status}) is not Vault's: no JSON object")
        return Answer(status, headers, body)
    if 300 <= status < 400:
        raise _redirected(status, _origin(headers.get("Location", "")))
    errors = body.get("errors") if body is not None else None
    if status == 404:
        if body is None or not (isinstance(errors, list) or isinstance(body.get("data"), Mapping)):
            raise Refused("a 404 that is not Vault's: is the address right?")
        return Answer(status, headers, body)
    words = " ".join(map(str, errors)) if isinstance(errors, list) else ""
    raise _fault(status, words, _seconds(headers.get("Retry-After")))


def _redirected(status: int, where: str) -> Fault:
    """A standby answers 307 as long as it cannot reach a leader to forward to: OpenBao 2.7.2 with raft, for seconds
    after each loss of the leader. The request was not carried out. Other redirects come from whatever stands before it.
    """
    if status == 307:
        return Transient(f"this Vault node forwards nothing just now (307 to {where}); redirects are not followed")
    return Refused(f"Vault's address redirects ({status}) to {where}; that is not followed")


def _fault(status: int, errors: str, retry_after: float | None) -> Fault:
    """`errors`: Vault's own list of words, if any."""
    if status == 400:
        return _bad_request(errors)
    if status == 403:
        return Denied("Vault answered 403")
    if status == 412 or (status == 429 and not errors):
        return Transient(f"this Vault node lags behind ({status})", retry_after=retry_after or 0.1)
    if status == 429:
        return Transient("Vault limits our request rate (429)", retry_after=retry_after)
    if status == 503:
        return Transient("Vault is sealed, stopped or overloaded (503)", retry_after=retry_after)
    if status >= 472:  # 472 and 473 are kinds of standby, 501 is not initialised
        return Transient(f"Vault cannot answer now ({status})", retry_after=retry_after)
    return Refused(f"Vault refused the request ({status})")


def _bad_request(errors: str) -> Fault:
    if _CAS_LOST in errors:
        return Conflict("the document was changed in between")
    if _CAS_WANTED in errors:
        return Refused("Vault demands check-and-set here: set cas_required on keys, not on the whole mount")
    if _INDEX_REFUSED in errors:
        return Misread("Vault could not read our X-Vault-Index")
    if _UPGRADING in errors:
        return Transient("the KV engine is being prepared (400)")
    return Refused("Vault refused the request (400)")


def _decoded(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object, an empty one for no body, None for anything else, a key said twice for example."""
    if not raw.strip():
        return {}
    if sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return None
    try:
        body = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, Mapping) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError("JSON knows neither NaN nor Infinity")


def _origin(location: str) -> str:
    """Scheme and host, all that may be said of a redirect's target."""
    try:
        parts = urlsplit(location)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"
    except ValueError:
        return "an unreadable address"


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_PAUSE) if text is not None and text.isascii() and text.isdecimal() else None
