"""Connections below httpx: sockets, proxies, and connections that end when their TLS settings or password change.

httpcore 1.0.9 closes a socket after a failed TLS handshake, but not after a cancelled one (measured: one open file for
each call to a target that stalls), so it is closed here.

For an https server, the proxy opens a tunnel (CONNECT) and looks up the server's name. The proxy's login goes into
CONNECT, or into a plain http request that the proxy forwards, never through the tunnel.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any, Protocol
from urllib.parse import SplitResult

import anyio
import h11
import httpcore
import httpx

from rotator.host.proxy import (
    Proxy,
    ProxyFault,
    authorization,
    broken,
    garbled,
    proxy_fault,
    turned_away,
    unreached,
    unread,
)
from rotator.host.threads import HostNames
from rotator.host.tls_files import LoopTrust, TrustFault
from rotator.ports import Fault
from rotator.rotation.secret import Secret, SecretRef

_HEAD_START = 0.25  # seconds before the next address is tried as well (RFC 8305)
Fetch = Callable[[SecretRef], Awaitable[Secret]]
_LONGEST = 16 * 1024  # bytes of a proxy's answer to CONNECT
_WITHIN = 10.0  # seconds for trying a proxy


class Backend(httpcore.AnyIOBackend):
    """Opens sockets for httpcore, for one target: its names are looked up in threads of their own."""

    def __init__(self) -> None:
        self._names = HostNames()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses: tuple[str, ...] = ()
        try:
            with anyio.fail_after(timeout):
                addresses = await self._names.find(host)
                connect = partial(super().connect_tcp, local_address=local_address, socket_options=socket_options)
                return _closing(await _first(addresses, lambda address: connect(address, port)))
        except TimeoutError as late:
            if not addresses:
                unnamed = socket.gaierror(socket.EAI_AGAIN, "no answer in time")
                raise httpcore.ConnectError(unnamed) from late  # an argument: httpcore 1.0.9 drops causes
            raise httpcore.ConnectTimeout(str(late)) from late
        except OSError as fault:
            raise httpcore.ConnectError(str(fault)) from fault


async def _first(
    addresses: Sequence[str], connect: Callable[[str], Awaitable[httpcore.AsyncNetworkStream]]
) -> httpcore.AsyncNetworkStream:
    """Connect to the first address that answers; the next one is tried when the one before fails or is slow."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    streams: list[httpcore.AsyncNetworkStream] = []
    faults: list[Exception] = []

    async def attempt(address: str, failed: anyio.Event) -> None:
        try:
            stream = await connect(address)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
            faults.append(fault)
            failed.set()
            return
        streams.append(stream)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for address in addresses:
            failed = anyio.Event()
            group.start_soon(attempt, address, failed)
            with anyio.move_on_after(_HEAD_START):
                await failed.wait()
    if not streams:
        raise faults[0] if faults else OSError("the name has no address")
    for superfluous in streams[1:]:
        await superfluous.aclose()
    return streams[0]


