"""Checks of an OAuth server: the negative control, the findings of `rotate check`, and the causes of a refusal.

The negative control is a client without valid proof, which must be refused. `rotate check` tries whether an assertion
is accepted twice, when old and when expired: at most seven token requests. The causes are found by varying one option
at a time: at most thirteen, all with the client's own key. Both run only on an operator's command, as refused logins
may have effects on a server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from rotator.ports import Clock, Refused, Transient
from rotator.providers.http.client import Broken
from rotator.providers.keys.algorithms import FEWEST_BITS, Algorithm
from rotator.providers.keys.assertion import NO_KID, THUMBPRINT, Assertion, forged, signed
from rotator.providers.keys.signing import LocalSigner, Signer, SigningKey, key_of, make_key
from rotator.providers.oauth.config import AssertionKeyOptions, ClientOptions, OAuthTargetConfig
from rotator.providers.oauth.token_endpoint import ClientDenied, ClockGap, Granted
from rotator.rotation.secret import Secret

_MINUTE = timedelta(minutes=1)
_AGES = (timedelta(seconds=70), timedelta(minutes=6), timedelta(hours=1))
_LIFE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_LEEWAYS = (timedelta(seconds=65), timedelta(seconds=305))  # Spring Authorization Server 1.4.1 has 60 s, others 5 min
_BEHIND = timedelta(seconds=5)  # an assertion signed then lives shorter by this much
_BY_ITSELF = {  # the client is known, and the error word is the cause
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
}
_UNREAD = (
    "the client's jwks_uri there must be the address at which the set is served ([status] jwks_listen with"
    " /jwks/NAME, or whatever hands out jwks_file), and the server must reach it; or it goes on with an older set"
    " (jwks_cache)"
)


class ControlServer(Protocol):
    """What the negative control needs of a server."""

    clock: Clock

    async def guarded(self, client: ClientOptions) -> None: ...
    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None) -> Secret: ...
    async def stranger(self, client: ClientOptions) -> Signer: ...
    async def exchange(
        self, client: ClientOptions, assertion: Secret | None, secret: Secret | None = None
    ) -> Granted: ...


async def control(server: ControlServer, client: ClientOptions) -> ClientDenied | None:
    """How the server refuses an invalid proof; None when it ends TLS with whoever shows no certificate.

    Raises Refused when the probe or the token endpoint accepts anyone, Transient when no OAuth server answers.
    """
    await server.guarded(client)
    try:
        refusal = await refusal_of_a_stranger(server, client)
    except Transient:
        if not client.proves_by_tls:
            raise
        await _answers(server, client)
        return None
    if not refusal.error and not client.proves_by_tls:  # whom TLS lets in, what is in front may decide
        raise Transient(f"{refusal.reason}: is it the token endpoint that answers, or something in front of it?")
    return refusal


async def _answers(server: ControlServer, client: ClientOptions) -> None:
    """Raise Transient unless the server answers this client, so that it was no outage that somebody else met."""
    try:
        await server.exchange(client, None)
    except ClientDenied:
        return


async def refusal_of_a_stranger(server: ControlServer, client: ClientOptions) -> ClientDenied:
    """How the server refuses an unknown key, a broken signature, a wrong secret or no certificate, depending on the
    client.

    Raises Refused when it accepts that, Transient when it does not say.
    """
    assertion = wrong_secret = None
    if isinstance(client, AssertionKeyOptions):
        assertion = await server.vouched(client, await server.stranger(client))
    elif client.proves_by_tls:  # nobody: a client of that name without a certificate
        client = ClientOptions(client_id=client.client_id, scopes=client.scopes, parameters=client.parameters)
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
    """A new key, which is in no set and unknown to every server."""
    return LocalSigner(make_key(algorithm, FEWEST_BITS), made=True)


class CheckedServer(Protocol):
    """What the checks need of a server."""

    config: OAuthTargetConfig
    clock: Clock
    gap: ClockGap | None

    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def exchange(self, client: ClientOptions, assertion: Secret | None) -> Granted: ...


async def findings(server: CheckedServer, client: ClientOptions, lifetime: timedelta) -> list[str]:
    """Where the server differs from the settings, and what that means for consumers. Empty when unknown."""
    found = []
    try:
        first = await server.draft(client, server.clock.now() + _LIFE)
        await server.exchange(client, await server.seal(client, first))
        for trial in (_reuse(server, client, first), _age(server, client, lifetime), _leeway(server, client, lifetime)):
            found += [text async for text in trial]
    except (Transient, Refused):
        pass  # the proof finds the same, with the reason
    return found + _clocks(server, client)


async def _reuse(server: CheckedServer, client: ClientOptions, first: Assertion) -> AsyncIterator[str]:
    again = await _taken(server, client, first)
    if again and server.config.single_use:
        yield "this server takes an assertion again: single_use = false would hold"
    elif not again and not server.config.single_use:
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
        if server.config.max_age is None or server.config.max_age >= age:
            yield (
                f"this server refuses an assertion made {age.total_seconds():g}s ago, whatever its expiry says:"
                " set max_age below that, and a lifetime to fit, or publish the access token (kind oauth-token)"
            )
        return


async def _leeway(server: CheckedServer, client: ClientOptions, lifetime: timedelta) -> AsyncIterator[str]:
    """Whether an assertion that expired longer ago than `leeway` is accepted, and how long ago; at most two calls."""
    life, leeway = min(lifetime, _LIFE), server.config.leeway
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
    """Whether this assertion is accepted, after a valid one was.

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


