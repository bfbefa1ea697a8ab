"""Why an OAuth server refuses a client's assertions, found by varying one thing at a time.

At most nine token requests, all by the client's own key, and only on an operator's word: see `SupportsDiagnose`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Protocol

from rotator.ports import Clock, Refused, Transient
from rotator.providers.http.client import Broken
from rotator.providers.keys.assertion import NO_KID, THUMBPRINT, Assertion, signed
from rotator.providers.keys.signing import Algorithm, PublicKey, Signer, public_key
from rotator.providers.oauth import negative_control
from rotator.providers.oauth.config import ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.token_response import ClientDenied, Granted
from rotator.rotation.secret import Secret

_LIFE = timedelta(minutes=1)
_OTHER = {"PS256": "RS256", "RS256": "PS256"}  # what the same key can sign by
_BY_ITSELF = {"invalid_scope", "unsupported_grant_type"}  # the client is known, and the word says what is wrong
_UNREAD = (
    "the client's jwks_uri there must be the address at which the set is served ([status] jwks_listen with"
    " /jwks/NAME, or whatever hands out jwks_file), and the server must reach it; or it goes on with an older set"
    " (jwks_cache)"
)


class DiagnosisServer(Protocol):
    """The calls of a site that are needed to find a cause."""

    keys: OAuthTargetConfig
    clock: Clock

    async def draft_for(self, client: ClientOptions, key: PublicKey, expires_at: datetime) -> Assertion: ...
    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def unguarded(self, client: ClientOptions) -> str: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None) -> Secret: ...
    async def stranger(self, client: ClientOptions) -> Signer: ...
    async def exchange(
        self, client: ClientOptions, assertion: Secret | None, secret: Secret | None = None
    ) -> Granted: ...


async def causes(server: DiagnosisServer, client: ClientOptions, signer: Signer, *, in_set: bool = False) -> list[str]:
    """What the server takes instead, or what it cannot know; empty when it refuses nothing, or that does not show.

    `in_set`: this key is listed in a key set of ours.
    """
    try:
        return [text async for text in _causes(server, client, signer, in_set=in_set)]
    except (Transient, Refused):
        return []


async def _causes(
    server: DiagnosisServer, client: ClientOptions, signer: Signer, *, in_set: bool
) -> AsyncIterator[str]:
    key = public_key(await signer.public_pem())

    async def refusal(varied: tuple[str, str] | None = None) -> ClientDenied | Broken | None:
        drafted = await server.draft_for(client, key, server.clock.now() + _LIFE)
        try:
            await server.exchange(client, await signed(_as(drafted, varied, key), signer))
        except (ClientDenied, Broken) as fault:
            return fault
        return None

    refused = await refusal()
    if refused is None or (isinstance(refused, ClientDenied) and refused.error in _BY_ITSELF):
        return
    for option, value, varied in _variants(server.keys, client):
        if await refusal(varied) is None:
            yield f'the server takes the same assertion with {option} = "{value}": set that'
            return
    if not in_set:
        return
    if isinstance(refused, Broken):
        yield f"the server may be unable to read our key set: {_UNREAD}"
    elif await _words_of_a_stranger(server, client) == refused.words:
        yield (
            "our key set lists this key, and the server refuses it as it refuses one that nobody has: can it read the"
            f" set? {_UNREAD}"
        )


async def _words_of_a_stranger(server: DiagnosisServer, client: ClientOptions) -> tuple[int, str]:
    return (await negative_control.refusal_of_a_stranger(server, client)).words


def _as(drafted: Assertion, varied: tuple[str, str] | None, key: PublicKey) -> Assertion:
    match varied:
        case ("aud", audience):
            return drafted.addressed(audience)
        case ("algorithm", algorithm):
            return drafted.by(Algorithm(algorithm))
        case ("kid", kid):
            return drafted.naming({NO_KID: "", THUMBPRINT: key.thumbprint}[kid])
    return drafted


def _variants(keys: OAuthTargetConfig, client: ClientOptions) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Option and value that settings would have, and the part of an assertion that they change."""
    named = {"token_url": keys.endpoint, "issuer": keys.issuer, "auth_url": keys.auth_url or keys.authority}
    other = keys.authority if (keys.auth_url or keys.authority).endswith("/") else f"{keys.authority}/"
    tried = {keys.aud, ""}
    for value, audience in [*named.items(), (other, other)]:
        if audience not in tried:
            tried.add(audience)
            yield "audience", value, ("aud", audience)
    if other_algorithm := _OTHER.get(client.algorithm):
        yield "algorithm", other_algorithm, ("algorithm", other_algorithm)
    if client.makes_key:
        return  # each new key needs a name of its own
    for kid in (THUMBPRINT, NO_KID):
        if kid != client.kid:
            yield "kid", kid, ("kid", kid)
