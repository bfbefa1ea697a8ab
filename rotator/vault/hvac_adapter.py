"""One HTTP exchange with Vault: hvac's adapter made safe, and its answer: a response, or one of our faults.

What hvac 2.4.0 does and this adapter does not: follow redirects (and hand X-Vault-Token to the other host), read
proxies, certificates and .netrc from the environment, wait 30 s, lose status and headers, and put the answer's body
into exceptions. Secrets stay `Secret` up to the wire: body and token header are revealed in one place. A text in a body
selects words of ours and is never quoted; neither are texts of network errors, which may contain headers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from hvac.adapters import JSONAdapter
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, ReadTimeout, RequestException, SSLError
from urllib3.exceptions import HTTPError, ProtocolError

from rotator.host.network_errors import explain_failure
from rotator.host.proxy import LOGIN_WANTED, Proxy, login_refused, proxy_fault, through
from rotator.ports import Conflict, Fault, Refused, StoreRefused, Transient
from rotator.rotation.secret import Secret

MOST_VALUES = 500_000  # limits of an answer: an empty list is two bytes on the wire and sixty in memory
LONGEST_PAUSE = 3600.0  # seconds; longer waits that Vault asks for are cut to this
# OpenBao 2.7.2 and Vault's KV source use these words; the status alone (400) does not tell.
_CAS_LOST = "check-and-set parameter did not match"
_CAS_WANTED = "check-and-set parameter required"
_FORWARD_REFUSED = "forwarding via header"  # Vault, unless replication.allow_forwarding_via_header is set
_INDEX_REFUSED = "X-Vault-Index"
_UPGRADING = "from non-versioned to versioned data"  # a fresh engine; on a raft standby seen for 1 s after mounting
# What OpenBao 2.7.2 and Vault 1.18.5 answer to a login, and what it means.
_LOGIN_WORDS = (
    (
        "invalid role or secret ID",
        "the role id or the secret-id is wrong, used up or ended, which Vault does not tell apart",
    ),
    ("CIDR restrictions", "our address is not among those that the role or the secret-id allows"),
    ("could not load configuration", "the auth method is mounted, but not configured"),
    ("invalid role name", "it has no such role"),
    ("role could not be found", "it has no such role"),
    ("no client certificate found", "it saw no client certificate; does something in between end TLS?"),
    ("invalid certificate or no client certificate", "no role of this method accepts our client certificate"),
    ("is expired", "what we log in with has ended"),
    ("audience", "what we log in with is meant for another audience"),
)
_ON_THE_WAY = "something on the way to Vault wants to be logged in to as a proxy (407)"
_SEGMENT = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_PLAIN = re.compile(rf"(?:{_SEGMENT}/)*{_SEGMENT}")
BODY_LIMIT = 4 * 2**20  # bytes of an answer; the largest real one is a long list of names


class PolicyDenied(StoreRefused):
    """A 403 whose cause is not known yet: a dead token, or a policy that denies."""


class Answered(Refused):
    """Vault itself understood the request and refused it."""


class CasRequired(Answered):
    """A write without check-and-set where a mount or a key requires it (cas_required)."""


class Misread(Transient):
    """The server could not use our X-Vault-Index: forget it and ask again."""


class Unforwarded(Transient):
    """The server does not forward on a client's demand: ask again without that, and wait while it lags."""


@dataclass(frozen=True, slots=True)
class VaultResponse:
    """An answer in Vault's own form: a 2xx, or a 404 (kv.py knows what that means). The body is never in a repr."""

    status: int
    headers: Mapping[str, str]  # names in any letter case
    body: Mapping[str, Any] = field(repr=False)

    def section(self, *keys: str) -> Mapping[str, Any]:
        """The object found by following the keys; an empty one where there is none."""
        here: Any = self.body
        for key in keys:
            here = here.get(key) if isinstance(here, Mapping) else None
        return here if isinstance(here, Mapping) else {}