class DiagnosisServer(Protocol):
    """The calls to a server that are needed to find a cause."""

    config: OAuthTargetConfig
    clock: Clock

    async def located(self, client: ClientOptions) -> OAuthTargetConfig: ...
    async def draft_for(self, client: ClientOptions, key: SigningKey, expires_at: datetime) -> Assertion: ...
    async def draft(self, client: ClientOptions, expires_at: datetime) -> Assertion: ...
    async def seal(self, client: ClientOptions, assertion: Assertion) -> Secret: ...
    async def guarded(self, client: ClientOptions) -> None: ...
    async def vouched(self, client: ClientOptions, signer: Signer | None = None) -> Secret: ...
    async def stranger(self, client: ClientOptions) -> Signer: ...
    async def exchange(
        self, client: ClientOptions, assertion: Secret | None, secret: Secret | None = None
    ) -> Granted: ...


async def causes(server: DiagnosisServer, client: ClientOptions, signer: Signer, *, in_set: bool = False) -> list[str]:
    """What the server accepts instead, or what it cannot know; empty when it refuses nothing or no cause was found.

    `in_set`: this key is listed in a key set of ours.
    """
    try:
        return [text async for text in _causes(server, client, signer, in_set=in_set)]
    except (Transient, Refused):
        return []


async def _causes(
    server: DiagnosisServer, client: ClientOptions, signer: Signer, *, in_set: bool
) -> AsyncIterator[str]:
    key = await key_of(signer)

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
    config = await server.located(client)
    for option, value, varied in _variants(config, client, key, discovered=server.config.discovers):
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
    return (await refusal_of_a_stranger(server, client)).words


def _as(drafted: Assertion, varied: tuple[str, str] | None, key: SigningKey) -> Assertion:
    match varied:
        case ("aud", audience):
            return drafted.addressed(audience)
        case ("algorithm", algorithm):
            return drafted.by(Algorithm(algorithm))
        case ("kid", kid):
            return drafted.naming({NO_KID: "", THUMBPRINT: key.thumbprint}[kid])
    return drafted


def _variants(
    config: OAuthTargetConfig, client: ClientOptions, key: SigningKey, *, discovered: bool
) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Variants: an option, its value, and the part of an assertion that it changes. Where the token endpoint was
    `discovered`, there is no auth_url."""
    base = config.issuer if discovered else config.auth_url or config.authority
    named = {"token_url": config.endpoint, "issuer": config.issuer, "auth_url": base}
    other = base.rstrip("/") if base.endswith("/") else f"{base}/"
    tried = {config.aud, ""}
    for value, audience in [*named.items(), (other, other)]:
        if audience not in tried:
            tried.add(audience)
            yield "audience", value, ("aud", audience)
    for algorithm in sorted(key.algorithms, key=lambda each: each[2:] != client.algorithm[2:]):  # the same hash first
        if algorithm != client.algorithm:
            yield "algorithm", algorithm, ("algorithm", algorithm)
    if client.makes_key or not key.thumbprint:
        return  # each new key needs a name of its own
    for kid in (THUMBPRINT, NO_KID):
        if kid != client.kid:
            yield "kid", kid, ("kid", kid)
