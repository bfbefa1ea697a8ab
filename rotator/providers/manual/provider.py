"""Credentials that a person makes and revokes; we prove them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from rotator.ports import Capabilities, Inspection, Minted, NeedsPerson, Outcome, Refused, Verdict
from rotator.providers.http.auth import ApiKey, Minter
from rotator.providers.http.client import HttpClient, HttpResponse
from rotator.providers.http.transport import Fetch
from rotator.providers.manual.config import ManualOptions
from rotator.providers.refusals import ProbeCall, Refusals
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class ManualServer:
    """One plain HTTP target, shared by its credentials."""

    def __init__(self, http: HttpClient, fetch: Fetch) -> None:
        """Takes ownership of `http`; aclose() closes it. `fetch` gets the value of `control`."""
        self._http = http
        self._fetch = fetch
        self.refusals = Refusals(http.clock)

    def minted_by(self, minter: Minter) -> ManualServer:
        """The same target: only people mint here."""
        return self

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def probe(self, options: ManualOptions, credential: str) -> ProbeCall:
        """The test call of a credential."""

        async def show(value: Secret | None) -> HttpResponse:
            auth = ApiKey(value, options.header, options.prefix) if value else None
            return await self._http.request("GET", options.probe, auth)

        way = options.probe, options.header, options.prefix
        another = partial(self._fetch, options.control) if options.control else None
        return ProbeCall(way, credential, show, options.identity, another=another, certain=True)

    def now(self) -> datetime:
        """The time."""
        return self._http.clock.now()

    async def list_tokens(self) -> tuple[Token, ...]:
        """None: nothing there bears a mark of ours."""
        return ()

    async def inventory(self) -> None:
        """Nobody tells."""
        return

    async def prune(self, owns: Callable[[str], bool], older_than: timedelta) -> int:
        """Do nothing: no records remain."""
        return 0

    async def control(self, credential: Credential[ManualOptions]) -> None:
        """The negative control: the probe must refuse nobody, and an invented token. Raises Refused."""
        await self.refusals.control(self.probe(credential.options, credential.name))

    async def audit(self, credentials: tuple[Credential, ...]) -> list[str]:
        """Nothing can be checked."""
        return []


class ManualToken:
    """One credential's view of its target. A token's id is the name that its rotation gave it."""

    def __init__(self, server: ManualServer, options: ManualOptions, credential: str) -> None:
        """`credential`: its name, for what is said to people."""
        self._server = server
        self._options = options
        self._credential = credential

    @property
    def capabilities(self) -> Capabilities:
        """People do it all, and both tokens live until they end the old one."""
        return Capabilities(can_revoke=False, old_is_safe_to_present=self._options.old_is_safe)

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        """Ask a person."""
        raise NeedsPerson(f"{self._options.instructions}; then hand it over: rotate supply {self._credential}")

    async def receive(
        self, name: str, value: Secret, expires_at: datetime | None, keep: tuple[Token, ...] = ()
    ) -> Minted:
        """The value that the person supplied. It is assumed to live as long as `lifetime` says."""
        return Minted(Token(name, name, expires_at=expires_at), value)

    async def install(self, minted: Minted) -> Token:
        """Refused: it is there already."""
        raise Refused("the target made the value")

    async def find(self, prefix: str) -> tuple[Token, ...]:
        """Nothing: only people can list them."""
        return ()

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        """The test call, and the identity that it tells."""
        return await self._server.refusals.verdict(self._probe(), secret)

    def _probe(self) -> ProbeCall:
        return self._server.probe(self._options, self._credential)

    async def inspect(self, token: Token) -> Inspection:
        """Nobody tells, so its end is not left to its date."""
        return Inspection(exists=True)

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        """Ask a person."""
        where = self._options.ending or "end the old token on the target, where you made it"
        raise NeedsPerson(f"{where} ({token.id})")

    async def restore(self, token: Token) -> Outcome:
        """Refused."""
        raise Refused("only a person could bring it back")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        """Whether the probe refuses its value; None when the target does not say. What is not to be shown is dead when
        the date has passed that the person gave it, and nobody can say so before."""
        if secret is None:
            return True if token.expires_at and token.expires_at <= self._server.now() else None
        return await self._server.refusals.dead(self._probe(), secret)
