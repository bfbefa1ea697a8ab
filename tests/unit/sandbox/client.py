"""What the sandbox tests share: a client without memory."""

from __future__ import annotations

import base64
from typing import Any

import httpx

OWN = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
TOKEN = "security.halo.run/access-token"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Browserless:
    """A client as a daemon would use it: no cookies kept, no redirects followed, the XHR header sent."""

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        self._client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=timeout)

    async def __aenter__(self) -> Browserless:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(
        self, method: str, path: str, authorization: str | None = None, *, xhr: bool = True, **rest: Any
    ) -> httpx.Response:
        headers = {"Accept": "application/json", **rest.pop("headers", {})}
        if authorization:
            headers["Authorization"] = authorization
        if xhr:
            headers["X-Requested-With"] = "XMLHttpRequest"
        response = await self._client.request(method, path, headers=headers, **rest)
        self._client.cookies.clear()
        return response
