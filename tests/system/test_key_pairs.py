"""Key pairs and refresh tokens on a real OpenBao, through the whole app: sets, their readers, an old key's end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from rotator.app.composition import Actor, acting
from rotator.app.vault_policy import grants
from rotator.commands.check import check
from rotator.engine.reconciler import Transition
from rotator.observe.jwks_endpoint import JwksEndpoint, PublicKeySet
from rotator.observe.observers import Observers
from rotator.rotation.record import Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.settings import load
from rotator.vault.fitness import FindingLevel
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.openbao import OpenBao

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SECRET = "canary-pair-secret-b7"
SETTINGS = """
[vault]
address = "{vault}"
mount = "{mount}"
[vault.auth]
method = "token"
token = {{file = "{folder}/vault-token"}}

[targets.desk]
kind = "oauth"
url = "{desk}"
tenant = "acme"
calls = 1000
settle = "0s"

[credentials.pair]
target = "desk"
kind = "assertion-key"
path = "apps/crm/key"
client_id = "{signing}"
client_secret = {{file = "{folder}/client-secret"}}
algorithm = "ES256"
scopes = ["all"]
jwks = "{mount}/public/crm"
jwks_file = "{folder}/jwks.json"
jwks_cache = "2s"
assertion_life = "1s"
retire = {{after = "1s"}}

[credentials.access]
target = "desk"
kind = "oauth-token"
path = "apps/crm/access"
grant = "refresh_token"
client_id = "{renewing}"
client_secret = {{file = "{folder}/client-secret"}}
refresh_token = {{vault = "{mount}/renewals/crm#refresh_token"}}
scopes = ["all"]
fraction = 0.6

