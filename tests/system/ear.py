"""A place on the wire that passes on to a later judge what it hears, and notes who was denied."""

from __future__ import annotations

from collections.abc import Callable

from tests.kit.http_server import Heard
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

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        """See `Proxy.forward`."""
        self.hear(heard.raw)
        answer = super().forward(heard)
        if answer[0] == 403:
            self.denied.append(f"{heard.method} {heard.target}")
        return answer