def judge(response: Response, raw: bytes, forwarded: Proxy | None = None) -> VaultResponse:
    """The response, or raise the fault that the answer means. Texts from the body are never quoted.

    `forwarded`: the proxy that passed it on over plain http, and may have answered itself.
    """
    status, headers = response.status_code, response.headers
    body = _decoded(raw)
    if status == LOGIN_WANTED:
        said, remedy = login_refused(forwarded) if forwarded else (_ON_THE_WAY, "see [vault] proxy")
        raise Transient(said, remedy=remedy)
    if forwarded and not _is_vaults(status, body):
        raise Transient(f"{forwarded} answered {status} in place of Vault", remedy="see the proxy's own log")
    if 200 <= status < 300:
        if body is None:
            raise Transient(f"the answer ({status}) is not Vault's: no JSON object")
        if isinstance(body.get("wrap_info"), Mapping) and not body.get("data") and not body.get("auth"):
            raise Answered("Vault wants a person's consent for this (a control group): exempt our policy from it")
        return VaultResponse(status, headers, body)
    if 300 <= status < 400:
        raise _redirected(status, _origin(headers.get("Location", "")))
    errors = body.get("errors") if body is not None else None
    if status == 404:
        if body is None or not (isinstance(errors, list) or isinstance(body.get("data"), Mapping)):
            raise Refused("a 404 that is not Vault's: is the address right?")
        return VaultResponse(status, headers, body)
    words = " ".join(map(str, errors)) if isinstance(errors, list) else ""
    fault = _fault(status, words, _seconds(headers.get("Retry-After")))
    raise Answered(fault.reason) if type(fault) is Refused and isinstance(errors, list) else fault


def _is_vaults(status: int, body: Mapping[str, Any] | None) -> bool:
    """Whether an answer through a forwarding proxy has the signs of Vault. Some of Vault's own have none, but those
    are transient anyway."""
    if status in (307, 412, 429):
        return True
    if body is None or status < 300:
        return body is not None
    return isinstance(body.get("errors"), list) or isinstance(body.get("data"), Mapping)


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
        return PolicyDenied("Vault answered 403")
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
        return CasRequired("Vault demands check-and-set here (cas_required)")
    if _FORWARD_REFUSED in errors:
        return Unforwarded("this Vault forwards no request that asks for it")
    if _INDEX_REFUSED in errors:
        return Misread("Vault could not read our X-Vault-Index")
    if _UPGRADING in errors:
        return Transient("the KV engine is being prepared (400)")
    known = (said for word, said in _LOGIN_WORDS if word in errors)
    return Refused(next(known, "Vault refused the request (400)"))


def _decoded(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object; empty for no body; None for anything else, such as a key that occurs twice."""
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
    """Scheme and host: all that may be shown of a redirect's target."""
    try:
        parts = urlsplit(location)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"
    except ValueError:
        return "an unreadable address"


def _seconds(text: str | None) -> float | None:
    return min(float(text), LONGEST_PAUSE) if text is not None and text.isascii() and text.isdecimal() else None


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
        prepared.prepare_method(method)
        prepared.url = _address(url, wishes.get("params") or {})
        prepared.prepare_headers({**self.session.headers, **self._headers()})
        prepared.prepare_body(_encoded(wishes["json"]) if "json" in wishes else None, None)
        prepared.prepare_hooks(None)
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


def _address(url: str, params: Mapping[str, object]) -> str:
    """The address as it is sent. Raises RequestException for one that cannot be."""
    server, found, path = url.partition("/v1/")
    if found and _PLAIN.fullmatch(path):  # nothing in it to quote or to resolve
        return f"{_prepared(server + found)}{path}" + (f"?{urlencode(params)}" if params else "")
    return _prepared(url, tuple(params.items()))


@lru_cache(maxsize=1000)  # a rotation asks for the same few again and again, and each costs a tenth of a request
def _prepared(url: str, params: tuple[tuple[str, object], ...] = ()) -> str:
    prepared = PreparedRequest()
    prepared.prepare_url(url, dict(params))
    return str(prepared.url)


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
