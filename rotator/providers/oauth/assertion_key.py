"""Key pairs with the public key in a JWK Set: added to it, proven, and removed again.

Consumers sign for themselves, so nothing published is used up. keys/jwks.py and registration.py keep the set,
keys/signing.py makes the pairs. The option `jwks_cache` says when servers have read the set again; the engine waits for
that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from rotator.ports import (
    CannotPresent,
    Capabilities,
    Inspection,
    Minted,
    NeedsAccess,
    NeedsPerson,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers.keys.algorithms import Algorithm
from rotator.providers.keys.jwks import MARK, KeySet, places_of
from rotator.providers.keys.signing import Signer, pairs_of, public_jwk, public_key
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.server_checks import causes
from rotator.providers.oauth.token_endpoint import ClientDenied, missing_scopes
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class AssertionKey:
    """One credential's view of its server. A token's id is the key's thumbprint, which is its `kid` in the set."""

    def __init__(self, server: OAuthServer, options: AssertionKeyOptions) -> None:
        """`options` say who the client is, and where the set is kept."""
        self._server = server
        self._options = options
        self._registration = server.registration(options)
        self._places = places_of(options, server) + ([self._registration] if self._registration else [])
        self._pairs = pairs_of(options, server)

    @property
    def capabilities(self) -> Capabilities:
        """Our keys are marked in the set, so that strays are found. Old ones are shown, as nothing else proves them
        dead."""
        return Capabilities(needs_install=True, can_list=True)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Make a key pair; nobody hears of it yet. Raises NeedsPerson where it could not be registered."""
        if self._registration:
            await self._registration.ready()
        client, config = self._options, await self._server.located(self._options)

        async def seen() -> set[str]:
            return {each.id for each in keep}.union(*[(await place.read()).kids() for place in self._places])

        value = await self._pairs.new(seen)
        pair = await self._pairs.opened(value)
        beside = {
            **pair.beside,
            "kid": pair.thumbprint,
            "algorithm": client.algorithm,
            "client_id": client.client_id,
            "iss": client.assertion_issuer or client.client_id,
            "aud": config.aud,
            "token_url": config.token_request_url,
        }
        return Minted(Token(pair.thumbprint, name, "", self._server.clock.now(), expires_at), value, beside)

    async def install(self, minted: Minted) -> Token:
        """Let the public key join the set, beside all others."""
        pair = await self._pairs.opened(minted.secret)
        jwk = {**public_jwk(public_key(pair.pem), Algorithm(self._options.algorithm)), MARK: minted.token.name}
        for place in self._places:
            await place.change(lambda keys: keys.having(jwk))
        return minted.token

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Our keys in the set."""
        found: dict[str, str] = {}
        for place in self._places:
            with _no_task_for_a_person():
                found |= (await place.read()).marked(prefix)
        return tuple(Token(kid, name) for kid, name in found.items())

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """Exchange an assertion that this key signed, and make the test call with what it yields."""
        try:
            pair = await self._pairs.opened(secret)
            own = pair.thumbprint == token.id
        except CannotPresent:
            raise
        except Refused as fault:
            return Rejected(fault.reason, final=True)
        if not own:
            return Rejected("the key belongs to another token", final=True)
        try:
            granted = await self._server.exchange(self._options, await self._server.vouched(self._options, pair.signer))
        except ClientDenied as refusal:
            return await self._server.invalid_proofs.rejected(self._options, refusal)
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        if lacking := missing_scopes(self._options, granted, echoes=self._server.config.echoes_scope):
            return Rejected(lacking, final=True)
        try:
            with suppress(Transient):  # another time
                await self._server.invalid_proofs.accepted(self._options)
        except Refused as fault:
            return Unknown(fault.reason)
        return await self._server.probe(self._options, granted)

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """See `SupportsDiagnose`."""
        if secret is None:
            return []
        pair = await self._pairs.opened(secret)
        try:
            if self._registration:
                await self._registration.ready()
            listed = await self._listed(Token(pair.thumbprint))
        except (NeedsPerson, Transient):
            if self._registration is None:
                raise
            return []  # a look at the registration has told it
        if not listed:
            return ["our key set does not list the published key, somebody took it out: `rotate now` brings another"]
        return await causes(self._server, self._options, pair.signer, in_set=self._options.reads_set)

    async def inspect(self, token: Token) -> Inspection:
        """Whether the set has it. A key does not expire, and nobody counts its uses."""
        with _no_task_for_a_person():
            return Inspection(exists=await self._listed(token))

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """Take the public key out of the set. A version of a Transit key stays there, and is never used again.

        Raises Refused while a registration cannot be changed: what a person then does is no end of the key, but lets
        this be tried again.
        """
        await self._pairs.spend(token.id)

        def leave(keys: KeySet) -> KeySet:
            return keys.without(token.id)

        with _no_task_for_a_person():
            gone = [await place.change(leave) for place in self._places]
        return Outcome.DONE if any(gone) else Outcome.ALREADY

    async def restore(self, token: Token) -> Outcome:
        """Refused: the set forgets a key that has left."""
        raise Refused("a key that has left the set cannot be brought back", remedy="rotate to a new one")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether an assertion that it signed is refused; without it, whether the set has it no more. None if that
        cannot be read."""
        try:
            if await self._listed(token):
                return False
        except NeedsPerson:
            if secret is None:
                return None
        if secret is None:
            return True
        signer = (await self._pairs.opened(secret)).signer
        refused = await self._refuses(signer)
        if refused is False and await self._server.invalid_proofs.reread(self._options, token.id):
            return await self._refuses(signer)
        return refused

    async def _refuses(self, signer: Signer) -> bool | None:
        """Whether the server does not know this key; None when it is about something else."""
        try:
            await self._server.exchange(self._options, await self._server.vouched(self._options, signer))
        except ClientDenied as refusal:
            return True if self._server.invalid_proofs.dead(self._options, refusal) else None
        return False

    async def _listed(self, token: Token) -> bool:
        return any([token.id in await place.read() for place in self._places])


@contextmanager
def _no_task_for_a_person() -> Iterator[None]:
    """NeedsPerson as NeedsAccess: a person who gives us back a registration has ended no key by that."""
    try:
        yield
    except NeedsPerson as fault:
        raise NeedsAccess(fault.what, remedy=fault.remedy) from None
