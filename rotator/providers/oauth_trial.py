"""Owns what `rotate check` finds out about a server: does it take an assertion twice, and how old an one?

At most five token requests, and only on an operator's word: nobody knows what a server makes of refused logins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from rotator.ports import Clock, Refused, Transient
from rotator.providers.assertion import Assertion
from rotator.providers.oauth_answer import Denied, Granted
from rotator.providers.oauth_keys import ClientKeys, OAuthTargetKeys
from rotator.rotation.secret import Secret

_AGES = (timedelta(seconds=70), timedelta(minutes=6), timedelta(hours=1))
_LIFE = timedelta(minutes=1)


class Server(Protocol):
    """What a trial needs of a site."""

    keys: OAuthTargetKeys
    clock: Clock

    async def draft(self, client: ClientKeys, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientKeys, assertion: Assertion) -> Secret: ...
    async def exchange(self, client: ClientKeys, assertion: Secret | None) -> Granted: ...


async def findings(site: Server, client: ClientKeys, lifetime: timedelta) -> list[str]:
    """Where the server differs from the settings, and what that means for the consumers. Empty when it does not say."""
    try:
        return [text async for text in _findings(site, client, lifetime)]
    except (Transient, Refused):
        return []  # the proof tells the same, and with it the reason


async def _findings(site: Server, client: ClientKeys, lifetime: timedelta) -> AsyncIterator[str]:
    first = await site.draft(client, site.clock.now() + _LIFE)
    if not await _taken(site, client, first):
        return
    again = await _taken(site, client, first)
    if again and site.keys.single_use:
        yield "this server takes an assertion again: single_use = false would hold"
    elif not again and not site.keys.single_use:
        yield (
            "this server takes an assertion once, though single_use = false is set: what is published serves one"
            " exchange by one consumer; publish the access token (kind oauth-token), or let each consumer sign"
        )
    for age in _AGES:
        if age - _LIFE >= lifetime:
            return
        if not await _taken(site, client, first.aged(age, str(uuid4()))):
            if site.keys.max_age is None or site.keys.max_age >= age:
                yield (
                    f"this server refuses an assertion made {age.total_seconds():g}s ago, whatever its expiry says:"
                    " set max_age below that, and a lifetime to fit, or publish the access token (kind oauth-token)"
                )
            return


async def _taken(site: Server, client: ClientKeys, assertion: Assertion) -> bool:
    try:
        await site.exchange(client, await site.seal(client, assertion))
    except Denied:
        return False
    return True
