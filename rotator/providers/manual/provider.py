"""Credentials that a person makes and revokes; we prove them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from rotator.ports import (
    Accepted,
    Capabilities,
    Inspection,
    Minted,
    NeedsPerson,
    Outcome,
    Refused,
    Rejected,
    Transient,
    Unknown,
    Verdict,
)
from rotator.providers.http.auth import ApiKey, Minter
from rotator.providers.http.client import HttpClient, HttpResponse, Unsendable, identified
from rotator.providers.manual.config import ManualOptions
from rotator.providers.positive_control import EVERYBODY, PositiveControl
from rotator.providers.strangers import Strangers
from rotator.rotation.credential import Credential
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret


class ManualServer:
    """One plain HTTP target, shared by its credentials."""

    def __init__(self, http: HttpClient) -> None:
        """Takes ownership of `http`; aclose() closes it."""
        self._http = http
        self._strangers: Strangers[HttpResponse] = Strangers(http.clock.monotonic)  # how an invented token is answered
        self.positive_control = PositiveControl(http.clock.monotonic)

    def minted_by(self, minter: Minter) -> ManualServer:
        """The same target: only people mint here."""
        return self

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def probe(self, options: ManualOptions, value: Secret | None) -> HttpResponse:
        """The test call. Raises Transient, Refused, Unsendable."""
        return await self._http.request(
            "GET", options.probe, ApiKey(value, options.header, options.prefix) if value else None
        )

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
        options = credential.options
        answer = await self.probe(options, None)
        if _fits(answer, options):
            raise Refused(f"this probe accepts anyone: {answer.status} for no token")
        self._strangers.controlled(_asked(options), await self._stranger(options))

    def strange(self, options: ManualOptions, answer: HttpResponse) -> bool:
        """Whether the target gives the same answer to an invalid token.

        JupyterHub 6.1.1 answers 403 to it, Vault's AppRole 400, SonarQube 200 with `valid = false`.
        """
        known = self._strangers.answer(_asked(options))
        return known is not None and answer.status not in _NOT_THERE and _said(answer, options) == _said(known, options)

    def of_another(self, options: ManualOptions, answer: HttpResponse) -> bool:
        """Whether a refusal is in other words than the target's own, as heard when a value had just been accepted."""
        own = self._strangers.own_word(_asked(options))
        return own is not None and own.status == answer.status and _form(own) != _form(answer)

    async def accepted(self, options: ManualOptions) -> None:
        """A value has just been accepted. Raises as `probe`."""
        await self._strangers.accepted(_asked(options), lambda: self._stranger(options))

    async def _stranger(self, options: ManualOptions) -> HttpResponse:
        answer = await self.probe(options, Secret(f"{uuid4()}-{uuid4()}"))
        if _fits(answer, options):
            raise Refused(f"this probe accepts anyone: {answer.status} for a broken token")
        return answer

    async def audit(self, credentials: tuple[Credential, ...]) -> list[str]:
        """Nothing can be checked."""
        return []


_NOT_THERE = (404, 405)  # of the probe, not of the token


def _asked(options: ManualOptions) -> tuple[str, str, str]:
    return options.probe, options.header, options.prefix


def _said(answer: HttpResponse, options: ManualOptions) -> tuple[int, list[str]]:
    """What distinguishes two answers: the status, and the fields of the identity."""
    told = answer.document if isinstance(answer.document, dict) else {}
    return answer.status, [repr(told.get(name)) for name in options.identity]


def _form(answer: HttpResponse) -> tuple[str, str]:
    return answer.challenge, answer.media_type


def _fits(answer: HttpResponse, options: ManualOptions) -> bool:
    return answer.status < 300 and isinstance(identified(answer.document, options.identity), Accepted)


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
        verdict = await self._verified(secret)
        if isinstance(verdict, Accepted):
            self._server.positive_control.accepted(self._credential, secret, partial(self._accepts, secret))
        return verdict

    async def _verified(self, secret: Secret) -> Verdict:
        try:
            answer = await self._server.probe(self._options, secret)
            if _fits(answer, self._options):
                with suppress(Transient):  # another time
                    await self._server.accepted(self._options)
            elif answer.status == 401 or self._server.strange(self._options, answer):
                return await self._refused(secret, answer)
        except Unsendable as fault:
            return Rejected(fault.reason, final=True)
        except (Transient, Refused) as fault:
            return Unknown(fault.reason, fault.retry_after)
        if answer.status == 403:
            return Rejected("accepted, but it lacks the right that the probe needs", final=True)
        if answer.status >= 300:
            return Unknown(f"the probe answers {answer.status}: is its path right?")
        return identified(answer.document, self._options.identity)

    async def _refused(self, secret: Secret, answer: HttpResponse) -> Verdict:
        """What a refusal says of the token. Raises as `probe`."""
        if self._server.of_another(self._options, answer):
            return Unknown(f"{answer.status} in other words than the target's own: from something in front of it")
        if not await self._server.positive_control.refused(self._credential, secret):
            return Unknown(f"{answer.status}: {EVERYBODY}")
        as_ever = "" if answer.status == 401 else f": {answer.status}, as for one that nobody has"
        return Rejected(f"the probe refuses the token{as_ever}")

    async def _accepts(self, secret: Secret) -> bool | None:
        answer = await self._server.probe(self._options, secret)
        if _fits(answer, self._options):
            return True
        return False if answer.status == 401 or self._server.strange(self._options, answer) else None

    async def inspect(self, token: Token) -> Inspection:
        """Nobody tells, so its end is not left to its date."""
        return Inspection(exists=True)

    async def revoke(self, token: Token) -> Outcome:
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
        verdict = await self._verified(secret)  # no measure for others: it is to end
        if isinstance(verdict, Unknown):
            return None
        return isinstance(verdict, Rejected) and not verdict.final
