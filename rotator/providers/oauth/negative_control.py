"""Owns the negative control of OAuth servers: a client that proves nothing gets nothing. The calls are the site's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from rotator.ports import Clock, Refused, Transient
from rotator.providers.keys.assertion import Assertion, forged
from rotator.providers.keys.signing import FEWEST_BITS, Algorithm, LocalSigner, Signer, make_key
from rotator.providers.oauth.config import AssertionKeyKeys, ClientKeys
from rotator.providers.oauth.token_response import Denied, Granted
from rotator.rotation.secret import Secret

_MINUTE = timedelta(minutes=1)


class Server(Protocol):
    """What the control needs of a site."""

    clock: Clock

    async def unguarded(self, client: ClientKeys) -> str: ...
    async def draft(self, client: ClientKeys, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientKeys, assertion: Assertion) -> Secret: ...
    async def vouched(self, client: ClientKeys, signer: Signer | None = None) -> Secret: ...
    async def stranger(self, client: ClientKeys) -> Signer: ...
    async def exchange(self, client: ClientKeys, assertion: Secret | None, secret: Secret | None = None) -> Granted: ...


async def control(site: Server, client: ClientKeys) -> Denied:
    """How the server refuses a proof that nobody can have made.

    Raises Refused when the probe or the token endpoint accepts anyone, Transient when no OAuth server answers.
    """
    if trouble := await site.unguarded(client):
        raise Refused(trouble)
    refusal = await refusal_of_a_stranger(site, client)
    if not refusal.error:
        raise Transient(f"{refusal.reason}: is it the token endpoint that answers, or something in front of it?")
    return refusal


async def refusal_of_a_stranger(site: Server, client: ClientKeys) -> Denied:
    """How the server refuses a key that it has never seen, a broken signature or a wrong secret: what this client has.

    Raises Refused when it accepts that, Transient when it does not say.
    """
    assertion = wrong_secret = None
    if isinstance(client, AssertionKeyKeys):
        assertion = await site.vouched(client, await site.stranger(client))
    elif client.asserts:
        assertion = await _forged(site, client)
    else:
        wrong_secret = Secret(str(uuid4()))
    try:
        await site.exchange(client, assertion, wrong_secret)
    except Denied as refusal:
        return refusal
    said = "this token endpoint accepts anyone: it gave a token to a client that proved nothing"
    raise Refused(said, remedy="make the client a confidential one there, with the way of proof that settings have")


async def _forged(site: Server, client: ClientKeys) -> Secret:
    true = await site.draft(client, site.clock.now() + _MINUTE)
    return forged(await site.seal(client, true), await site.seal(client, true.sibling(str(uuid4()))))


def new_stranger(algorithm: Algorithm) -> LocalSigner:
    """A key that no set has, and that no server has ever been shown."""
    return LocalSigner(make_key(algorithm, FEWEST_BITS), made=True)
