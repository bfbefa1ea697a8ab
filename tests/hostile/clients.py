"""The call sites of refresh tokens, key sets and values that people bring, and of those who are told by a hook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rotator.host.proxy import Proxy
from rotator.ports import Minted, NeedsPerson, Transient
from rotator.providers.http.client import HttpClient
from rotator.providers.http.hook_client import HookClient
from rotator.providers.manual.config import ManualOptions, ManualTargetConfig
from rotator.providers.manual.provider import ManualServer, ManualToken
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.hostile.server import Hostile
from tests.hostile.sites import DEADLINE, Site
from tests.hostile.targets import SHORT, DeskCell, from_now_on, through_bad_company
from tests.hostile.wire import Asked, Reply
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers import desk, halo

REFRESH = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")
JWKS = "secret/crm/jwks"
REGISTRATION = SecretRef(SecretSource.VAULT, "secret/crm/registration", "token")
PROBE = "/apis/content.halo.run/v1alpha1/posts"


@asynccontextmanager
async def on_refreshes(hostile: Hostile, ca_file: str) -> AsyncIterator[DeskCell]:
    """A client whose refresh token lies on its shelf."""
    async with desk.running("keycloak", HandClock(), ca_file=ca_file) as world:
        world.keys.document_store(REFRESH.name).put(refresh_token=world.itsm.model.authorise(world.client))
        async with through_bad_company(hostile, world, ca_file) as site:
            yield DeskCell(world, site)


async def _refreshed(cell: DeskCell) -> object:
    provider = desk.KINDS["oauth-token"].bind(
        cell.server, cell.world.credential("oauth-token", grant="refresh_token", refresh_token=REFRESH)
    )
    try:
        return await provider.mint("a-r2-a1", None)
    except NeedsPerson:
        return "a person is asked"


def _both(cell: DeskCell, got: Any) -> bool:
    """The access token opens the server, and the refresh token that came with it is the next one."""
    if not isinstance(got, Minted) or not cell.world.itsm.model.accepts_token(got.secret):
        return False
    return cell.world.itsm.model.refreshes.takes(got.private["refresh_token"].reveal())


@dataclass
class KeySetCell(DeskCell):
    """A client whose key is in a set that the server has read."""

    key: Minted

    @property
    def provider(self) -> Any:
        return desk.KINDS["assertion-key"].bind(self.server, in_set(self.world))


def in_set(world: desk.Desk) -> Credential:
    return world.credential("assertion-key", signing_key=None, algorithm="ES256", jwks=JWKS)


@asynccontextmanager
async def on_key_set(hostile: Hostile, ca_file: str) -> AsyncIterator[KeySetCell]:
    """The key has been proven, so the server believes its copy of the set for some minutes."""
    async with desk.running("keycloak", HandClock(), ca_file=ca_file) as world:
        world.client.public_key = world.client.kid = ""
        world.client.jwks = lambda: str(world.keys.document_store(JWKS).values.get("jwks", ""))
        honest = desk.KINDS["assertion-key"].bind(world.server, in_set(world))
        key = await honest.mint("a-r1-a1", None)
        await honest.install(key)
        await honest.verify(key.token, key.secret)
        async with through_bad_company(hostile, world, ca_file) as site:
            yield KeySetCell(world, site, key)


@dataclass
class RegistrationCell(KeySetCell):
    """A client whose key is in its registration; its token lies on its shelf."""

    @property
    def provider(self) -> Any:
        return desk.KINDS["assertion-key"].bind(self.server, registered_at(self.world, self.server.config.url))

    @property
    def kids(self) -> list[str]:
        return self.world.itsm.model.registrations.kids(self.world.client)

    def keeps(self) -> bool:
        """Whether the token on the shelf is the server's."""
        kept = str(self.world.keys.document_store(REGISTRATION.name).values["token"])
        return self.world.itsm.model.registrations.takes(self.world.client, kept)


def registered_at(world: desk.Desk, url: str) -> Credential:
    alone: dict[str, Any] = {"client_secret": None, "signing_key": None, "algorithm": "ES256"}
    uri = f"{url}/register/{world.client.client_id}"
    where: dict[str, Any] = {"registration_client_uri": uri, "registration_access_token": REGISTRATION}
    return world.credential("assertion-key", **alone, **where)


@asynccontextmanager
async def on_registration(hostile: Hostile, ca_file: str) -> AsyncIterator[RegistrationCell]:
    """One key is there already."""
    async with desk.running("keycloak", HandClock(), ca_file=ca_file) as world:
        world.client.secret = ""
        world.keys.document_store(REGISTRATION.name).put(token=world.itsm.model.registrations.register(world.client))
        honest = desk.KINDS["assertion-key"].bind(world.server, registered_at(world, world.itsm.url))
        key = await honest.mint("a-r1-a1", None)
        await honest.install(key)
        async with through_bad_company(hostile, world, ca_file) as site:
            yield RegistrationCell(world, site, key)


