"""Where things are in Vault: mounts with slashes, the namespace of the login, every path that settings refer to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotator.app.secret_resolver import VaultSecretResolver
from rotator.app.vault_fitness import located
from rotator.app.vault_policy import grants, kept_places, policy, referred_rights
from rotator.cli import rotate
from rotator.ports import MinterRefused
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import Settings, load
from rotator.vault.fitness import FindingLevel
from rotator.vault.kv import Kv
from rotator.vault.preflight import preflight
from rotator.vault.session import Session
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.kit.http_server import Heard, Reply
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.scripted import DENIED, scripted_vault
from tests.unit.vault.test_nodes import META
from tests.unit.vault.test_patience import settings_for, way_in
from tests.unit.vault.test_vanishing import CREDENTIAL
from tests.unit.vault.worlds import canary, kv_on

pytestmark = pytest.mark.anyio


def plain(folder: Path, vault: str = "", more: str = "") -> Settings:
    path = folder / "rotator.toml"
    path.write_text(
        f"[vault]\naddress = 'http://127.0.0.1:9'\n{vault}\n[vault.auth]\nmethod = 'token'\ntoken = {{file = '/x'}}\n"
        + CREDENTIAL.replace("secret/minters/blog", "infra/kv/minters/blog")
        + more
    )
    return load(str(path))


@pytest.mark.system
async def test_vault_is_asked_which_mount_serves_a_path(openbao: OpenBao, mount: str, tmp_path: Path) -> None:
    """The first part of the path was taken for the mount, by live work and by the policy."""
    openbao.enable_kv("infra/kv")
    openbao.call("POST", "infra/kv/data/minters/blog", {"data": {"token": canary("nested")}})
    ref = SecretRef(SecretSource.VAULT, "infra/kv/minters/blog", "token")
    kv, settings = kv_on(openbao, mount), plain(tmp_path)
    secret_resolver = VaultSecretResolver(kv, QuickClock(), lambda: settings)
    assert (await secret_resolver.fetch(ref)).matches(canary("nested"))
    assert await secret_resolver.unnamed_mounts([ref]) == {str(ref): "infra/kv"}
    named = plain(tmp_path, 'mounts = ["infra/kv"]')
    assert await VaultSecretResolver(kv, QuickClock(), lambda: named).unnamed_mounts([ref]) == {}
    await kv.session.close()


KEPT = """
[targets.crm]
kind = "oauth"
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
[credentials.pair]
kind = "assertion-key"
target = "crm"
client_id = "c"
path = "apps/pair"
every = "1d"
jwks = "infra/kept/keys/pair"
jwks_cache = "1h"
"""


@pytest.mark.system
async def test_a_document_that_a_provider_keeps_may_lie_in_a_mount_that_only_vault_knows(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    """The first part of the path was taken for the mount: nothing started, for want of a mount "infra"."""
    openbao.enable_kv("infra/kept")
    kv, settings = kv_on(openbao, mount), plain(tmp_path, 'mounts = ["infra/kv"]', KEPT)
    secret_resolver = VaultSecretResolver(kv, QuickClock(), lambda: settings)
    document_store = secret_resolver.document_store("infra/kept/keys/pair")
    assert await document_store.write({"jwks": "{}"}, over=(await document_store.read()).version) == 1
    assert openbao.call("GET", "infra/kept/data/keys/pair")["data"]["data"] == {"jwks": "{}"}
    full = await located(settings, secret_resolver)
    assert kept_places(full) == (VaultPath("infra/kept", "keys/pair"),)
    assert {"infra/kept/data/keys/pair", "infra/kv/data/minters/blog"} == set(referred_rights(full))
    assert await located(full, VaultSecretResolver(kv, QuickClock(), lambda: full)) == full
    await kv.session.close()


def test_the_policy_says_which_mounts_it_guessed(tmp_path: Path) -> None:
    guessed = '# "infra" is taken for the mount of "infra/kept/keys/pair"'
    assert guessed in policy(plain(tmp_path, more=KEPT))
    assert "is taken for" not in policy(plain(tmp_path, 'mounts = ["infra/kept", "infra/kv"]', KEPT))


@pytest.mark.system
def test_the_policy_asks_vault_which_mount_serves_a_path_and_says_where_it_is_not_told(
    openbao: OpenBao, tmp_path: Path
) -> None:
    openbao.enable_kv("infra/asked")
    token, path = tmp_path / "token", tmp_path / "rotator.toml"
    plain(tmp_path)
    asked = path.read_text().replace("http://127.0.0.1:9", openbao.address).replace("infra/kv", "infra/asked")
    path.write_text(asked.replace("/x", str(token)))
    token.touch(0o400)
    token.write_text(openbao.root.reveal())
    told = CliRunner().invoke(rotate, ["-c", str(path), "policy"])
    assert (told.exit_code, told.stderr) == (0, "")
    assert 'path "infra/asked/data/minters/blog"' in told.stdout
    token.write_text("canary-of-nobody")
    guessed = CliRunner().invoke(rotate, ["-c", str(path), "policy"])
    assert guessed.exit_code == 0
    assert 'path "infra/data/asked/minters/blog"' in guessed.stdout
    assert '"infra" is taken for the mount of "infra/asked/minters/blog"' in guessed.stderr


def test_settings_may_name_the_mount_for_what_asks_no_vault(tmp_path: Path) -> None:
    paths = {each.path for each in grants(plain(tmp_path, 'mounts = ["infra/kv"]'))}
    assert "infra/kv/data/minters/blog" in paths
    assert "infra/data/kv/minters/blog" in {each.path for each in grants(plain(tmp_path))}


async def test_a_minters_secret_that_vault_withholds_is_vaults_refusal_and_not_the_targets(tmp_path: Path) -> None:
    """ "The target refused to mint: Vault's policy denies this to us": the target was never asked."""

    def withheld(heard: Heard) -> Reply | None:
        return DENIED if heard.path.startswith("secret/data/minters") else None

    with scripted_vault(rules=[withheld]) as vault:
        settings = settings_for(vault, tmp_path)
        kv = Kv(Session(VaultConnection(vault.address), way_in(), QuickClock()))
        secret_resolver = VaultSecretResolver(kv, QuickClock(), lambda: settings)
        words = (
            r"minters/blog#token.* cannot be read: Vault's policy denies this to us \(403\); the target was not asked"
        )
        with pytest.raises(MinterRefused, match=words):
            await secret_resolver.fetch(SecretRef(SecretSource.VAULT, "secret/minters/blog", "token"))


async def test_the_preflight_covers_every_path_that_settings_refer_to(tmp_path: Path) -> None:
    path = "infra/kv/data/minters/blog"
    referred = referred_rights(plain(tmp_path, 'mounts = ["infra/kv"]'))
    assert referred == {path: frozenset({"read"})}

    def without(heard: Heard) -> Reply | None:
        if heard.path != "sys/capabilities-self":
            return None
        every = ["create", "read", "update", "list", "delete"]
        return 200, {"data": {each: ["deny"] if each == path else every for each in heard.body["paths"]}}

    with scripted_vault(documents={"secret/rotator/meta": [META]}, rules=[without]) as vault:
        kv = Kv(Session(VaultConnection(vault.address), way_in(), QuickClock()))
        found = await preflight(kv, [], timedelta(days=1), referred=referred)
        [lacking] = [each for each in found if each.level is not FindingLevel.OK]
        assert (lacking.level, lacking.subject) == (FindingLevel.WARNING, path)


async def test_the_login_may_be_in_another_namespace_than_the_secrets() -> None:
    with scripted_vault(documents={"secret/rotator/meta": [META]}) as vault:
        place = VaultConnection(vault.address, namespace="team/secrets", login_namespace="team")
        session = Session(place, way_in(), QuickClock())
        await session.ask(lambda client: client.adapter.get("/v1/secret/data/rotator/meta"))
        await session.close()
        by_path: dict[str, Any] = {each.path: each.headers.get("X-Vault-Namespace") for each in vault.heard}
        assert by_path == {
            "auth/approle/login": "team",
            "secret/data/rotator/meta": "team/secrets",
            "auth/token/revoke-self": "team",
        }


@pytest.mark.parametrize(
    ("said", "login"), [("", "team"), ('namespace = "shared"', "shared"), ('namespace = "root"', "")]
)
def test_a_login_without_a_namespace_of_its_own_is_where_the_secrets_are(said: str, login: str, tmp_path: Path) -> None:
    from rotator.app.factories import connection

    path = tmp_path / "rotator.toml"
    path.write_text(
        "[vault]\naddress = 'http://127.0.0.1:9'\nnamespace = 'team'\n[vault.auth]\nmethod = 'token'\n"
        f"token = {{file = '/x'}}\n{said}\n"
    )
    assert connection(load(str(path)).vault, "me").login_namespace == login
