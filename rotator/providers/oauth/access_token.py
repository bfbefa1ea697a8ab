"""Access tokens by client credentials or by a refresh token, and the base class of values that only expire.

The refresh token is rotated with the access token (RFC 6749, section 6). The current one is in a Vault document of its
own. A use may spend it: the answer then has the next one, which is staged with the access token before anything else,
and written over the spent one by `install`. It is lost if the answer never arrives, or if the process dies before
staging. The next mint then presents the old refresh token again. Servers with a leeway accept it; others treat it as
theft, and may revoke every token of the same authorisation (RFC 9700, section 4.14.2). Then a person has to authorise
again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from rotator.ports import (
    Capabilities,
    Clock,
    Conflict,
    Document,
    Inspection,
    Minted,
    NeedsPerson,
    Outcome,
    Refused,
    Transient,
    Verdict,
)
from rotator.providers.http.auth import DocumentStore
from rotator.providers.oauth import introspection, kept_token
from rotator.providers.oauth.config import AccessTokenOptions, revokes
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.server_checks import causes
from rotator.providers.oauth.token_endpoint import ClientDenied, Granted, UnfitGrant, missing_scopes, sendable
from rotator.providers.refusals import ProbeCall
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

_FRESH, _SPENT = "refresh_token", "spent_refresh_token"  # staged, never published
_TRIES = 5
_GIVEN = timedelta(hours=1)  # so long a token that was never accepted may be refused for its probe's own trouble


class Expiring:
    """The base of kinds whose tokens are not listed anywhere and only end by their date."""

    def __init__(self, clock: Clock, leeway: timedelta) -> None:
        """`leeway`: for so long after its expiry a server may still take one."""
        self._clock = clock
        self._leeway = leeway

    @property
    def capabilities(self) -> Capabilities:
        """An expired token is not presented to the server: failed logins may lock the client out."""
        return Capabilities(can_revoke=False, old_is_safe_to_present=False)

    async def install(self, minted: Minted) -> Token:
        """Refused: nothing is kept on the server."""
        raise Refused("nothing is kept on the server")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Nothing: no server lists them."""
        return ()

    async def inspect(self, token: Token) -> Inspection:
        """What its own dates say; `expires_at` includes the server's leeway."""
        return Inspection(exists=not self._dead(token), expires_at=self._end(token))

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """ALREADY once it has expired. Raises Refused before that."""
        if self._dead(token):
            return Outcome.ALREADY
        raise Refused("it cannot be revoked, it ends by expiry")

    async def restore(self, token: Token) -> Outcome:
        """Refused, or ALREADY while it lives."""
        if self._dead(token):
            raise Refused("it has expired")
        return Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """By its date and the server's tolerance; None when it has no date."""
        return None if token.expires_at is None else self._dead(token)

    def _dead(self, token: Token) -> bool:
        end = self._end(token)
        return end is not None and end <= self._clock.now()

    def _end(self, token: Token) -> datetime | None:
        return token.expires_at + self._leeway if token.expires_at else None


