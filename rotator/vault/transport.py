"""Where Vault is, and the connections to it: pools that ignore the environment, and answers that end in time."""

from __future__ import annotations

import io
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.poolmanager import ProxyManager

from rotator.host.proxy import (
    Proxy,
    ProxyFault,
    authorization,
    broken,
    garbled,
    is_loopback,
    leaves_here,
    turned_away,
    unreached,
    unread,
)
from rotator.host.tls_files import Trust
from rotator.ports import Fault
from rotator.rotation.secret import Secret, SecretRef

POOL = 16  # connections kept; eight workers use them
_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")  # http.client's text for a proxy's answer


@dataclass(frozen=True, slots=True)
class VaultConnection:
    """Where Vault is and where our documents live in it."""

    address: str
    mount: str = "secret"
    prefix: str = "rotator"
    instance: str = "rotator"  # the name of our heartbeat; no two running instances share one
    reading: bool = False  # we only read: the state at our login is new enough
    namespace: str | None = None
    login_namespace: str | None = None  # where the login and its token live
    ca_file: str | None = None
    client_cert: tuple[str, str] | None = None  # certificate and key files
    connect_timeout: float = 3.0  # seconds
    read_timeout: float = 7.0  # seconds between two pieces of an answer
    total_timeout: float = 10.0  # seconds for one request, whatever happens
    allow_insecure_http: bool = False
    proxy: VaultProxy | None = None

    def __post_init__(self) -> None:
        """Raises ValueError with words for the settings."""
        if self.login_namespace is None:
            object.__setattr__(self, "login_namespace", self.namespace)
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the Vault address is not an http(s) URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the Vault address must not carry user, query or fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname) and not self.allow_insecure_http:
            raise ValueError("plain http to Vault is for loopback only, unless allow_insecure_http is set")
        if leaves_here(self.address, self.proxy.proxy if self.proxy else None) and not self.allow_insecure_http:
            raise ValueError("plain http to this host would leave it through a proxy elsewhere, in the clear")


class _Timed(io.RawIOBase):
    """A socket that is read until a deadline on the monotonic clock.

    A socket's own timeout counts between two pieces: a server that drips would keep the thread for hours, and a
    thread cannot be ended.
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
    """An answer whose head and body arrive within so many seconds from the request."""

    seconds = 10.0

    def __init__(self, sock: Any, *args: Any, **wishes: Any) -> None:
        super().__init__(sock, *args, **wishes)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Timed(raw, sock, time.monotonic() + self.seconds))


@dataclass(frozen=True, slots=True)
class VaultProxy:
    """A proxy in front of Vault. `read` gets its password, which cannot be in Vault; it may raise a Fault."""

    proxy: Proxy
    read: Callable[[SecretRef], Secret]


class _Entry:
    """The current TLS settings and login for a proxy. Thread-safe."""

    def __init__(self, way: VaultProxy) -> None:
        """Raises OSError when its CA file cannot be read."""
        self._way = way
        self._trust = Trust(way.proxy.ca_file) if way.proxy.encrypted else None
        self._password: Secret | None = None  # as last read; the redactor knows it while it may be sent

    def now(self) -> tuple[ssl.SSLContext | None, str]:
        """TLS settings towards the proxy, and its login. If the password cannot be read now, the old one is used.

        Raises ProxyFault when there is none, OSError when its CA file cannot be read.
        """
        proxy = self._way.proxy
        context = self._trust.context() if self._trust else None
        if proxy.password is None:
            return context, ""
        try:
            self._password = self._way.read(proxy.password)
        except Fault as fault:
            if self._password is None:
                raise unread(proxy, fault.reason) from None
        return context, authorization(proxy.username, self._password)


class _Trusting(HTTPAdapter):
    """Connections with the TLS settings of `Trust`. Connections made with older settings are not used again.

    The same holds for connections made with an older password of a proxy, or older TLS settings towards it.
    """

    def __init__(self, trust: Trust, total: float, way: VaultProxy | None = None) -> None:
        self._trust, self._way = trust, way
        self._entry = _Entry(way) if way else None
        self._made_with: tuple[Any, str] | None = None
        self._one_at_a_time = threading.Lock()
        self._pools = _pools(total, way.proxy if way else None)
        super().__init__(pool_connections=1, pool_maxsize=POOL, max_retries=0)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """See requests. Raises ProxyFault when the proxy's password cannot be read."""
        self._renew()
        return super().get_connection_with_tls_context(request, verify, None, cert)

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """See requests: the whole URL for a proxy that forwards plain http."""
        url = str(request.url)
        return url if self._way and url.startswith("http:") else request.path_url

    def _renew(self) -> None:
        """Drop connections made with another password: idle ones end now, busy ones after their answer."""
        if self._entry is None or self._way is None:
            return
        with self._one_at_a_time:
            made_with = context, login = self._entry.now()
            if made_with == self._made_with:
                return
            old, headers = self.poolmanager, {"Proxy-Authorization": login} if login else {}
            new = ProxyManager(
                self._way.proxy.url, num_pools=1, maxsize=POOL, proxy_headers=headers, proxy_ssl_context=context
            )
            new.pool_classes_by_scheme = self._pools
            self.poolmanager, self._made_with = new, made_with
            old.clear()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> tuple[Any, Any]:
        """See requests: the key of a pool. urllib3 closes a pool that is replaced."""
        url = urlsplit(str(request.url))
        host = {"scheme": url.scheme, "host": url.hostname, "port": url.port}
        safe = {"ssl_context": self._trust.context(), "cert_reqs": "CERT_REQUIRED"} if url.scheme == "https" else {}
        return host, safe

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Do nothing: the context has all settings."""


class _Requests(requests.Session):
    """A session without redirects, environment, cookies, compression or retries."""

    def __init__(self, total: float, trust: Trust, way: VaultProxy | None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.proxy = way.proxy if way else None
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Trusting(trust, total, way))

    def close(self) -> None:
        """Close the idle connections now: urllib3 2 leaves that to the garbage collector."""
        for adapter in self.adapters.values():
            assert isinstance(adapter, HTTPAdapter)
            pools = adapter.poolmanager.pools
            for key in pools.keys():  # noqa: SIM118 - it cannot be iterated
                pools[key].close()
        super().close()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Never follow: requests would prepare the next request with the token."""