[credentials.registered]
target = "desk"
kind = "assertion-key"
path = "apps/crm/registered"
client_id = "{registered}"
algorithm = "ES256"
scopes = ["all"]
registration_client_uri = "{desk}/register/{registered}"
registration_access_token = {{vault = "{mount}/registrations/crm#token"}}
assertion_life = "1s"
retire = {{after = "1s"}}
"""


@dataclass
class Desk:
    """The app, its target, and what was told."""

    app: Actor
    itsm: HaloItsm
    openbao: OpenBao
    mount: str
    folder: Path
    told: list[Transition]

    def read(self, path: str) -> dict[str, Any]:
        return dict(self.openbao.call("GET", f"{self.mount}/data/{path}")["data"]["data"])

    def write(self, path: str, **values: Any) -> None:
        self.openbao.call("POST", f"{self.mount}/data/{path}", {"data": values})

    def authorise(self) -> None:
        """As a person would: consent, and hand the refresh token over."""
        client = next(each for each in self.itsm.model.applications.values() if each.name == "renewing")
        self.write("renewals/crm", refresh_token=self.itsm.model.authorise(client), by="ada")

    def kids(self) -> set[str]:
        return {each["kid"] for each in json.loads(self.read("public/crm")["jwks"])["keys"]}

    async def rest(self, name: str, ask: RotationRequest | None = None) -> Record:
        """Visit until there is nothing more to do."""
        credential = self.app.settings.credentials[name]
        for _ in range(60):
            seen = await self.app.worker_pool.guard.reconciler.reconcile(
                credential, self.app.dependencies(credential), ask
            )
            record = seen.record
            if record and record.phase in (Phase.SETTLED, Phase.AWAITING, Phase.HELD):
                return record
            await anyio.sleep(0.2)
        raise AssertionError(f"{name} does not come to rest: {record}")

    async def again(self, name: str) -> Record:
        return await self.rest(name, RotationRequest(self.app.clock.now(), "ada"))


@asynccontextmanager
async def desk(openbao: OpenBao, mount: str, folder: Path) -> AsyncIterator[Desk]:
    async with HaloItsm("keycloak", tenant="acme", calls=0).running() as itsm:
        itsm.model.change(jwks_cache=1.5, max_age=None)
        secret = Secret(SECRET)

        def public() -> str:
            return (folder / "jwks.json").read_text()

        signing = itsm.model.add_application("signing", secret=secret, jwks=public).client_id
        renewing = itsm.model.add_application("renewing", secret=secret).client_id
        for name, value in (("vault-token", openbao.root.reveal()), ("client-secret", SECRET)):
            (folder / name).touch(0o600)
            (folder / name).write_text(value)
        by_itself = itsm.model.add_application("registered")
        token = itsm.model.registrations.register(by_itself)
        openbao.call("POST", f"{mount}/data/registrations/crm", {"data": {"token": token, "by": "ada"}})
        path = folder / "rotator.toml"
        names = {
            "registered": by_itself.client_id,
            "signing": signing,
            "renewing": renewing,
            "desk": itsm.url,
            "folder": folder,
            "mount": mount,
        }
        path.write_text(SETTINGS.format(vault=openbao.address, **names))
        told: list[Transition] = []
        settings = load(path)
        observers = Observers(settings)
        observers.add([told.append])
        async with acting(settings, observers) as app:
            yield Desk(app, itsm, openbao, mount, folder, told)


async def test_a_key_joins_the_set_is_published_and_leaves_it_and_the_old_one_is_refused(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as world:
        world.write("public/crm", owner="team")
        await world.rest("pair")
        first = world.read("apps/crm/key")
        assert world.kids() == {first["kid"]}
        assert first["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
        record = await world.again("pair")
        second = world.read("apps/crm/key")
        assert world.kids() == {second["kid"]} != {first["kid"]}
        assert record.predecessor is None
        names = [type(each.event).__name__ for each in world.told if each.credential.name == "pair"]
        assert names.count("Installed") == 2
        assert names.index("Installed") < names.index("Verified") < names.index("Published")
        assert names[-3:] == ["Deferred", "Retired", "Swept"]
        assert "Faulted" not in names
        retired = next(each.event for each in world.told if type(each.event).__name__ == "Retired")
        assert "its value is refused" in retired.proof
        public = world.read("public/crm")
        assert public["owner"] == "team"
        assert (tmp_path / "jwks.json").stat().st_mode & 0o777 == 0o644
        for text in (public["jwks"], (tmp_path / "jwks.json").read_text()):
            assert all("d" not in each for each in json.loads(text)["keys"])
        jwks_endpoint = JwksEndpoint()
        jwks_endpoint.attend(world.app)
        shown = await jwks_endpoint.find("pair")
        assert isinstance(shown, PublicKeySet)
        assert [each["kid"] for each in json.loads(shown.text)["keys"]] == [second["kid"]]
        assert "rotator" not in shown.text
        assert await jwks_endpoint.find("access") is None


async def test_the_refresh_token_moves_on_with_every_access_token_and_a_theft_calls_a_person(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as world:
        world.authorise()
        seen = set()
        for _ in range(3):
            await world.again("access")
            seen.add(world.read("renewals/crm")["refresh_token"])
            assert world.itsm.model.accepts_token(Secret(world.read("apps/crm/access")["access_token"]))
        assert len(seen) == 3
        assert world.read("renewals/crm")["by"] == "ada"
        assert "refresh_token" not in world.read("apps/crm/access")

        world.itsm.faults.add("drop", when="after", method="POST", path="/auth/token*")
        before = world.read("apps/crm/access")
        record = await world.again("access")
        while record.phase is Phase.SETTLED:
            await anyio.sleep(0.5)
            record = await world.again("access")
        assert record.phase is Phase.AWAITING
        assert "Authorise client" in record.awaiting
        assert world.read("apps/crm/access") == before

        world.authorise()
        record = await world.again("access")
        assert record.phase is Phase.SETTLED
        assert world.read("apps/crm/access") != before
        assert world.itsm.model.accepts_token(Secret(world.read("apps/crm/access")["access_token"]))
        texts = json.dumps([each.told.fields for each in world.told if hasattr(each, "told")], default=str)
        assert all(each not in texts for each in seen)


async def test_a_registration_is_updated_twice_in_a_rotation_and_a_lost_token_calls_a_person(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as world:
        registrations = world.itsm.model.registrations
        client = next(each for each in world.itsm.model.applications.values() if each.name == "registered")
        record = await world.rest("registered")
        record = await world.again("registered")
        kept, published = world.read("registrations/crm"), world.read("apps/crm/registered")
        assert record.phase is Phase.SETTLED
        assert registrations.kids(client) == [published["kid"]]
        assert (registrations.takes(client, kept["token"]), kept["by"]) == (True, "ada")
        assert kept.keys() == {"token", "by", "rotator_keys"}
        assert kept["token"] not in json.dumps(published)

        rows = [row async for row in check(world.app.settings) if "(registered)" in row.subject]
        assert rows
        assert [row for row in rows if row.level is FindingLevel.REFUSAL] == []
        assert registrations.kids(client) == [published["kid"]]

        renewed = registrations.renew(client)  # as after a lost answer: the server has another one
        record = await world.again("registered")
        assert record.phase is Phase.AWAITING
        assert "refuses the registration access token" in record.awaiting
        assert world.read("apps/crm/registered") == published
        rows = [row async for row in check(world.app.settings)]
        assert [row for row in rows if "registration access token" in row.text]
        world.write("registrations/crm", **{**world.read("registrations/crm"), "token": renewed})
        record = await world.again("registered")
        assert record.phase is Phase.SETTLED
        assert registrations.kids(client) == [world.read("apps/crm/registered")["kid"]] != [published["kid"]]
        told = json.dumps([each.told.fields for each in world.told if hasattr(each, "told")], default=str)
        assert all(each not in told for each in (kept["token"], renewed.reveal()))


async def test_the_policy_lets_providers_keep_their_documents(openbao: OpenBao, mount: str, tmp_path: Path) -> None:
    async with desk(openbao, mount, tmp_path) as world:
        wanted = {each.path: each.capabilities for each in grants(world.app.settings)}
        for path in ("public/crm", "renewals/crm", "registrations/crm"):
            assert {"create", "update", "read"} <= set(wanted[f"{mount}/data/{path}"])


async def test_check_puts_no_key_into_the_set_and_refuses_nothing_that_is_sound(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as world:
        await world.rest("pair")
        before = world.read("public/crm")
        rows = [row async for row in check(world.app.settings) if "(pair)" in row.subject]
        assert [row for row in rows if row.level is FindingLevel.REFUSAL] == []
        assert any("not tried" in row.text for row in rows)
        assert world.read("public/crm") == before
