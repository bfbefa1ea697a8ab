"""A directed schedule: a credential's file ends with a newline, as editors and `echo` leave it; or has one inside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rotator.app.factories import connection, vault_login
from rotator.app.secret_resolver import VaultSecretResolver, identity
from rotator.ports import MinterRefused, StoreRefused
from rotator.providers.http.auth import header
from rotator.providers.keys.signing import LocalSigner
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Settings, load
from rotator.vault.kv import Kv
from rotator.vault.session import Session
from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.server import Hostile
from tests.hostile.wire import Asked, Reply
from tests.kit.certificates import Authority
from tests.kit.clock import HandClock
from tests.unit.providers import desk
from tests.unit.providers.keys import ec_key, private_pem
from tests.unit.settings.files import faults, write

pytestmark = pytest.mark.anyio

TOKEN = "canary-file-7c1f9e3b5a2d"
ENDS = ["\n", "\r\n", "\n\n"]
BROKEN = [f"{TOKEN}\n{TOKEN}\n", f"{TOKEN}\r\nx", f"\n{TOKEN}", f"{TOKEN} {TOKEN}\n", f" {TOKEN}\n", f"{TOKEN} \n"]
BROKEN += [f"export VAULT_TOKEN={TOKEN}\n", f"{TOKEN}\t", f"\ufeff{TOKEN}\n"]
LOGINS = {
    "token": "token = {file = FILE}",
    "approle": 'role_id = "5b1d"\nsecret_id = {file = FILE}',
    "kubernetes": 'role = "r"\ntoken = {file = FILE}',
    "jwt": 'role = "r"\ntoken = {file = FILE}',
}
GRANTED = {"auth": {"client_token": "canary-granted-51", "lease_duration": 3600, "renewable": True}}
LOOKED_UP = {"data": {"ttl": 3600, "renewable": True, "num_uses": 0}}


@dataclass
class FakeVaultServer:
    """It lets everybody in, keeps what it was asked, and has one document."""

    asked: list[Asked] = field(default_factory=list)
    kept: str = ""

    async def __call__(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        if "/data/" in asked.path:
            return Reply().saying({"data": {"data": {"token": self.kept}, "metadata": {"version": 1}}})
        return Reply().saying(GRANTED if asked.path.endswith("/login") else LOOKED_UP)

    @property
    def shown(self) -> str:
        """What its first caller proved itself with."""
        first = self.asked[0]
        if not first.body:
            headers = dict(line.split(": ", 1) for line in first.head.decode().split("\r\n")[1:])
            return headers["X-Vault-Token"]
        told = json.loads(first.body)
        return str(told.get("secret_id") or told["jwt"])


@dataclass
class World:
    """A Vault of one document, and settings that find their credential in one file."""

    vault: FakeVaultServer
    address: str
    folder: Path

    def settings(self, content: str, method: str = "token") -> Settings:
        secret = self.folder / "secret"
        secret.write_text(content, encoding="utf-8", newline="")
        secret.chmod(0o600)
        auth = LOGINS[method].replace("FILE", json.dumps(str(secret)))
        text = f'[vault]\naddress = "{self.address}"\n[vault.auth]\nmethod = "{method}"\n{auth}\n'
        minter = f"minter = {{pat = {{file = {json.dumps(str(secret))}}}}}"
        text += f'[targets.blog]\nkind = "halo-cms"\nurl = "https://blog.example"\n{minter}\n'
        return load(write(self.folder, text + '[credentials.web]\ntarget = "blog"\npath = "apps/web"\n'))

    def session(self, content: str, method: str = "token") -> Session:
        settings = self.settings(content, method)
        return Session(connection(settings.vault, "test"), vault_login(settings), HandClock())

    async def fetched(self, kept: str) -> Any:
        """A secret that settings refer to in Vault."""
        self.vault.kept = kept
        session = self.session(TOKEN)
        keys = VaultSecretResolver(Kv(session), HandClock(), lambda: self.settings(TOKEN))
        try:
            return await keys.fetch(SecretRef(SecretSource.VAULT, "secret/minters/blog", "token"))
        finally:
            await session.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server, vault = Hostile(BEHAVIOURS["honest"], Authority(tmp_path)), FakeVaultServer()
    server.upstream = vault
    async with server.running():
        yield World(vault, server.url, tmp_path)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", LOGINS)
async def test_a_token_file_with_newline_logs_in_to_vault(world: World, method: str, end: str) -> None:
    session = world.session(TOKEN + end, method)
    await session.open()
    await session.close()
    assert world.vault.shown == TOKEN


@pytest.mark.parametrize(
    ("method", "content"), [("token", each) for each in BROKEN] + [(each, BROKEN[0]) for each in LOGINS]
)
async def test_a_token_file_with_newline_or_blank_inside_is_refused_by_its_name_before_anything_is_sent(
    world: World, method: str, content: str
) -> None:
    session = world.session(content, method)
    with pytest.raises(StoreRefused, match=f"{world.folder}/secret.* (blank|printable ASCII on one line)") as caught:
        await session.open()
    await session.close()
    assert TOKEN not in caught.value.reason
    assert not world.vault.asked


def test_a_role_id_with_newline_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    text = '[vault]\naddress = "https://v.example"\n[vault.auth]\nmethod = "approle"\nrole_id = "5b1d\\n"\n'
    text += 'secret_id = {credential = "s"}\n[targets]\n'
    assert any("must not have blanks around it" in fault.text for fault in faults(write(tmp_path, text)))


@pytest.mark.parametrize("end", ENDS)
async def test_a_token_file_with_newline_mints(world: World, end: str) -> None:
    settings = world.settings(TOKEN + end)
    session = world.session(TOKEN + end)
    keys = VaultSecretResolver(Kv(session), HandClock(), lambda: settings)
    assert header(await identity(settings.targets["blog"], keys.fetch)) == ("Authorization", f"Bearer {TOKEN}")
    await session.close()


@pytest.mark.parametrize("end", ["", *ENDS])
async def test_a_token_that_was_put_into_vault_from_a_file_with_newline_is_without_it(world: World, end: str) -> None:
    assert (await world.fetched(TOKEN + end)).reveal() == TOKEN
    block = private_pem(ec_key()).reveal()
    assert (await world.fetched(block + end)).reveal() == block


@pytest.mark.parametrize("before", ["\n", "Bag Attributes\n    friendlyName: crm\nKey Attributes: <No Attributes>\n"])
async def test_a_key_in_vault_with_lines_before_its_armour_is_used_as_it_is(world: World, before: str) -> None:
    block = private_pem(ec_key()).reveal()
    kept = await world.fetched(before + block)
    assert kept.reveal() == before + block
    assert await LocalSigner(kept).public_pem() == await LocalSigner(Secret(block)).public_pem()


@pytest.mark.parametrize("kept", [f"{TOKEN}\n{TOKEN}", f"{TOKEN}\tx", f"{TOKEN}\x7f", "\n", ""])
async def test_a_token_in_vault_with_newline_inside_is_refused_by_its_name(world: World, kept: str) -> None:
    with pytest.raises(MinterRefused, match="secret/minters/blog#token holds") as caught:
        await world.fetched(kept)
    assert TOKEN not in caught.value.reason


@pytest.mark.parametrize("end", ENDS)
async def test_a_refresh_token_that_was_put_into_vault_with_newline_is_used_and_handed_over(end: str) -> None:
    kept = SecretRef(SecretSource.VAULT, "secret/crm/refresh", "refresh_token")
    async with desk.running("keycloak", HandClock()) as world:
        document_store = world.keys.document_store(kept.name)
        document_store.put(refresh_token=world.itsm.model.authorise(world.client).reveal() + end)
        provider = world.bound("oauth-token", grant="refresh_token", refresh_token=kept)
        minted = await provider.mint("r1", None)
        await provider.install(minted)
        assert world.itsm.model.refreshes.takes(str(document_store.values["refresh_token"]))
