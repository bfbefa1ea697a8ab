"""Owns the connections to Vault: a pool that knows nothing of its surroundings, and answers that end in time.

What is sent over them and what an answer means is adapter.py's.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from rotator.host.trust import Trust

POOL = 16  # connections kept; eight workers use them


class _Timed(io.RawIOBase):
    """What a socket says, until a moment of the monotonic clock.

    A socket's own timeout is between two pieces: a server that drips keeps the thread for hours, and nobody can
    end a thread.
    """

    def __init__(self, raw: Any, link: Any, until: float) -> None:
        self._raw, self._link, self._until = raw, link, until
        self._pause: float = link.gettimeout() or 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._link.settimeout(min(self._pause, left) if self._pause else left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer, head and body, within so many seconds from the request on."""

    seconds = 10.0

    def __init__(self, sock: Any, *args: Any, **wishes: Any) -> None:
        super().__init__(sock, *args, **wishes)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Timed(raw, sock, time.monotonic() + self.seconds))


class _Trusting(HTTPAdapter):
    """Connections with the TLS settings of `Trust`, and none that was made with others: of those there is one pool."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        super().__init__(pool_connections=1, pool_maxsize=POOL, max_retries=0)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> tuple[Any, Any]:
        """See requests: what a pool is chosen by. urllib3 closes the one that another takes the place of."""
        url = urlsplit(str(request.url))
        host = {"scheme": url.scheme, "host": url.hostname, "port": url.port}
        safe = {"ssl_context": self._trust.context(), "cert_reqs": "CERT_REQUIRED"} if url.scheme == "https" else {}
        return host, safe

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Nothing to add: the context has it all."""


class _Requests(requests.Session):
    """A session that knows no redirects, no environment, no cookies, no compression and no retries of its own."""

    def __init__(self, total: float, trust: Trust) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            pool = _Trusting(trust)
            pool.poolmanager.pool_classes_by_scheme = _pools(total)
            self.mount(scheme, pool)

    def close(self) -> None:
        """Close the idle connections now: urllib3 2 leaves that to the garbage collector."""
        for adapter in self.adapters.values():
            assert isinstance(adapter, HTTPAdapter)
            pools = adapter.poolmanager.pools
            for key in pools.keys():  # noqa: SIM118 - it cannot be iterated
                pools[key].close()
        super().close()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, ever: requests would otherwise prepare the next request, token included."""


def _pools(total: float) -> dict[str, Any]:
    """urllib3's pools, with connections whose answers are `_Answer`s."""
    answer = type("_Bounded", (_Answer,), {"seconds": total})
    plain = type("_Plain", (HTTPConnection,), {"response_class": answer})
    safe = type("_Safe", (HTTPSConnection,), {"response_class": answer})
    return {
        "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_SafePool", (HTTPSConnectionPool,), {"ConnectionCls": safe}),
    }


def new_requests_session(
    ca_file: str | None, total: float = 10.0, pair: tuple[str, str] | None = None
) -> requests.Session:
    """A session for the adapter; certificates are always verified, against `ca_file` when one is given.

    `total`: seconds after the request in which an answer must be complete. `pair`: our own certificate and its key.
    """
    session = _Requests(total, Trust(ca_file, pair))
    session.verify = ca_file or True
    return session
