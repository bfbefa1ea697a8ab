"""Connections of clients that present a TLS certificate (RFC 8705)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial

from rotator.ports import Fault, Transient, UnusableKey
from rotator.providers.http.auth import Auth
from rotator.providers.http.client import Broken, Fields, HttpClient, HttpResponse
from rotator.providers.keys.client_certificate import ClientCertificate, client_certificate
from rotator.providers.oauth.config import ClientOptions
from rotator.rotation.credential import Credential
from rotator.rotation.secret import Secret, SecretRef

_REPLACED_WITHIN = 60.0  # seconds in which a certificate and its key are replaced, one after the other
_Pair = tuple[SecretRef, SecretRef]


class MutualTls:
    """The connections of one server's clients, one pool for each certificate; all share the target's budget."""

    def __init__(self, http: HttpClient, fetch: Callable[[SecretRef], Awaitable[Secret]]) -> None:
        """`http`: for clients without a certificate. `fetch` is asked at each call, so that a renewed one is used."""
        self._http = http
        self._fetch = fetch
        self._lines: dict[_Pair, HttpClient] = {}
        self._read: dict[_Pair, ClientCertificate] = {}
        self._unfit: dict[_Pair, float] = {}  # since when what is there is no pair, in monotonic seconds

    def line(self, client: ClientOptions) -> HttpClient:
        """The connections for calls of this client: its own, where it has a certificate."""
        pair = _pair(client)
        if pair is None:
            return self._http
        if pair not in self._lines:
            self._lines[pair] = self._http.presenting(partial(self._certificate, pair))
        return self._lines[pair]

    async def shown(self, client: ClientOptions, now: datetime) -> str:
        """What a refused client showed, in words; empty without a certificate. Raises as `fetch`, and UnusableKey."""
        pair = _pair(client)
        if pair is None:
            return ""
        own = await self._certificate(pair)
        trouble = own.trouble(now)
        return f"; it showed the certificate {own}{'; ' if trouble else ''}{trouble}"

    async def request(
        self, client: ClientOptions, method: str, path: str, auth: Auth | None, form: Fields | None = None
    ) -> HttpResponse:
        """One call of this client, to a path of the target or to a whole address. Raises as `HttpClient.request`; what
        failed on the way names the certificate that was shown."""
        line = self.line(client)
        try:
            if path.startswith("/"):
                return await line.request(method, path, auth, form=form)
            return await line.at(path).request(method, "", auth, form=form)
        except Broken:
            raise
        except Transient as fault:
            if client.tls_certificate is None:
                raise
            shown = await self.shown(client, self._http.clock.now())
            raise Transient(fault.what + shown, retry_after=fault.retry_after, remedy=fault.remedy) from None

    async def findings(self, credentials: Iterable[Credential[ClientOptions]], now: datetime) -> list[str]:
        """For `rotate check`: certificates that cannot be used, or have ended, or will soon."""
        found = []
        for pair in dict.fromkeys(filter(None, (_pair(each.options) for each in credentials))):
            try:
                own = await self._certificate(pair)
            except Fault as fault:
                found.append(f"tls_certificate {pair[0]}: {fault.reason}")
                continue
            if trouble := own.trouble(now):
                found.append(f"tls_certificate {pair[0]} ({own}): {trouble}")
        return found

    async def aclose(self) -> None:
        """Close the connections that present a certificate."""
        for each in self._lines.values():
            await each.aclose()

    async def _certificate(self, pair: _Pair) -> ClientCertificate:
        certificate, key = await self._fetch(pair[0]), await self._fetch(pair[1])
        known, now = self._read.get(pair), self._http.clock.monotonic()
        if known is not None and known.is_made_of(certificate, key):
            self._unfit.pop(pair, None)
            return known
        try:
            made = self._read[pair] = client_certificate(certificate, key)
        except UnusableKey:
            if known is None or now - self._unfit.setdefault(pair, now) > _REPLACED_WITHIN:
                raise
            return known
        self._unfit.pop(pair, None)
        return made


def _pair(client: ClientOptions) -> _Pair | None:
    certificate = client.tls_certificate
    return None if certificate is None else (certificate, client.tls_key or certificate)
