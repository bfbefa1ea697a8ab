"""Calls to a target over HTTP, and what their failures mean. Each provider interprets the answers.

Faults name a method, a status and the target's scheme and host: never a body, a header value or a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import ceil, inf
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import httpx
import msgspec

from rotator.host.proxy import LOGIN_WANTED, Proxy, login_refused, through
from rotator.host.tls_files import LoopTrust
from rotator.ports import Accepted, Clock, Refused, Rejected, Transient, Verdict
from rotator.providers.base import TargetConfig
from rotator.providers.http.auth import Auth, Unsendable, header, revealed
from rotator.providers.http.errors import IN_FRONT, failed, place
from rotator.providers.http.rate_limit import RateLimit, RateLimiter
from rotator.providers.http.transport import (
    Fetch,
    Own,
    PresentingTrust,
    ProxiedTransport,
    ProxyAccess,
    ProxyRoute,
    RenewingTransport,
    closing,
)
from rotator.rotation.answers import LONGEST
from rotator.rotation.secret import Secret

__all__ = [
    "MIB",
    "Broken",
    "HttpClient",
    "HttpResponse",
    "Redirected",
    "Unsendable",
    "forget_where",
    "over_network",
    "segment",
]
MIB = 1024 * 1024
_MOST_VALUES = 1_000_000  # JSON values in one answer: an empty list is two bytes on the wire and sixty in memory
_LONGEST_PAUSE = 3600.0  # seconds; longer waits that a target asks for are cut to this
_PROXYS_OWN = ("proxy-authenticate", "x-squid-error", "x-smokescreen-error")
_FORWARDED = "over plain http the two cannot be told apart: use https, or see the proxy's log"
_ON_THE_WAY = "something on the way wants to be logged in to as a proxy (407)"
_NAME_IT = "name that proxy with `proxy`, or see what stands before the target"
_KEPT_HEADERS = ("content-type", "www-authenticate", "date")
_LIMITS = httpx.Limits(max_connections=8, max_keepalive_connections=8)
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # no compression, so that the cap on what is read caps the memory
    "Accept-Language": "en",
    "User-Agent": "rotator",
    "X-Requested-With": "XMLHttpRequest",
}
REGISTERED = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"}
    | {"unsupported_grant_type", "unsupported_token_type", "invalid_target", "invalid_token", "insufficient_scope"}
    | {"access_denied"}
    | {"invalid_client_metadata", "invalid_redirect_uri"}
)


class Redirected(Refused):
    """The target redirected the request, perhaps to a login page."""


Fields = Mapping[str, str | Secret | tuple[str, ...]]  # of a form; a tuple is one field several times


class Broken(Transient):
    """A 5xx: the outcome is unknown. `date`: the server's clock, if given."""

    def __init__(self, what: str, *, retry_after: float | None = None, date: datetime | None = None) -> None:
        super().__init__(what, retry_after=retry_after)
        self.date = date


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A target's answer. `document`: the decoded JSON of a 2xx, None when empty; it may contain a secret.

    `error`: the registered error word of an OAuth server (RFC 6749, section 5.2), and no other text.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    document: Any = field(default=None, repr=False)
    error: str = ""

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters; or empty."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def date(self) -> datetime | None:
        """The server's clock, if given."""
        return _date(self.headers)

    @property
    def is_json(self) -> bool:
        """Whether the media type is JSON, problem documents included."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    @property
    def challenge(self) -> str:
        """The scheme of the WWW-Authenticate challenge in lower case, or nothing."""
        return self.headers.get("www-authenticate", "").partition(" ")[0].lower()


def segment(name: str) -> str:
    """A name as one segment of a path. Raises Refused for dots, and for a name that is no token's handle."""
    if name in ("", ".", "..") or len(name) > LONGEST:
        raise Refused(f"not a name of 1 to {LONGEST} characters that can stand in a path")
    return quote(name, safe="")


