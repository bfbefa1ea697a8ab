"""A client of an OAuth server, and a server at work, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.tools.oauth.resource import Introspect


@dataclass(frozen=True)
class Client:
    """A client as a server has to know it. `method`: of RFC 7591; `jwks`: where its key set is."""

    name: str
    method: str
    secret: str = field(default="", repr=False)
    jwks: str = ""
    algorithm: str = "PS256"
    refreshes: bool = False


@dataclass(frozen=True)
class Running:
    """A server at work. `refresh_token`: as a consent has left it; `consent`: another one, where it can be had."""

    token_url: str
    introspect: Introspect
    refresh_token: str = field(repr=False)
    consent: Callable[[], str] | None = None
    target: dict[str, Any] = field(default_factory=dict)  # further settings of it