class AccessToken(Expiring):
    """One credential's view of its server. A token has no handle there: its id is its mint name."""

    def __init__(self, server: OAuthServer, options: AccessTokenOptions, credential: str) -> None:
        """`options` say who the client is and what it wants; `credential`: the name of its credential."""
        super().__init__(server.clock, timedelta(0))
        self._server = server
        self._options = options
        self._credential = credential

    @property
    def _revokes(self) -> bool:
        return revokes(self._server.config, self._options) and self._server.revocation.possible

    @property
    def capabilities(self) -> Capabilities:
        """A bearer token is no login: showing a dead one locks nobody out."""
        return Capabilities(revokes_by_value=True) if self._revokes else super().capabilities

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """Ask the server to end it, unless it is dead: some end more than the one token."""
        if not self._revokes or (secret is None and self._dead(token)):
            return await super().revoke(token, secret)
        if secret is None:
            raise Refused("its value is not at hand, and the server ends it by that alone before its date")
        if await self.is_dead(token, secret):
            return Outcome.ALREADY
        await self._server.revocation.revoke(self._options, secret)
        return Outcome.DONE

    async def restore(self, token: Token) -> Outcome:
        """Refused where the server revokes."""
        if self._revokes:
            raise Refused("the server cannot take a revocation back")
        return await super().restore(token)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the probe refuses it, where the server revokes; else by its date, which our clock alone judges."""
        if not self._revokes:
            return await super().is_dead(token, secret)
        if secret is None:
            return True if self._dead(token) else None
        dead = await self._server.refusals.dead(self._probe(token), secret)
        return await self._introspected(secret) if dead is None else dead

    async def _introspected(self, secret: Secret) -> bool | None:
        """Whether the server says that it is dead, where the probe does not tell."""
        living = self._server.refusals.last(self._probe(Token("")))
        if living is None or living.matches(secret):
            return None
        try:
            return not await introspection.active(
                partial(self._server.revocation.says_active, self._options), secret, living
            )
        except (Transient, Refused):
            return None

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Ask for a token: with the secret, a fresh assertion, or both. Its life is the server's to decide.

        Raises Refused when the client or its user is refused, or the scope is not granted.
        """
        try:
            granted = await self._ask(await self._grant())
        except ClientDenied as refusal:
            raise Refused(refusal.reason) from None
        if lacking := missing_scopes(self._options, granted, echoes=self._server.config.echoes_scope):
            await self._discard(granted)
            raise Refused(lacking)
        return self._minted(name, granted, expires_at)

    async def _discard(self, granted: Granted) -> None:
        """End what is not published, where that can be: otherwise it ends by its date."""
        if self._revokes:
            with suppress(Transient, Refused):
                await self._server.revocation.revoke(self._options, granted.access_token)

    async def _ask(self, grant: Mapping[str, str | Secret]) -> Granted:
        """A token request in which the client proves itself with everything it has. Raises as `exchange`, and
        UnfitGrant."""
        assertion = await self._server.vouched(self._options) if self._options.asserts else None
        return sendable(await self._server.exchange(self._options, assertion, grant=grant))

    async def _grant(self) -> Mapping[str, str | Secret]:
        """What the request asks for (RFC 6749, sections 4.3.2 and 4.4.2)."""
        options = self._options
        if options.password is None:
            return {"grant_type": options.grant}
        password = await self._server.fetch(options.password)
        return {"grant_type": options.grant, "username": options.username, "password": password}

    def _minted(self, name: str, granted: Granted, expires_at: datetime | None) -> Minted:
        client = self._options
        end = granted.asked_at + granted.life if granted.life else expires_at
        scope = " ".join(sorted(granted.scopes or client.scopes))
        beside = {
            "token_type": "Bearer",
            "scope": scope,
            "client_id": client.client_id,
            "resource_url": self._server.config.url,
        }
        return Minted(Token(name, name, "", granted.asked_at, end), granted.access_token, beside)

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """See `SupportsDiagnose`. By client_credentials, which tells as much of the client's proof as any other
        grant.
        """
        if not self._options.asserts:
            return []
        return await causes(self._server, self._options, await self._server.signer(self._options))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """The test call. A refusal is compared with a token that is asked for now, where the client can have one at any
        time."""
        return await self._server.refusals.verdict(self._probe(token), secret)

    def _probe(self, token: Token) -> ProbeCall:
        made, now = token.issued_at, self._clock.now()
        return replace(
            self._server.probe_call(self._options, self._credential),
            until=token.expires_at,
            granted=bool(made and now < made + _GIVEN) and not token.has_expired(now),
            another=self._another,
        )

    @property
    def _another(self) -> Callable[[], Awaitable[Secret]] | None:
        async def another() -> Secret:
            return (await self._ask(await self._grant())).access_token

        return another


