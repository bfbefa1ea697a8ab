"""One-way calls over HTTP, for hooks and pings: a body is sent, and only the status of the answer is read.

Faults name a method, a host and a status: never the path, which may be a secret, a body or a header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import anyio
import httpx

from rotator.host.proxy import LOGIN_WANTED, Proxy, login_refused, through
from rotator.ports import Transient
from rotator.providers.http.client import forget_where, over_network
from rotator.providers.http.errors import failed, place
from rotator.providers.http.transport import Fetch, ProxyRoute

_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "rotator"}


class HookClient:
    """A client for one receiver, without cookies, redirects or environment. The answer's body is not read."""

    def __init__(
        self,
        fetch: Fetch,
        ca_file: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """`fetch` finds the password of a proxy; `ca_file` is read at the first call, and when it changes. `transport`
        replaces the network in tests."""
        self._ca_file = ca_file
        self._transport = transport
        self._proxy, self._fetch = proxy, fetch
        self._route: ProxyRoute | None = None
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.aclose()

    def _opened(self) -> httpx.AsyncClient:
        self._route = ProxyRoute(self._proxy, self._fetch) if self._proxy else None
        transport = self._transport or over_network(self._ca_file, route=self._route)
        return httpx.AsyncClient(
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            event_hooks={"response": [forget_where]},
            trust_env=False,
            timeout=None,  # noqa: S113 (`send` limits the whole call)
            transport=transport,
        )

    async def send(
        self, method: str, url: str, deadline: float, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """One call; returns when a 2xx has begun. Raises Transient for anything else. `deadline` in seconds."""
        where = f"{method} to {_place(url)}{through(self._proxy)}"
        client = self._client = self._client or self._opened()
        try:
            with anyio.fail_after(deadline):
                request = client.build_request(method, url, content=body, headers=headers)
                answer = await client.send(request, stream=True)
                await answer.aclose()
        except TimeoutError:
            raise Transient(f"{where}: no answer within {deadline:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise await failed(where, fault, url, self._ca_file, self._route) from None
        if answer.status_code == LOGIN_WANTED and self._proxy:
            said, remedy = login_refused(self._proxy)
            raise Transient(f"{where}: {said}", remedy=remedy)
        if not answer.is_success:
            said = ", sent elsewhere; redirects are not followed" if answer.is_redirect else ""
            raise Transient(
                f"{where}: {answer.status_code}{said}", retry_after=_wait(answer.headers.get("retry-after"))
            )


def _place(url: str) -> str:
    try:
        return place(urlsplit(url))
    except ValueError:
        return "an address that is none"


def _wait(value: str | None) -> float | None:
    """The seconds that the receiver asks for; a date is ignored."""
    return float(value) if value and re.fullmatch(r"[0-9]{1,6}", value.strip()) else None
