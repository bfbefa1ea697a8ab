"""The negative control of OAuth servers: a client that proves nothing gets nothing. server.py makes the calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from rotator.ports import Clock, Refused, Transient
from rotator.providers.keys.assertion import Assertion, forged
from rotator.providers.keys.signing import FEWEST_BITS, Algorithm, LocalSigner, Signer, make_key
from rotator.providers.oauth.config import AssertionKeyOptions, ClientOptions
from rotator.providers.oauth.token_response import ClientDenied, Granted
from rotator.rotation.secret import Secret

_MINUTE = timedelta(minutes=1)


class ControlServer(Protocol):
    """What the control needs of a site."""

    clock: Clock

    async def unguarded(self, client: ClientOptions) -> str: ...
    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None) -> Secret: ...
    async def stranger(self, client: ClientOptions) -> Signer: ...
    async def exchange(
        self, client: ClientOptions, assertion: Secret | None, secret: Secret | None = None
    ) -> Granted: ...


async def control(server: ControlServer, client: ClientOptions) -> ClientDenied:
    """How the server refuses a proof that nobody can have made.

    Raises Refused when the probe or the token endpoint accepts anyone, Transient when no OAuth server answers.
    """
    if trouble := await server.unguarded(client):
        raise Refused(trouble)
    refusal = await refusal_of_a_stranger(server, client)
    if not refusal.error:
        raise Transient(f"{refusal.reason}: is it the token endpoint that answers, or something in front of it?")
    return refusal


async def refusal_of_a_stranger(server: ControlServer, client: ClientOptions) -> ClientDenied:
    """How the server refuses a key that it has never seen, a broken signature or a wrong secret: what this client has.

    Raises Refused when it accepts that, Transient when it does not say.
    """
    assertion = wrong_secret = None
    if isinstance(client, AssertionKeyOptions):
        assertion = await server.vouched(client, await server.stranger(client))
    elif client.asserts:
        assertion = await _forged(server, client)
    else:
        wrong_secret = Secret(str(uuid4()))
    try:
        await server.exchange(client, assertion, wrong_secret)
    except ClientDenied as refusal:
        return refusal
    said = "this token endpoint accepts anyone: it gave a token to a client that proved nothing"
    raise Refused(said, remedy="make the client a confidential one there, with the way of proof that settings have")


async def _forged(server: ControlServer, client: ClientOptions) -> Secret:
    true = await server.draft(client, server.clock.now() + _MINUTE)
    return forged(await server.seal(client, true), await server.seal(client, true.sibling(str(uuid4()))))


def new_stranger(algorithm: Algorithm) -> LocalSigner:
    """A key that no set has, and that no server has ever been shown."""
    return LocalSigner(make_key(algorithm, FEWEST_BITS), made=True)
