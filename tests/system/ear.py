"""A place on the wire that passes on to a later judge what it hears, and notes who was denied."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPResponse

from tests.system.proxy import Judge, Proxy


class Ear(Proxy):
    """A proxy that tells `hear` the body of every request that reaches the server. `denied`: the calls answered 403."""

    def __init__(
        self,
        edge: str,
        upstream: str,
        judge: Judge,
        hear: Callable[[bytes], None],
        denied: list[str] | None = None,
    ) -> None:
        super().__init__(edge, upstream, judge)
        self.hear = hear
        self.denied = [] if denied is None else denied

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        """See `Proxy.forward`."""
        self.hear(body)
        answer, content = super().forward(method, path, headers, body)
        if answer.status == 403:
            self.denied.append(f"{method} {path}")
        return answer, content