class _Proxied:
    """A urllib3 connection whose faults count as the proxy's until its tunnel is open."""

    way: Proxy

    def _new_conn(self) -> Any:
        with self._blamed(unreached):
            return super()._new_conn()  # type: ignore[misc]  # of the class beside this one

    def _connect_tls_proxy(self, *args: Any, **wishes: Any) -> Any:
        with self._blamed(unreached):
            return super()._connect_tls_proxy(*args, **wishes)  # type: ignore[misc]  # of the class beside this one

    def _tunnel(self) -> None:
        with self._blamed(broken):
            super()._tunnel()  # type: ignore[misc]  # of the class beside this one

    @contextmanager
    def _blamed(self, otherwise: Callable[[Proxy, BaseException], ProxyFault]) -> Iterator[None]:
        place = f"{getattr(self, '_tunnel_host', '')}:{getattr(self, '_tunnel_port', '')}"
        try:
            yield
        except (OSError, HTTPError, HTTPException) as fault:
            if refused := _REFUSED.match(str(fault)):
                raise turned_away(self.way, int(refused[1]), place) from None
            if isinstance(fault, HTTPException) and not isinstance(fault, ConnectionError):
                raise garbled(self.way) from None
            raise otherwise(self.way, fault) from None


def _pools(total: float, proxy: Proxy | None) -> dict[str, Any]:
    """urllib3's pools, with connections whose answers are `_Answer`s."""
    answer = type("_Bounded", (_Answer,), {"seconds": total})
    through, wishes = ((_Proxied,), {"way": proxy}) if proxy else ((), {})
    plain = type("_Plain", (*through, HTTPConnection), {"response_class": answer, **wishes})
    safe = type("_Safe", (*through, HTTPSConnection), {"response_class": answer, **wishes})
    return {
        "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_SafePool", (HTTPSConnectionPool,), {"ConnectionCls": safe}),
    }


def new_requests_session(
    ca_file: str | None,
    total: float = 10.0,
    pair: tuple[str, str] | None = None,
    way: VaultProxy | None = None,
) -> requests.Session:
    """A session for the adapter; certificates are always verified, against `ca_file` when one is given.

    `total`: seconds after the request in which an answer must be complete. `pair`: our own certificate and its key.
    """
    session = _Requests(total, Trust(ca_file, pair), way)
    session.verify = ca_file or True
    return session