def _closing(stream: httpcore.AsyncNetworkStream) -> httpcore.AsyncNetworkStream:
    """The stream, with a handshake that closes the socket when it is cancelled."""
    handshake = stream.start_tls

    async def start_tls(
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _closing(await handshake(ssl_context, server_hostname, timeout))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            raise

    stream.start_tls = start_tls  # type: ignore[method-assign]  # it has no other place for this
    return stream


def closing(transport: Any, backend: Backend | None = None) -> Any:
    """httpx's transport on these sockets, for which it has no parameter."""
    transport._pool._network_backend = backend or Backend()
    return transport


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """The TLS settings and login of connections through a proxy. When they change, older ones must not be used."""

    context: ssl.SSLContext | None  # TLS to the proxy itself; None: plain
    login: str = field(repr=False)  # the value of Proxy-Authorization; empty: none


class ProxyRoute:
    """One proxy with its current TLS settings and password."""

    def __init__(self, proxy: Proxy, fetch: Fetch) -> None:
        """`fetch` finds its password."""
        self.proxy = proxy
        self._fetch = fetch
        self._trust = LoopTrust(proxy.ca_file) if proxy.encrypted else None
        self._password: Secret | None = None  # as last read; the redactor knows it while it may be sent

    async def access(self) -> ProxyAccess:
        """The current access; what cannot be read now stays as it was. Raises ProxyFault when there was none."""
        try:
            context = await self._trust.context() if self._trust else None
        except TrustFault as fault:
            raise ProxyFault(f"{self.proxy} cannot be used: its {fault.what}", fault.remedy) from None
        if self.proxy.password is None:
            return ProxyAccess(context, "")
        try:
            self._password = await self._fetch(self.proxy.password)
        except Fault as fault:
            if self._password is None:
                raise unread(self.proxy, fault.reason) from None
        return ProxyAccess(context, authorization(self.proxy.username, self._password))

    def backend(self, access: ProxyAccess, *, tunnels: bool) -> ProxiedBackend:
        """The backend that makes httpcore's connections."""
        return ProxiedBackend(self.proxy, access, tunnels=tunnels)

    async def try_out(self, url: SplitResult) -> None:
        """Connect to that address through the proxy and hang up, without sending a request. Raises ProxyFault."""
        tunnels = url.scheme == "https"
        try:
            backend = self.backend(await self.access(), tunnels=tunnels)
            stream = await backend.connect_tcp(url.hostname or "", url.port or 443, _WITHIN)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
            raise proxy_fault(fault) or fault from None
        await stream.aclose()


class ProxiedBackend(Backend):
    """See `Backend`; each fault holds a ProxyFault (httpcore 1.0.9 drops causes)."""

    def __init__(self, proxy: Proxy, access: ProxyAccess, *, tunnels: bool) -> None:
        super().__init__()
        self._proxy, self._access, self._tunnels = proxy, access, tunnels

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream: httpcore.AsyncNetworkStream | None = None
        asked = done = False
        end = anyio.current_time() + (inf if timeout is None else timeout)
        try:
            stream = await super().connect_tcp(
                self._proxy.host, self._proxy.port, timeout, local_address, socket_options
            )
            with anyio.fail_after(end - anyio.current_time()):
                if self._access.context:
                    stream = await stream.start_tls(self._access.context, self._proxy.host)
                if asked := self._tunnels:
                    await self._open(stream, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
                done = True
                return stream
        except ProxyFault as fault:
            raise httpcore.ConnectError(fault) from None
        except (TimeoutError, httpcore.TimeoutException) as late:
            raise httpcore.ConnectTimeout((broken if asked else unreached)(self._proxy, late)) from None
        except (httpcore.NetworkError, OSError) as fault:
            raise httpcore.ConnectError((broken if asked else unreached)(self._proxy, fault)) from None
        finally:
            if stream is not None and not done:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()

    async def _open(self, stream: httpcore.AsyncNetworkStream, place: str) -> None:
        """Open a tunnel. Raises ProxyFault when the proxy refuses, and the faults of the stream."""
        headers = [("Host", place), ("User-Agent", "rotator")]
        headers += [("Proxy-Authorization", self._access.login)] if self._access.login else []
        talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST)
        asked = talk.send(h11.Request(method="CONNECT", target=place, headers=headers))
        talk.send(h11.EndOfMessage())
        await stream.write(asked or b"")
        try:
            answer = await _answer(talk, stream)
        except h11.RemoteProtocolError:
            raise garbled(self._proxy) from None
        if answer is None:
            raise broken(self._proxy)
        if not 200 <= answer.status_code < 300:
            raise turned_away(self._proxy, answer.status_code, place)
        if talk.trailing_data[0]:  # before the handshake the server sends nothing
            raise garbled(self._proxy)


async def _answer(talk: h11.Connection, stream: httpcore.AsyncNetworkStream) -> h11.Response | None:
    """The proxy's answer; None when it hangs up. Raises h11.RemoteProtocolError."""
    while True:
        event = talk.next_event()
        if isinstance(event, h11.Response):
            return event
        if event is h11.NEED_DATA:
            if not (more := await stream.read(4096)):
                return None
            talk.receive_data(more)


class OwnCertificate(Protocol):
    """A certificate that we present to servers."""

    def load_into(self, context: ssl.SSLContext) -> None:
        """Present it with these TLS settings."""
        ...


Own = Callable[[], Awaitable[OwnCertificate]]


class PresentingTrust:
    """TLS settings with a certificate of ours: a new object as soon as it or what we trust has changed."""

    def __init__(self, trust: LoopTrust, own: Own) -> None:
        """`own` is asked at each call; the same object: it has not changed. Its faults are raised as they are."""
        self._trust, self._own = trust, own
        self._made: tuple[ssl.SSLContext, OwnCertificate, ssl.SSLContext] | None = None

    async def context(self) -> ssl.SSLContext:
        """The settings. Raises TrustFault, and the faults of `own`."""
        base, own = await self._trust.context(), await self._own()
        if self._made is None or self._made[0] is not base or self._made[1] is not own:
            context = await self._trust.fresh()
            own.load_into(context)
            self._made = base, own, context
        return self._made[2]


Make = Callable[
    [Any, ProxyAccess | None], httpx.AsyncBaseTransport
]  # makes a transport with these TLS settings and this proxy


class RenewingTransport(httpx.AsyncBaseTransport):
    """Checks the TLS files before each request; calls under way go on with the old ones."""

    def __init__(self, trust: LoopTrust | PresentingTrust, make: Make, route: ProxyRoute | None = None) -> None:
        self._trust, self._make, self._route = trust, make, route
        self._with: tuple[Any, ProxyAccess | None] = None, None
        self._now: httpx.AsyncBaseTransport | None = None
        self._left: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. Raises ProxyFault when the proxy's password cannot be read, TrustFault without a CA file."""
        access = await self._route.access() if self._route else None
        made_with = await self._trust.context(), access
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
    """Calls through a proxy: by a tunnel to https servers, forwarded by the proxy to plain http servers."""

    def __init__(self, route: ProxyRoute, access: ProxyAccess, context: Any, limits: httpx.Limits) -> None:
        headers = {"Proxy-Authorization": access.login} if access.login else None
        # The backend makes TLS to the proxy, so httpcore is told that it is plain.
        asked = httpx.Proxy(f"http://{_bracketed(route.proxy.host)}:{route.proxy.port}", headers=headers)
        tunnel = httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False)
        forward = httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False, proxy=asked)
        self.both: dict[str, httpx.AsyncBaseTransport] = {
            "https": closing(tunnel, route.backend(access, tunnels=True)),
            "http": closing(forward, route.backend(access, tunnels=False)),
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        return await self.both[request.url.scheme].handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for each in self.both.values():
            await each.aclose()


def is_idle(transport: Any) -> bool:
    """Whether no call uses one of its connections, as httpcore 1.0.9 tells; httpx has no method for it."""
    if isinstance(transport, ProxiedTransport):
        return all(map(is_idle, transport.both.values()))
    return all(each.is_idle() or each.is_closed() for each in transport._pool.connections)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
