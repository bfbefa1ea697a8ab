"""Access tokens that are had for a refresh token, and the rotation of that one (RFC 6749, section 6).

The present refresh token lives in a Vault document of its own. A use may spend it: the answer then carries the next,
which is staged with the access token before anything else is done, and written over the spent one by `install`. What
can still be lost is an answer that never arrives, or that we did not live to stage. The next mint shows the old refresh
token once more, which servers with a leeway take; others see a theft, and may revoke every token that descends from
the same authorisation (RFC 9700, section 4.14.2). Then only a person can authorise anew.
"""

from __future__ import annotations

from datetime import datetime

from rotator.ports import (
    Accepted,
    Capabilities,
    Conflict,
    Document,
    Minted,
    NeedsPerson,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
)
from rotator.providers.http.auth import DocumentStore
from rotator.providers.oauth.access_token import AccessToken
from rotator.providers.oauth.config import AccessTokenOptions
from rotator.providers.oauth.server import OAuthServer
from rotator.providers.oauth.token_response import ClientDenied, Granted
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

_FRESH, _SPENT = "refresh_token", "spent_refresh_token"  # staged, never published
_REFUSED = "refused_version"  # of the document: the server refused the refresh token in it, do not ask again
_TRIES = 5


class RefreshedToken(AccessToken):
    """One credential's view of its server, by a refresh token of its own: two that share one would spend it for each
    other."""

    def __init__(self, server: OAuthServer, options: AccessTokenOptions) -> None:
        """`options.refresh_token` says where it is kept."""
        super().__init__(server, options)
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
        return Capabilities(
            needs_install=True, mint_ends_predecessor=ends, can_revoke=False, old_is_safe_to_present=ends
        )

    async def revoke(self, token: Token) -> Outcome:
        """ALREADY where the refresh that came after has ended it."""
        return Outcome.ALREADY if self._options.refresh_ends_access else await super().revoke(token)

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the probe refuses the access token; without it, by its date."""
        if secret is None:
            return await super().is_dead(token, secret)
        verdict = await self.verify(token, secret)
        return None if isinstance(verdict, Unknown) else isinstance(verdict, Rejected) and not verdict.final

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Exchange the present refresh token. Raises NeedsPerson when there is none that the server takes."""
        document = await self._shelf.read()
        present = self._present(document)
        if present is None:
            raise NeedsPerson(self._remedy("there is no refresh token"))
        if document.text(_REFUSED) == str(document.version):
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
        if self._present(document) is None:
            raise NeedsPerson(self._remedy("there is no refresh token"))
        if document.text(_REFUSED) == str(document.version):
            raise NeedsPerson(self._remedy("the server refuses the refresh token"))
        verdict = await self._server.probe(self._options, before) if before else None
        ends = self._options.refresh_ends_access
        if ends and isinstance(verdict, Accepted):
            return [
                "the access token before the published one is still accepted: refresh_ends_access = false would hold,"
                " and refreshes would be no cut-overs"
            ]
        if not ends and isinstance(verdict, Rejected) and not verdict.final:
            return [
                "the refresh has ended the access token before the published one, though refresh_ends_access = false is"
                " set: consumers are refused for the settle time at each rotation; leave that option out"
            ]
        return []

    async def _exchanged(self, document: Document, present: Secret) -> Granted:
        try:
            return await self._ask({"grant_type": "refresh_token", "refresh_token": present})
        except ClientDenied as refusal:
            if refusal.error != "invalid_grant":
                raise Refused(refusal.reason) from None
        await self._remember(document)
        raise NeedsPerson(self._remedy("the server refuses the refresh token: it is spent, expired or revoked"))

    async def _remember(self, document: Document) -> None:
        """Show a refused token no second time: whatever somebody writes next has another version."""
        mark = {**(document.values or {}), _REFUSED: str(document.version + 1)}
        try:
            await self._shelf.write(mark, document.version)
        except (Conflict, Refused, Transient):
            return  # then it is asked once more, which harms nobody

    async def install(self, minted: Minted) -> Token:
        """Write the next refresh token over the one that was spent for it, and over no other.

        Raises Transient for all trouble with Vault: the staged slot holds the only copy, and has to stay.
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
            present = self._present(document)
            if present is None or not present.matches(spent):
                return  # ours is there already, or somebody has authorised anew
            values = {name: value for name, value in (document.values or {}).items() if name != _REFUSED}
            try:
                await self._shelf.write({**values, self._ref.key: fresh}, document.version)
            except Conflict:
                continue
            return
        raise Transient(f"{self._shelf} is written by others all the time")

    def _present(self, document: Document) -> Secret | None:
        """Without closing line ends: a person may have written it from a file."""
        text = document.text(self._ref.key).rstrip("\r\n")
        return Secret(text) if text else None

    def _remedy(self, trouble: str) -> str:
        scopes = " ".join(self._options.scopes)
        wanted = f" (scope {scopes})" if scopes else ""
        return (
            f"{trouble}. Authorise client {self._options.client_id} anew{wanted}, write the refresh token to"
            f" {self._ref}, then `rotate now`"
        )
