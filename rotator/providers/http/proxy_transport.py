"""Connections through a proxy, below httpx: TCP and TLS to the proxy, and a tunnel (CONNECT) to an https server.

The server's name is looked up by the proxy, not here. The proxy's login goes into CONNECT, or into a request that the
proxy itself is to forward (plain http), and never through the tunnel.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult

import anyio
import h11
import httpcore

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
from rotator.host.tls_files import LoopTrust, TrustFault
from rotator.ports import Fault
from rotator.providers.http.transport import Backend
from rotator.rotation.secret import Secret
from rotator.rotation.secret_ref import SecretRef

Fetch = Callable[[SecretRef], Awaitable[Secret]]
_LONGEST = 16 * 1024  # bytes of a proxy's answer to CONNECT
_WITHIN = 10.0  # seconds of a trial


@dataclass(frozen=True, slots=True)
class Entry:
    """What connections through a proxy are made with: others are not to be used once it is another."""

    context: ssl.SSLContext | None  # towards the proxy itself; None: it is spoken to in the clear
    login: str = field(repr=False)  # the value of Proxy-Authorization; empty: none


class ProxyRoute:
    """One proxy with what it takes to use it now: whom to believe, and its password."""

    def __init__(self, proxy: Proxy, fetch: Fetch | None = None) -> None:
        """`fetch` finds its password."""
        self.proxy = proxy
        self._fetch = fetch
        self._trust = LoopTrust(proxy.ca_file) if proxy.encrypted else None
        self._password: Secret | None = None  # as last read, and known to the redactor as long as it may travel

    async def entry(self) -> Entry:
        """As it is now; what cannot be read now is as it was before. Raises ProxyFault when there was nothing."""
        try:
            context = await self._trust.context() if self._trust else None
        except TrustFault as fault:
            raise ProxyFault(f"{self.proxy} cannot be used: its {fault.what}", fault.remedy) from None
        if self.proxy.password is None:
            return Entry(context, "")
        try:
            if self._fetch is None:
                raise ProxyFault(f"the password of {self.proxy} cannot be had", "this kind of target reads no secrets")
            self._password = await self._fetch(self.proxy.password)
        except Fault as fault:
            if self._password is None:
                raise unread(self.proxy, fault.reason) from None
        return Entry(context, authorization(self.proxy.username, self._password))

    def backend(self, entry: Entry, *, tunnels: bool) -> ProxiedBackend:
        """Where httpcore gets its connections from."""
        return ProxiedBackend(self.proxy, entry, tunnels=tunnels)

    async def try_out(self, url: SplitResult) -> None:
        """Connect as a call to that address would, and hang up: nothing is sent to it. Raises ProxyFault."""
        tunnels = url.scheme == "https"
        try:
            backend = self.backend(await self.entry(), tunnels=tunnels)
            stream = await backend.connect_tcp(url.hostname or "", url.port or 443, _WITHIN)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
            raise proxy_fault(fault) or fault from None
        await stream.aclose()


class ProxiedBackend(Backend):
    """See `Backend`; each fault holds a ProxyFault (httpcore 1.0.9 drops causes)."""

    def __init__(self, proxy: Proxy, entry: Entry, *, tunnels: bool) -> None:
        super().__init__()
        self._proxy, self._entry, self._tunnels = proxy, entry, tunnels

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
        try:
            with anyio.fail_after(timeout):
                stream = await super().connect_tcp(
                    self._proxy.host, self._proxy.port, None, local_address, socket_options
                )
                if self._entry.context:
                    stream = await stream.start_tls(self._entry.context, self._proxy.host)
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
        """Ask for a tunnel. Raises ProxyFault unless it is open, and what a stream raises."""
        headers = [("Host", place), ("User-Agent", "rotator")]
        headers += [("Proxy-Authorization", self._entry.login)] if self._entry.login else []
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
        if talk.trailing_data[0]:  # before the handshake no server says anything
            raise garbled(self._proxy)


async def _answer(talk: h11.Connection, stream: httpcore.AsyncNetworkStream) -> h11.Response | None:
    """The proxy's; None when it hangs up instead. Raises h11.RemoteProtocolError."""
    while True:
        event = talk.next_event()
        if isinstance(event, h11.Response):
            return event
        if event is h11.NEED_DATA:
            if not (more := await stream.read(4096)):
                return None
            talk.receive_data(more)
