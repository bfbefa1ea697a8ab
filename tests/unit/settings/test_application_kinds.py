"""Settings of HaloITSM application kinds: one slot one credential, no grace with one slot, who manages whom."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.providers import KINDS
from rotator.rotation.secret import SecretSource
from rotator.settings import Settings, SettingsError, load

TARGET = """
[vault]
address = "http://127.0.0.1:8200"
[vault.auth]
method = "token"
token = {file = "/run/vault-token"}
[targets.desk]
kind = "oauth"
url = "https://desk.example"
manage_applications = true
management = {client_id = "chief", client_secret = {vault = "secret/chief#secret"}}
"""
CRM = """
[credentials.crm]
target = "desk"
path = "apps/crm"
application = "12"
client_id = "crm"
scopes = ["all"]
every = "30d"
"""
BASE = TARGET + CRM
API, ONE, PAIR = (f'kind = "{name}"\n' for name in ("halo-api-key", "halo-client-secret", "halo-assertion-key"))
TWO = 'second_application = "13"\nsecond_client_id = "spare"\n'
OTHER = CRM.replace("crm", "erp", 2)


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "rotator.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("text", "key", "after"),
    [
        (API, "api_key", timedelta(hours=1)),
        (ONE, "client_secret", timedelta(0)),
        (PAIR, "private_key", timedelta(0)),
        (ONE + TWO, "client_secret", timedelta(hours=1)),
        (PAIR + TWO, "private_key", timedelta(hours=1)),
    ],
)
def test_with_one_slot_there_is_no_grace_and_with_two_there_is(
    tmp_path: Path, text: str, key: str, after: timedelta
) -> None:
    crm = loaded(tmp_path, BASE + text).credentials["crm"]
    assert (crm.key, crm.retire.after) == (key, after)
    assert (crm.lifetime is None) == (text is not API)


def test_a_default_quiet_is_passed_over_where_the_target_tells_no_last_use(tmp_path: Path) -> None:
    usual = '[defaults]\nretire = {after = "2h", quiet = "2d", deadline = "7d"}\n'
    assert loaded(tmp_path, usual + BASE + API).credentials["crm"].retire.quiet == timedelta(days=2)
    spare = loaded(tmp_path, usual + BASE + ONE + TWO).credentials["crm"].retire
    assert (spare.after, spare.quiet, spare.deadline) == (timedelta(hours=2), None, None)


def test_the_management_client_is_read_with_its_reference(tmp_path: Path) -> None:
    keys: Any = loaded(tmp_path, BASE + ONE).targets["desk"].config
    assert keys.management.client_secret.source is SecretSource.VAULT
    assert keys.management.scopes == ("admin",)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (BASE + ONE + 'retire = {after = "1h"}\n', "retire", "the new value ends the old one"),
        (BASE + ONE.replace("halo", "halo") + 'lifetime = "90d"\n', "lifetime", "never expires"),
        (BASE + API + 'lifetime = "none"\n', "lifetime", "every API key expires"),
        (BASE + API + 'lifetime = "30d"\n', "every", "would expire while still needed"),
        (BASE + API + 'retire = {quiet = "1d", deadline = "2d"}\n', "deadline", "noted 1d late"),
        (BASE + ONE + TWO + 'retire = {quiet = "1h", deadline = "1d"}\n', "quiet", "does nothing for"),
        (BASE.replace('every = "30d"', "fraction = 0.5") + ONE, "fraction", "never"),
        (BASE.replace('"crm"\nscopes', '"chief"\nscopes') + ONE, "client_id", "management application's"),
        (BASE.replace('application = "12"\n', "") + ONE, "", "`application` is missing"),
        (BASE + ONE + OTHER + ONE, "client_id", "one slot, one credential"),
        (BASE + ONE + TWO + OTHER + API, "client_id", "one slot, one credential"),
        (BASE.replace("true", "false") + ONE + TWO, "second_application", "needs manage_applications"),
        (BASE + API + TWO, "second_application", "does not belong here"),
        (BASE + ONE + 'second_client_id = "spare"\n', "second_client_id", "go together"),
        (BASE + ONE + 'second_application = "12"\nsecond_client_id = "spare"\n', "second_application", "another one"),
        (BASE + ONE + 'second_application = "13"\nsecond_client_id = "crm"\n', "second_client_id", "another one"),
        (BASE + ONE + 'client_secret = {file = "/x"}\n', "client_secret", "it is what is made here"),
        (BASE + PAIR + 'signing_key = {file = "/x"}\n', "signing_key", "the key pair is made"),
        (
            BASE + PAIR + 'client_secret = {file = "/x"}\nauth_method = "client_secret_basic"\n',
            "auth_method",
            "an assertion is the proof",
        ),
        (BASE + PAIR + 'kid = "fixed"\n', "kid", "a name of its own"),
        (BASE + PAIR + "bits = 8192\n", "bits", "2000 characters"),
        (BASE + API + 'header = "x api key"\n', "header", "name of a header"),
        (BASE + API + 'prefix = "Bearer\\n"\n', "prefix", "a word and a blank"),
        (BASE + API + 'idle = "5m"\n', "idle", "an hour or more"),
        (BASE + API + 'probe = ""\n', "probe", "no other proof"),
        (BASE.replace('"12"', '"a b"') + ONE, "application", "not its client id"),
        (TARGET.replace("management =", "managment =") + CRM + ONE, "manage_applications", "needs the key management"),
        (TARGET.replace("client_secret =", "client_secrets =") + CRM + ONE, "client_secrets", "unknown key"),
        (TARGET.replace('", client_secret = {vault = "secret/chief#secret"}', '"') + CRM, "management", "how shall it"),
        (
            TARGET.replace('"chief", ', '"chief", probe = "/x", ') + CRM + ONE,
            "probe",
            "does nothing for the management",
        ),
    ],
)
def test_what_cannot_hold_is_refused_at_its_key(tmp_path: Path, text: str, key: str, words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(tmp_path, text)
    found = [(each.key.rpartition(".")[2], each.text) for each in refusal.value.faults]
    assert any(key in at and words in text for at, text in found), found


def test_two_kinds_may_share_an_application_but_not_a_slot(tmp_path: Path) -> None:
    assert len(loaded(tmp_path, BASE + ONE + OTHER.replace('"erp"\nscopes', '"crm"\nscopes') + API).credentials) == 2


@pytest.mark.parametrize("name", ["halo-api-key", "halo-client-secret", "halo-assertion-key"])
def test_the_example_loads_and_says_what_it_costs(name: str) -> None:
    settings = load(Path(__file__).parents[3] / "config" / "examples" / f"{name}.toml")
    (credential,) = settings.credentials.values()
    assert credential.kind == name
    said = KINDS[name].warnings(credential, settings.targets[credential.target].config)
    one_slot = credential.retire.after == timedelta(0)
    assert any("hard cut-over" in text for text in said) == one_slot


def test_a_grace_with_one_slot_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(tmp_path, BASE + ONE + 'retire = {after = "1h"}\n')
    [fault] = refusal.value.faults
    assert "the new value ends the old one" in fault.text
