"""The policy that is written from settings: each path they name, and none that they do not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotator.app.vault_policy import UngrantableError, grants, policy, transit_rights
from rotator.cli import rotate
from rotator.settings import load
from tests.unit.settings.files import write

SHIPPED = Path(__file__).parents[3] / "config" / "vault" / "rotator.hcl"
RULE = re.compile(r'^path "([^"]+)" *\{ capabilities = \[([^\]]*)\] \}$', re.MULTILINE)
BASE = """
[vault]
address = "https://vault.example:8200"
auth = {method = "token", token = {file = "/run/vault-token"}}
[targets.blog]
kind = "halo-cms"
url = "https://blog.example"
minter = {pat = {file = "/run/minter"}}
[targets.desk]
kind = "oauth"
url = "https://desk.example"
[credentials.web]
target = "blog"
path = "apps/web/halo"
"""


def rules(text: str) -> dict[str, set[str]]:
    """Path to capabilities."""
    return {path: set(re.findall(r'"(\w+)"', words)) for path, words in RULE.findall(text)}


def granted(folder: Path, more: str = "", base: str = BASE) -> dict[str, set[str]]:
    """The policy for the settings, read back."""
    text = policy(load(write(folder, base + more)))
    assert text.count("\npath ") == len(RULE.findall(text))
    return rules(text)


def test_for_one_credential_it_is_the_shipped_policy(tmp_path: Path) -> None:
    shipped = {path.replace("apps/+", "apps/web"): words for path, words in rules(SHIPPED.read_text()).items()}
    approle = 'auth = {method = "approle", role_id = "x", secret_id = {file = "/run/secret-id"}}'
    assert granted(tmp_path, base=re.sub("auth = .*", approle, BASE)) == shipped


def test_only_a_login_by_secret_id_asks_when_that_ends(tmp_path: Path) -> None:
    assert not [path for path in granted(tmp_path) if "secret-id" in path]


def test_a_credential_more_is_its_two_paths_more(tmp_path: Path) -> None:
    before = granted(tmp_path)
    after = granted(tmp_path, '[credentials."team/ci"]\ntarget = "blog"\npath = "apps/ci/deep/halo"\n')
    assert {path: words for path, words in after.items() if path not in before} == {
        "secret/data/apps/ci/deep/halo": {"create", "update", "read"},
        "secret/metadata/apps/ci/deep/halo": {"read"},
    }
    assert before.items() <= after.items()


OAUTH = (
    '[credentials.crm]\ntarget = "desk"\nkind = "oauth-token"\npath = "apps/crm"\nclient_id = "crm"\nfraction = 0.5\n'
)


@pytest.mark.parametrize(
    ("more", "paths"),
    [
        ('client_secret = {vault = "secret/clients/crm#secret"}', {"secret/data/clients/crm": {"read"}}),
        ('signing_key = {vault = "keys/crm#pem"}', {"keys/data/crm": {"read"}}),
        ('client_secret = {file = "/run/crm"}', {}),
        (
            'grant = "refresh_token"\nclient_secret = {file = "/c"}\nrefresh_token = {vault = "secret/cli/r#token"}',
            {"secret/data/cli/r": {"create", "update", "read"}},
        ),
        ('transit_key = "transit/crm"', {"transit/keys/crm": {"read"}, "transit/sign/crm": {"update"}}),
        ('transit_key = "eu/transit/crm"', {"eu/transit/keys/crm": {"read"}, "eu/transit/sign/crm": {"update"}}),
    ],
)
def test_a_secret_or_a_signing_key_in_vault_is_granted_by_its_own_path(
    tmp_path: Path, more: str, paths: dict[str, set[str]]
) -> None:
    own = {"secret/data/apps/crm", "secret/metadata/apps/crm"}
    found = granted(tmp_path, f"{OAUTH}{more}\n")
    assert {path: words for path, words in found.items() if path not in own | granted(tmp_path).keys()} == paths


@pytest.mark.parametrize("kind", ["assertion-key", "halo-assertion-key"])
def test_a_key_that_is_rotated_in_transit_is_one_path_more(tmp_path: Path, kind: str) -> None:
    more = f'[credentials.crm]\ntarget = "desk"\nkind = "{kind}"\npath = "apps/crm"\nclient_id = "crm"\n'
    more += 'transit_key = "eu/transit/crm"\n' + ('jwks_file = "/srv/jwks"\n' if kind == "assertion-key" else "")
    found = granted(tmp_path, more)
    assert {path: words for path, words in found.items() if "transit" in path} == {
        "eu/transit/keys/crm": {"read"},
        "eu/transit/sign/crm": {"update"},
        "eu/transit/keys/crm/rotate": {"update"},
    }
    rights = transit_rights(load(write(tmp_path, BASE + more)))
    assert {path: set(words) for path, words in rights.items()} == {
        path: words for path, words in found.items() if "transit" in path
    }


def test_the_public_keys_that_are_handed_out_are_written(tmp_path: Path) -> None:
    key = '[credentials.key]\ntarget = "desk"\nkind = "assertion-key"\npath = "apps/key"\nclient_id = "crm"\n'
    found = granted(tmp_path, f'{key}jwks = "secret/public/crm"\n')
    assert found["secret/data/public/crm"] == {"create", "update", "read"}
    assert "secret/metadata/public/crm" not in found


def test_the_registration_access_token_is_written_since_each_update_may_replace_it(tmp_path: Path) -> None:
    key = '[credentials.key]\ntarget = "desk"\nkind = "assertion-key"\npath = "apps/key"\nclient_id = "crm"\n'
    key += 'registration_client_uri = "https://sso.example/register/crm"\n'
    found = granted(tmp_path, f'{key}registration_access_token = {{vault = "secret/reg/crm#token"}}\n')
    assert found["secret/data/reg/crm"] == {"create", "update", "read"}


def test_what_lies_deeper_in_the_settings_counts_as_well(tmp_path: Path) -> None:
    more = 'manage_applications = true\nmanagement = {client_id = "boss", transit_key = "transit/boss"}\n'
    base = BASE.replace('url = "https://desk.example"\n', f'url = "https://desk.example"\n{more}')
    base += '[hooks.chat]\non = ["held"]\nurl = {vault = "secret/hooks/chat#url"}\nsecret = {file = "/s"}\n'
    found = granted(tmp_path, base=base)
    assert found["transit/sign/boss"] == {"update"}
    assert found["secret/data/hooks/chat"] == {"read"}


def test_a_minter_that_rotator_itself_publishes_is_one_path_with_all_it_needs(tmp_path: Path) -> None:
    base = BASE.replace('{file = "/run/minter"}', '{vault = "secret/apps/web/halo#token"}')
    assert granted(tmp_path, base=base)["secret/data/apps/web/halo"] == {"create", "update", "read"}


def test_mount_and_prefix_are_those_of_the_settings(tmp_path: Path) -> None:
    base = BASE.replace("[targets.blog]", 'mount = "team/kv"\nprefix = "ops/rotator"\n[targets.blog]')
    found = granted(tmp_path, '[credentials.far]\ntarget = "blog"\nmount = "other"\npath = "far"\n', base)
    assert {"team/kv/config", "other/config", "other/data/far", "team/kv/data/ops/rotator/journal/*"} <= found.keys()
    assert not [path for path in found if path.startswith("secret/")]


@pytest.mark.parametrize("name", ["secret/minters/*", "secret/+/blog"])
def test_a_name_that_a_policy_reads_as_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    settings = load(write(tmp_path, BASE.replace('{file = "/run/minter"}', f'{{vault = "{name}#token"}}')))
    with pytest.raises(UngrantableError, match="pattern"):
        grants(settings)


def placed(folder: Path, secrets: str, login: str) -> str:
    """The policy where the secrets are in one namespace and the login in another."""
    base = BASE.replace("[vault]", f"[vault]\nnamespace = '{secrets}'" if secrets else "[vault]")
    return policy(load(write(folder, base.replace("auth = {", f"auth = {{namespace = '{login}', "))))


@pytest.mark.parametrize(
    ("secrets", "login", "where", "below"),
    [
        ("team", "team", "-namespace=team ", ""),
        ("team", "root", "", "team/"),
        ("team/web/blue", "team", "-namespace=team ", "web/blue/"),
    ],
)
def test_a_login_of_another_namespace_needs_its_policy_there(
    tmp_path: Path, secrets: str, login: str, where: str, below: str
) -> None:
    """Its paths were those of the secrets' own namespace, and granted nothing."""
    text = placed(tmp_path, secrets, login)
    assert f"rotate policy | bao policy write {where}rotator -\n" in text
    own = {path for path in rules(text) if path.startswith("auth/token/")}
    assert len(own) == 3
    rest = {path for path in rules(text) if path not in own}
    assert f"{below}sys/capabilities-self" in rest
    assert all(path.startswith(below) for path in rest)


@pytest.mark.parametrize(("secrets", "login"), [("team", "other"), ("teams/a", "team"), ("", "team")])
def test_a_login_that_no_policy_reaches_down_from_is_told(tmp_path: Path, secrets: str, login: str) -> None:
    with pytest.raises(UngrantableError, match="is not below the login's"):
        placed(tmp_path, secrets, login)


def test_the_command_prints_the_policy_and_calls_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, BASE)
    ended = CliRunner().invoke(rotate, ["-c", str(path), "policy"])
    assert ended.exit_code == 0
    assert ended.output == policy(load(path))
    path.write_text("[vault]\n")
    assert CliRunner().invoke(rotate, ["-c", str(path), "policy"]).exit_code == 78