class RefreshedToken(AccessToken):
    """One credential's view of its server, by a refresh token of its own: two that share one would spend it for each
    other."""

    def __init__(self, server: OAuthServer, options: AccessTokenOptions, credential: str) -> None:
        """`options.refresh_token` says where it is kept."""
        super().__init__(server, options, credential)
        if options.refresh_token is None:
            raise ValueError("there is no refresh_token")
        self._ref = options.refresh_token
        self._shelf: DocumentStore = server.document_store(self._ref.name)

    @property
    def capabilities(self) -> Capabilities:
        """What is installed is the next refresh token, in Vault.

        A refresh ends the access token before it at once on Hydra 2.3.0, Spring Authorization Server 1.4.1 with opaque
        tokens and django-oauth-toolkit 3.4.1, so that one is shown to the probe; on Keycloak it lives until its date.
        """
        ends = self._options.refresh_ends_access
        if self._revokes:
            return Capabilities(needs_install=True, revokes_by_value=True, shared_grant=True)
        return Capabilities(
            needs_install=True, mint_ends_predecessor=ends, can_revoke=False, old_is_safe_to_present=ends
        )

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """ALREADY where the refresh that came after has ended it."""
        return Outcome.ALREADY if self._options.refresh_ends_access else await super().revoke(token, secret)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the probe refuses the access token; without it, by its date."""
        if secret is None or self._revokes:
            return await super().is_dead(token, secret)
        return await self._server.refusals.dead(self._probe(token), secret)

    @property
    def _another(self) -> None:
        """None: a refresh would end the published one."""

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Exchange the present refresh token. Raises NeedsPerson when there is none that the server takes."""
        document = await self._shelf.read()
        present = kept_token.present(document, self._ref.key)
        if present is None:
            raise NeedsPerson(self._remedy("there is no refresh token"))
        if kept_token.is_refused(document):
            raise NeedsPerson(self._remedy("the server refuses the refresh token"))
        granted = await self._exchanged(document, present)
        minted = self._minted(name, granted, expires_at)
        if granted.refresh_token is None or granted.refresh_token.matches(present):
            return minted
        private = {_FRESH: granted.refresh_token, _SPENT: present}
        return Minted(minted.token, minted.secret, minted.fields, private)

    async def diagnose(self, secret: Secret | None, before: Secret | None = None) -> list[str]:
        """See `SupportsDiagnose`. The refresh token itself is not tried: that would spend it."""
        document = await self._shelf.read()
        if kept_token.present(document, self._ref.key) is None:
            raise NeedsPerson(self._remedy("there is no refresh token"))
        if kept_token.is_refused(document):
            raise NeedsPerson(self._remedy("the server refuses the refresh token"))
        dead = await self._server.refusals.dead(self._probe(Token("")), before) if before else None
        ends = self._options.refresh_ends_access
        if ends and dead is False:
            return [
                "the access token before the published one is still accepted: refresh_ends_access = false would hold,"
                " and refreshes would be no cut-overs"
            ]
        if not ends and dead:
            return [
                "the refresh has ended the access token before the published one, though refresh_ends_access = false is"
                " set: consumers are refused for the settle time at each rotation; leave that option out"
            ]
        return []

    async def _exchanged(self, document: Document, present: Secret) -> Granted:
        try:
            return await self._ask({"grant_type": "refresh_token", "refresh_token": present})
        except UnfitGrant as fault:
            if fault.refresh_token:  # the present one is spent
                await self._hand_over(fault.refresh_token, present)
            raise
        except ClientDenied as refusal:
            if refusal.error != "invalid_grant":
                raise Refused(refusal.reason) from None
        await self._remember(document)
        raise NeedsPerson(self._remedy("the server refuses the refresh token: it is spent, expired or revoked"))

    async def _remember(self, document: Document) -> None:
        """Never present a refused token again: the next one that a person writes has another version."""
        try:
            await self._shelf.write(kept_token.refused(document), document.version)
        except (Conflict, Refused, Transient):
            return  # then it is asked once more, which harms nobody

    async def install(self, minted: Minted) -> Token:
        """Write the next refresh token over the one that was spent for it, and over no other.

        Raises Transient for every fault of Vault: the staged slot has the only copy, and must be kept.
        """
        fresh, spent = minted.private.get(_FRESH), minted.private.get(_SPENT)
        if fresh is None or spent is None:
            return minted.token
        try:
            await self._hand_over(fresh, spent)
        except Refused as fault:
            raise Transient(f"the next refresh token cannot be written to {self._shelf}: {fault.reason}") from None
        return minted.token

    async def _hand_over(self, fresh: Secret, spent: Secret) -> None:
        for _ in range(_TRIES):
            document = await self._shelf.read()
            present = kept_token.present(document, self._ref.key)
            if present is None or not present.matches(spent):
                return  # ours is there already, or somebody has authorised anew
            values = {name: value for name, value in (document.values or {}).items() if name != kept_token.REFUSED}
            try:
                await self._shelf.write({**values, self._ref.key: fresh}, document.version)
            except Conflict:
                continue
            return
        raise Transient(f"{self._shelf} is written by others all the time")

    def _remedy(self, trouble: str) -> str:
        scopes = " ".join(self._options.scopes)
        wanted = f" (scope {scopes})" if scopes else ""
        return (
            f"{trouble}. Authorise client {self._options.client_id} anew{wanted}, write the refresh token to"
            f" {self._ref}, then `rotate now`"
        )
