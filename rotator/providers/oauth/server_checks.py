"""What `rotate check` finds out about a server: does it take an assertion twice, how old an one, an expired one?

At most seven token requests, and only on an operator's word: nobody knows what a server makes of refused logins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from rotator.ports import Clock, Refused, Transient
from rotator.providers.http.client import Broken
from rotator.providers.keys.assertion import Assertion
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.token_response import ClientDenied, ClockGap, Granted
from rotator.rotation.secret import Secret

_AGES = (timedelta(seconds=70), timedelta(minutes=6), timedelta(hours=1))
_LIFE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_LEEWAYS = (timedelta(seconds=65), timedelta(seconds=305))  # Spring Authorization Server 1.4.1 has 60 s, others 5 min
_BEHIND = timedelta(seconds=5)  # what is signed then lives shorter by that much


class CheckedServer(Protocol):
    """What a trial needs of a site."""

    keys: OAuthTargetConfig
    clock: Clock
    gap: ClockGap | None

    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def exchange(self, client: ClientOptions, assertion: Secret | None) -> Granted: ...


async def findings(server: CheckedServer, client: ClientOptions, lifetime: timedelta) -> list[str]:
    """Where the server differs from the settings, and what that means for the consumers. Empty when it does not say."""
    found = []
    try:
        first = await server.draft(client, server.clock.now() + _LIFE)
        await server.exchange(client, await server.seal(client, first))
        for trial in (_reuse(server, client, first), _age(server, client, lifetime), _leeway(server, client, lifetime)):
            found += [text async for text in trial]
    except (Transient, Refused):
        pass  # the proof tells the same, and with it the reason
    return found + _clocks(server, client)


async def _reuse(server: CheckedServer, client: ClientOptions, first: Assertion) -> AsyncIterator[str]:
    again = await _taken(server, client, first)
    if again and server.keys.single_use:
        yield "this server takes an assertion again: single_use = false would hold"
    elif not again and not server.keys.single_use:
        yield (
            "this server takes an assertion once, though single_use = false is set: what is published serves one"
            " exchange by one consumer; publish the access token (kind oauth-token), or let each consumer sign"
        )


async def _age(server: CheckedServer, client: ClientOptions, lifetime: timedelta) -> AsyncIterator[str]:
    for age in _AGES:
        if age - _LIFE >= lifetime:
            return
        drafted = await server.draft(client, server.clock.now() + _LIFE)
        if await _taken(server, client, drafted.aged(age, str(uuid4()))):
            continue
        if server.keys.max_age is None or server.keys.max_age >= age:
            yield (
                f"this server refuses an assertion made {age.total_seconds():g}s ago, whatever its expiry says:"
                " set max_age below that, and a lifetime to fit, or publish the access token (kind oauth-token)"
            )
        return


async def _leeway(server: CheckedServer, client: ClientOptions, lifetime: timedelta) -> AsyncIterator[str]:
    """Two requests at most: what is expired by more than `leeway`, and by how much more where that is taken."""
    life, leeway = min(lifetime, _LIFE), server.keys.leeway
    taken = leeway + _SECOND
    if not await _expired_taken(server, client, life, taken):
        return
    longer = next((each for each in _LEEWAYS if each > taken), None)
    dead = longer is not None and not await _expired_taken(server, client, life, longer)
    said = f"this server takes an assertion {_seconds(taken)} after its end"
    if dead and longer:
        yield f'{said}, and not {_seconds(longer)} after it: set leeway = "{_seconds(longer)}"'
    else:
        said = said if longer is None else f"this server takes an assertion {_seconds(longer)} after its end"
        yield f"{said}: set leeway to what its makers say, as until then it is not dead"


async def _expired_taken(server: CheckedServer, client: ClientOptions, life: timedelta, ago: timedelta) -> bool:
    drafted = await server.draft(client, server.clock.now() + life)
    return await _taken(server, client, drafted.moved(life + ago))


async def _taken(server: CheckedServer, client: ClientOptions, assertion: Assertion) -> bool:
    """Whether this one is taken, where a sound one was a moment ago.

    Ory Hydra 2.3.0 answers 500 to one that has expired.
    """
    try:
        await server.exchange(client, await server.seal(client, assertion))
    except (ClientDenied, Broken):
        return False
    return True


def _clocks(server: CheckedServer, client: ClientOptions) -> list[str]:
    gap = server.gap
    if gap is None or not (gap.least >= max(client.backdate, _SECOND) or gap.most <= -_BEHIND):
        return []
    means = "it may refuse what comes from the future" if gap.ahead else "what is signed lives shorter by that much"
    return [f"{gap}: {means}; {gap.remedy}"]


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"
