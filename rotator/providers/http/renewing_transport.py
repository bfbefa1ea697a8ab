"""An httpx transport whose connections end when what they were made with is another: trust, a proxy's password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from rotator.host.tls_files import LoopTrust
from rotator.providers.http.proxy_transport import Entry, ProxyRoute
from rotator.providers.http.transport import closing

Make = Callable[[Any, Entry | None], httpx.AsyncBaseTransport]  # with these TLS settings, and so through the proxy


class RenewingTransport(httpx.AsyncBaseTransport):
    """Looks at the files before each request; calls under way end as they began."""

    def __init__(self, trust: LoopTrust, make: Make, route: ProxyRoute | None = None) -> None:
        self._trust, self._make, self._route = trust, make, route
        self._with: tuple[Any, Entry | None] = None, None
        self._now: httpx.AsyncBaseTransport | None = None
        self._left: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. Raises ProxyFault when the proxy's password cannot be had, TrustFault without a CA file."""
        entry = await self._route.entry() if self._route else None
        made_with = await self._trust.context(), entry
        if self._now is None or made_with != self._with:
            self._left += [self._now] if self._now else []
            self._with, self._now = made_with, self._make(*made_with)
        now = self._now
        for old in [each for each in self._left if is_idle(each)]:
            self._left.remove(old)
            await old.aclose()
        return await now.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in (*self._left, *([self._now] if self._now else [])):
            await each.aclose()


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Calls to https servers through tunnels; a proxy is asked to forward those over plain http itself."""

    def __init__(self, route: ProxyRoute, entry: Entry, context: Any, limits: httpx.Limits) -> None:
        headers = {"Proxy-Authorization": entry.login} if entry.login else None
        # Whether TLS is spoken to the proxy is the backend's: to httpcore it is a plain one.
        asked = httpx.Proxy(f"http://{_bracketed(route.proxy.host)}:{route.proxy.port}", headers=headers)
        tunnel = httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)
        forward = httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False, proxy=asked)
        self.both: dict[str, httpx.AsyncBaseTransport] = {
            "https": closing(tunnel, route.backend(entry, tunnels=True)),
            "http": closing(forward, route.backend(entry, tunnels=False)),
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        return await self.both[request.url.scheme].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in self.both.values():
            await each.aclose()


def is_idle(transport: Any) -> bool:
    """Whether no call uses one of its connections; httpx has no word for it, httpcore 1.0.9 has."""
    if isinstance(transport, ProxiedTransport):
        return all(map(is_idle, transport.both.values()))
    return all(each.is_idle() or each.is_closed() for each in transport._pool.connections)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
