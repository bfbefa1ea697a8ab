"""A key set that is changed by a client's own registration (RFC 7592): the product's code for it, on the wire.

Every update replaces the registration access token. The document that has the token is on the wire as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any
from unittest.mock import patch

from rotator.ports import Accepted, Document, Inspection, Minted, Outcome, Refused, Rejected, Verdict
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import HttpResponse
from rotator.providers.keys.jwks import MARK
from rotator.providers.oauth import registration
from rotator.providers.oauth.assertion_key import _no_task_for_a_person
from rotator.providers.oauth.config import AssertionKeyOptions
from rotator.providers.oauth.registration import Registration
from rotator.rotation.credential import VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.every_verb import EveryVerb
from tests.kit.kinds import CAN, Kind
from tests.kit.store import FakeStore
from tests.model.matrix.wire import Call, WiredProvider, drive

REGISTRATION = VaultPath("secret", "rotator/registration/blog/bot")
CLIENT, KEY = "bot", "token"
OPTIONS = AssertionKeyOptions(
    client_id=CLIENT,
    registration_client_uri="https://idp.example/register/bot",
    registration_access_token=SecretRef(SecretSource.VAULT, str(REGISTRATION), KEY),
)
DEADLINE = timedelta(seconds=10)
TIMELY = frozenset({"install", "put client"})  # what does not leave after the deadline of its client


@dataclass
class Client:
    """The client as its server has it. `lost`: the present token, if nobody has it who could write it to Vault."""

    now: Any
    token: str = "sek-registration-0"
    keys: list[dict[str, Any]] = field(default_factory=list)
    made: dict[str, Token] = field(default_factory=dict)  # by value
    lost: set[str] = field(default_factory=set)
    updates: int = 0

    def answer(self, method: str, token: Secret, body: Mapping[str, Any] | None) -> HttpResponse:
        """One call: 401 for whoever does not show the present token. An update replaces it, a look does not."""
        if not token.matches(Secret(self.token)):
            return HttpResponse(401)
        client: dict[str, Any] = {"client_id": CLIENT, "token_endpoint_auth_method": "private_key_jwt"}
        if body is not None:
            self.keys = json.loads(json.dumps(body["jwks"]["keys"]))
            client["registration_access_token"] = self.another()
            self.lost.add(self.token)
        return HttpResponse(200, document={**client, "jwks": {"keys": self.keys}})

    def another(self) -> str:
        """Make another token: the one before is refused from now on."""
        self.updates += 1
        self.token = f"sek-registration-{self.updates}"
        return self.token

    def has(self, token: str) -> bool:
        """Whether this key is in the set."""
        return any(each["kid"] == token for each in self.keys)

    def accepts(self, secret: Secret) -> bool:
        """Whether an assertion that this key signed is accepted."""
        made = self.made.get(secret.reveal())
        return made is not None and self.has(made.id)


class KeyProvider(EveryVerb):
    """What needs no registration: keys are made here, and proven at the token endpoint."""

    capabilities = CAN[Kind.REGISTERED]

    def __init__(self, client: Client) -> None:
        self.client = client

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        token, value = Token(f"kid-{name}", name, "", self.client.now(), expires_at), f"sek-key-{name}"
        self.client.made[value] = token
        return Minted(token, Secret(value))

    async def verify(self, token: Token, secret: Secret) -> Verdict:
        return Accepted() if self.client.accepts(secret) else Rejected("invalid_client")

    async def is_dead(self, token: Token, secret: Secret | None) -> bool:
        return secret is None or not self.client.accepts(secret)


@dataclass
class _Shelf:
    """The document with the registration access token."""

    wired: WiredRegistration

    async def read(self) -> Document:
        return self._cross("read", lambda: drive(self.wired.store.read(REGISTRATION, strong=True)))

    async def write(self, values: Mapping[str, object], over: int) -> int:
        def effect() -> int:
            version = drive(self.wired.store.write(REGISTRATION, values, cas=over))
            self.wired.arrived.discard(self.wired.store.vault.get(REGISTRATION).text(KEY))
            return version

        return self._cross("write", effect)

    def _cross(self, verb: str, effect: Any) -> Any:
        return self.wired.wire.cross(self.wired.actor, Call(verb, effect, REGISTRATION))

    def __str__(self) -> str:
        return str(REGISTRATION)


@dataclass
class _Http:
    """The server, as far as a client may change its registration."""

    wired: WiredRegistration

    async def request(self, method: str, path: str, auth: Bearer, *, json: Any = None) -> HttpResponse:
        wired, verb = self.wired, f"{method.lower()} client"
        wired.actor.calls(verb, ())
        effect = lambda: wired.actor.did(verb, (), wired.client.answer(method, auth.secret, json))  # noqa: E731 (it is passed on)
        try:
            answer = wired.wire.cross(wired.actor, Call(verb, effect))
        except Refused as refusal:
            return HttpResponse(int(refusal.reason[:3]))
        if fresh := answer.document and answer.document.get("registration_access_token"):
            wired.client.lost.discard(fresh)
            wired.arrived.add(fresh)
        return answer


class _Alone:
    """Instead of anyio: one call at a time, and no loop."""

    class Lock:
        async def __aenter__(self) -> None:
            """Taken."""

        async def __aexit__(self, *_: object) -> None:
            """Free again."""

    class CancelScope:
        def __init__(self, *, shield: bool) -> None:
            """Nothing is cancelled here."""

        def __enter__(self) -> None:
            """Begin."""

        def __exit__(self, kind: type | None, fault: BaseException | None, trace: TracebackType | None) -> None:
            """End."""


@dataclass
class WiredRegistration(WiredProvider):
    """One process's view of the client, with what that process alone knows of its registration."""

    store: FakeStore = field(kw_only=True)
    clock: Any = field(kw_only=True)
    arrived: set[str] = field(default_factory=set)  # tokens that this process alone has

    def __post_init__(self) -> None:
        self.client: Client = self.inner.client
        with patch.object(registration, "anyio", _Alone):
            self.registration = Registration(_Http(self), _Shelf(self), OPTIONS, self.clock, DEADLINE)  # type: ignore[arg-type]  # what it calls of a client

    def ends(self) -> None:
        """The process is over, and what it alone had is lost."""
        self.client.lost |= self.arrived

    async def mint(self, name: str, expires_at: datetime | None, keep: tuple[Token, ...] = ()) -> Minted:
        with patch.object(registration, "anyio", _Alone):
            await self.registration.ready()
        return await super().mint(name, expires_at, keep)

    async def install(self, minted: Minted) -> Token:
        self.actor.calls("install", (minted,))
        jwk = {"kty": "OKP", "kid": minted.token.id, MARK: minted.token.name}
        with patch.object(registration, "anyio", _Alone):
            await self.registration.change(lambda keys: keys.having(jwk))
        return minted.token

    async def find(self, prefix: str) -> tuple[Token, ...]:
        with patch.object(registration, "anyio", _Alone), _no_task_for_a_person():
            found = (await self.registration.read()).marked(prefix)
        return tuple(Token(kid, name) for kid, name in found.items())

    async def inspect(self, token: Token) -> Inspection:
        with patch.object(registration, "anyio", _Alone), _no_task_for_a_person():
            return Inspection(exists=token.id in await self.registration.read())

    async def revoke(self, token: Token, secret: Secret | None = None) -> Outcome:
        self.actor.calls("revoke", (token, secret))
        with patch.object(registration, "anyio", _Alone), _no_task_for_a_person():
            gone = await self.registration.change(lambda keys: keys.without(token.id))
        return Outcome.DONE if gone else Outcome.ALREADY

    async def is_dead(self, token: Token, secret: Secret | None) -> bool | None:
        try:
            if (await self.inspect(token)).exists:
                return False
        except Refused:
            if secret is None:
                return None
        return await self.call("is_dead", token, secret)
