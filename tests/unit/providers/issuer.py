"""An issuer in memory: its document, its endpoints, and a server of ours that calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from rotator.providers.http.client import HttpClient
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.discovery import documents_of
from rotator.providers.oauth.server import OAuthServer
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk

ISSUER = "https://as.example/shop"
FIRST, SECOND = documents_of(ISSUER)
TOKEN = "https://as.example/shop/token"
SOUND: dict[str, Any] = {"issuer": ISSUER, "token_endpoint": TOKEN}
GRANTED = {"access_token": "t", "token_type": "Bearer", "expires_in": 60}
CLIENT = ClientOptions(client_id="c", client_secret=desk.SECRET)
CANARY = "canary-client-secret-7c1d"


class Peer:
    """Answers of every server there is, by address; what is not named is a 404."""

    def __init__(self, **told: Any) -> None:
        self.answers: dict[str, Any] = {FIRST: SOUND | told, TOKEN: GRANTED}
        self.calls: list[str] = []
        self.bodies: list[str] = []

    def asked(self) -> list[str]:
        return [each for each in self.calls if "/.well-known/" in each]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await anyio.lowlevel.checkpoint()
        self.calls.append(str(request.url))
        self.bodies.append(request.content.decode())
        answer = self.answers.get(str(request.url), 404)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))
        if isinstance(answer, int):
            return httpx.Response(answer, stream=httpx.ByteStream(b""))
        told = httpx.Response(200, json=answer)
        return httpx.Response(200, headers=told.headers, stream=httpx.ByteStream(told.content))


@asynccontextmanager
async def calling(peer: Peer, clock: HandClock, **options: Any) -> AsyncIterator[OAuthServer]:
    config = OAuthTargetConfig(**({"url": "https://api.example", "issuer": ISSUER} | options))
    http = HttpClient("sso", config, clock, no_password, httpx.MockTransport(peer))
    site = OAuthServer(http, config, desk.Keys({desk.SECRET: Secret(CANARY)}), clock)
    try:
        yield site
    finally:
        await site.aclose()