class HttpClient:
    """The client of a target: no cookies, redirects or environment; own TLS settings; limits on everything."""

    def __init__(
        self,
        target: str,
        config: TargetConfig,
        clock: Clock,
        fetch: Fetch,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`fetch` gets the password of a proxy; `transport` replaces the network in tests."""
        self._target = target
        self._base = self._where = ""
        self._ca_file = config.ca_file
        self._route = ProxyRoute(config.proxy, fetch) if config.proxy else None
        self._forwarded: Proxy | None = None  # it may forward what it likes, in the name of any server
        self._move(config.url.rstrip("/"))
        self._deadline = config.deadline.total_seconds()
        self.clock = clock
        self._rests = config.rests
        budget = RateLimit(config.calls, config.period.total_seconds())
        self._rate_limiter = RateLimiter(budget, config.concurrency, clock)
        phase = config.timeout.total_seconds()
        self._phases = httpx.Timeout(connect=phase, read=phase, write=phase, pool=phase)
        self._client = self._over(transport or over_network(config.ca_file, _LIMITS, self._route))

    def _over(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            event_hooks={"response": [forget_where]},
            trust_env=False,
            timeout=self._phases,
            transport=transport,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def at(self, url: str) -> HttpClient:
        """The same client and budget for another address of the target, used as given."""
        other = copy(self)
        other._move(url)
        return other

    def presenting(self, own: Own) -> HttpClient:
        """The same target and budget, over connections that present a certificate; aclose() closes these alone."""
        other = copy(self)
        other._client = self._over(over_network(self._ca_file, _LIMITS, self._route, own))
        return other

    def _move(self, url: str) -> None:
        parts = urlsplit(url)
        proxy = self._route.proxy if self._route else None
        self._base = url
        self._where = f"{self._target} ({place(parts)}){through(proxy)}"
        self._forwarded = proxy if parts.scheme == "http" else None

    async def request(
        self,
        method: str,
        path: str,
        auth: Auth | None = None,
        json: object = None,
        cap: int = MIB,
        form: Fields | None = None,
        by: float = inf,
    ) -> HttpResponse:
        """One call with a JSON body, a form or nothing, answered 2xx with JSON or nothing, or 4xx.

        Raises Transient when the outcome is unknown (network, time, 429, 5xx, an answer cut off), Refused when
        something that is not the target's API answered (a redirect, a page), Unsendable for a secret that fits no
        header. `cap`: the longest answer that is read, in bytes.
        `by`: later, in monotonic seconds, it does not leave.
        """
        headers = dict([header(auth)]) if auth else {}
        body = {name: revealed(value) for name, value in form.items()} if form else None
        try:
            url = self._base + path
            request = self._client.build_request(method, url, headers=headers, json=revealed(json), data=body)
        except (httpx.InvalidURL, UnicodeError):  # its text contains the address
            raise Refused(f"{method} to {self._where} not sent: its address cannot be used") from None
        async with self._rate_limiter.turn():
            if self._client.is_closed:
                raise Transient(f"{method} to {self._where} not sent: this target has been closed")
            if self.clock.monotonic() > by:
                raise Transient(f"{method} to {self._where} not sent: too late, others may have gone on since")
            try:
                with anyio.fail_after(self._deadline):
                    return await self._exchange(request, cap)
            except TimeoutError:
                raise Transient(f"{method} to {self._where}: no answer within {self._deadline:g} s") from None
            except (httpx.HTTPError, OSError) as fault:
                call = f"{method} to {self._where}"
                raise await failed(call, fault, self._base, self._ca_file, self._route) from None

    async def _exchange(self, request: httpx.Request, cap: int) -> HttpResponse:
        response = await self._client.send(request, stream=True)
        try:
            call = f"{request.method} to {self._where}"
            self._screen(response, call)
            body = await _read(response, cap, call)
        finally:
            await response.aclose()
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        answer = HttpResponse(response.status_code, headers)
        if self._forwarded and (response.is_client_error or body) and not _is_servers(response, answer):
            raise Transient(f"{call}: {answer.status} that may be the proxy's own, outcome unknown", remedy=_FORWARDED)
        if not response.is_success:
            return HttpResponse(answer.status, headers, error=error_word(body))
        if not body:
            return answer
        if not answer.is_json:
            raise Refused(f"{call}: {answer.status} with a page instead of JSON", remedy=IN_FRONT)
        return HttpResponse(answer.status, headers, _decode(body, call))

    def _screen(self, response: httpx.Response, call: str) -> None:
        """Raise for a status that is no answer to the request."""
        status = response.status_code
        if status == LOGIN_WANTED:
            said, remedy = login_refused(self._forwarded) if self._forwarded else (_ON_THE_WAY, _NAME_IT)
            raise Transient(f"{call}: {said}", remedy=remedy)
        if status == 429 or status >= 500:
            pause = self._retry_after(response.headers.get("retry-after"))
            if status == 429 and pause is None and self._rests:
                pause = self._rate_limiter.weary()
            if pause is not None:
                self._rate_limiter.hush(pause)
            said = f"{call}: {status}, outcome unknown"
            if status == 429:
                raise Transient(said, retry_after=pause)
            raise Broken(said, retry_after=pause, date=_date(response.headers))
        if status < 200 or 300 <= status < 400:
            if self._forwarded:
                raise Transient(f"{call}: {status}, sent elsewhere, perhaps by the proxy itself", remedy=_FORWARDED)
            raise Redirected(f"{call}: {status}, sent elsewhere, which is not followed", remedy=IN_FRONT)

    def _retry_after(self, value: str | None) -> float | None:
        """Seconds to wait: a number or an HTTP date (RFC 9110, section 10.2.3); None when unknown."""
        if value is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", value.strip()):
            return min(float(value), _LONGEST_PAUSE)
        try:
            wait = (parsedate_to_datetime(value) - self.clock.now()).total_seconds()
        except (TypeError, ValueError, OverflowError):  # not a date, without a zone, or out of range
            return None
        return float(min(max(0, ceil(wait)), _LONGEST_PAUSE))


def over_network(
    ca_file: str | None, limits: httpx.Limits | None = None, route: ProxyRoute | None = None, own: Own | None = None
) -> httpx.AsyncBaseTransport:
    """The transport over the network, with `Trust` and perhaps a proxy and a certificate of our `own`."""
    bounds = limits or httpx.Limits()

    def make(context: Any, access: ProxyAccess | None) -> httpx.AsyncBaseTransport:
        if route and access:
            return ProxiedTransport(route, access, context, bounds)
        return closing(httpx.AsyncHTTPTransport(verify=context, limits=bounds, trust_env=False))  # type: ignore[no-any-return]  # it is given one

    trust = LoopTrust(ca_file)
    return RenewingTransport(PresentingTrust(trust, own) if own else trust, make, route)


def _is_servers(response: httpx.Response, answer: HttpResponse) -> bool:
    """Whether an answer that a proxy forwarded certainly comes from the server: a proxy's own answer is a page, or has
    one of its headers (RFC 9209; Squid, Smokescreen)."""
    headers = response.headers
    own = any(name in headers for name in _PROXYS_OWN) or "error=" in headers.get("proxy-status", "")
    return not own and (
        answer.is_json or answer.challenge not in ("", "basic")
    )  # Tinyproxy 1.11.1: a 401, Basic, a page


async def forget_where(response: httpx.Response) -> None:
    """Remove the redirect: httpx prepares the next request even if it must not follow, and fails on bad addresses."""
    response.headers.pop("location", None)


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


async def _read(response: httpx.Response, cap: int, call: str) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(f"{call}: {response.status_code} with a compressed answer, which was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > cap:
            fault = Refused if response.request.method == "GET" else Transient
            raise fault(f"{call}: {response.status_code} with more than {cap} bytes")
    return bytes(body)


def _decode(body: bytes, call: str) -> Any:
    """Strict JSON: no NaN, UTF-8 only; nesting is bounded by the decoder's own recursion limit."""
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise Transient(f"{call}: the JSON holds more than {_MOST_VALUES} values")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Transient(f"{call}: the JSON is cut off or broken") from None


def error_word(body: bytes) -> str:
    """The registered error word in a body; no other text of a body is ever shown."""
    try:
        word = msgspec.json.decode(body)["error"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
        return ""
    return word if isinstance(word, str) and word in REGISTERED else ""


def identified(document: Any, wanted: Mapping[str, str | int | bool]) -> Verdict:
    """Whether the probe's answer has the wanted fields. A rejection names the wrong fields and shows no values."""
    told = document if isinstance(document, dict) else {}
    other = sorted(name for name, value in wanted.items() if told.get(name) != value)
    return Rejected(f"the probe tells another identity: {', '.join(other)}", final=True) if other else Accepted()