async def _another_joins(cell: RegistrationCell) -> Minted:
    """A second key, made without a look at the registration."""
    pair = await cell.provider._pairs.new(None)
    minted = Minted(Token((await cell.provider._pairs.opened(pair)).thumbprint, "a-r2-a1"), pair)
    await cell.provider.install(minted)
    return minted


def _joined(cell: RegistrationCell, got: Minted) -> bool:
    return cell.keeps() and cell.kids == [cell.key.token.id, got.token.id]


async def _left(cell: KeySetCell) -> object:
    """The set has it no more, and the server does not know yet."""
    await cell.provider.revoke(cell.key.token)
    return await cell.provider.is_dead(cell.key.token, cell.key.secret)


@dataclass
class ManualCell:
    """A token that a person made, on a target that we reach through the bad server."""

    server: ManualServer
    value: Secret
    posing: bool  # somebody else's word, which nobody can tell from the target's own

    token = Token("tool-r1-a1")
    keys = ManualOptions(instructions="Users, bot, New token", probe=PROBE, identity={"first": True})

    @property
    def provider(self) -> ManualToken:
        return ManualToken(self.server, self.keys, "tool")


@asynccontextmanager
async def on_manual(hostile: Hostile, ca_file: str) -> AsyncIterator[ManualCell]:
    clock = HandClock()
    async with halo.running("2.26.0", clock, ca_file=ca_file) as world:
        value = world.halo.model.mint("minter", name="by-hand", roles=["super-role"])
        site = ManualServer(
            HttpClient("tool", ManualTargetConfig(url=hostile.url, ca_file=ca_file, **SHORT), clock, no_password),
            no_password,
        )
        async with from_now_on(hostile, world.halo.url, site):
            yield ManualCell(site, value, hostile.posing)


def _tool(cell: ManualCell) -> Credential:
    options = ManualOptions(instructions="Users, bot, New token", probe=PROBE)
    return Credential("tool", "manual", "tool", VaultPath("secret", "tool"), options=options)


def on_hook(url: str = "") -> Any:
    """A hook whose server is the bad one, or, where `url` is given, the proxy on the way there."""

    @asynccontextmanager
    async def setup(hostile: Hostile, ca_file: str) -> AsyncIterator[tuple[HookClient, str]]:
        async def taken(asked: Asked) -> Reply:
            return Reply()

        hostile.upstream, hostile.armed, box = taken, True, HookClient(no_password, ca_file)
        if url:
            proxy = Proxy(hostile.url, "rotator", REF, ca_file if hostile.tls else None)
            box = HookClient(proxy=proxy, fetch=_password)
        try:
            yield box, url or f"{hostile.url}/hook"
        finally:
            await box.aclose()

    return setup


REF = SecretRef(SecretSource.FILE, "/run/secrets/proxy")
_PASSWORD = Secret("canary-hostile-proxy-Zq8RtW2mLx5Kp")


async def _password(ref: SecretRef) -> Secret:
    return _PASSWORD


async def _no_way(cell: tuple[HookClient, str]) -> object:
    """What is said of a tunnel: nobody at its end speaks TLS, so there is none."""
    try:
        await cell[0].send("POST", cell[1], DEADLINE, b"{}")
    except Transient as fault:
        return fault
    return "taken"


CLIENTS: dict[str, Site[Any]] = {
    "oauth-token mint by refresh token": Site(on_refreshes, _refreshed, _both, proof=True),
    "assertion-key verify": Site(
        on_key_set, lambda it: it.provider.verify(it.key.token, it.key.secret), proof=True, calls=3
    ),
    "assertion-key is_dead": Site(on_key_set, _left, lambda it, got: got is not True),
    "registration install": Site(on_registration, _another_joins, _joined, calls=3),
    "registration revoke": Site(
        on_registration,
        lambda it: it.provider.revoke(it.key.token),
        lambda it, got: it.keeps() and not it.kids,
        calls=3,
    ),
    "registration find": Site(
        on_registration,
        lambda it: it.provider.find("a-r1"),
        lambda it, got: [each.id for each in got] == it.kids,
    ),
    "manual verify": Site(on_manual, lambda it: it.provider.verify(it.token, it.value), proof=True, calls=2),
    "manual is_dead": Site(
        on_manual, lambda it: it.provider.is_dead(it.token, it.value), lambda it, got: got is not True or it.posing
    ),
    # What it wants is a refusal: the status is all that counts, whatever the body is.
    "manual control": Site(on_manual, lambda it: it.server.control(_tool(it)), calls=2),
    # One way: that a 2xx has begun is all that it wants to know.
    "hook by a proxy that forwards": Site(
        on_hook("http://hooks.invalid/x"), lambda it: it[0].send("POST", it[1], DEADLINE, b"{}")
    ),
    "hook by a tunnel": Site(on_hook("https://hooks.invalid/x"), _no_way, lambda it, got: got != "taken"),
    "hook and ping": Site(on_hook(), lambda it: it[0].send("POST", it[1], DEADLINE, b"{}")),
}
