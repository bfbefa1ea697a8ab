"""An httpx transport whose connections end when the files of trust that they were made with are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from rotator.host.trust import Trust

Make = Callable[[Any], httpx.AsyncBaseTransport]  # a transport with these TLS settings


class RenewingTransport(httpx.AsyncBaseTransport):
    """Looks at the files before each request; calls under way end as they began."""

    def __init__(self, trust: Trust, make: Make) -> None:
        """Raises OSError when a file cannot be read."""
        self._trust, self._make = trust, make
        self._context = trust.context()
        self._now = make(self._context)
        self._left: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        context = self._trust.context()
        if context is not self._context:
            self._left.append(self._now)
            self._context, self._now = context, self._make(context)
        for old in [each for each in self._left if _is_idle(each)]:
            self._left.remove(old)
            await old.aclose()
        return await self._now.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in (*self._left, self._now):
            await each.aclose()


def _is_idle(transport: Any) -> bool:
    """Whether no call uses one of its connections; httpx has no word for it, httpcore 1.0.9 has."""
    return all(each.is_idle() or each.is_closed() for each in transport._pool.connections)
