"""Settings of key pairs: defaults that hold together, and times that are refused with their numbers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.rotation.credential import Credential
from rotator.settings import Listen, SettingsError, load

BASE = """
[vault]
address = "http://127.0.0.1:8200"
[vault.auth]
method = "token"
token = {file = "/run/vault-token"}
[targets.desk]
kind = "oauth"
url = "https://desk.example"
[credentials.crm]
target = "desk"
kind = "assertion-key"
path = "apps/crm"
client_id = "crm"
"""
SOUND = BASE + 'jwks = "secret/public/crm"\n'
TRANSIT = 'transit_key = "transit/crm"\n'
OTHER = """
[credentials.shop]
target = "desk"
kind = "assertion-key"
path = "apps/shop"
client_id = "shop"
jwks = "secret/public/shop"
transit_key = "transit/crm"
"""
URI = 'registration_client_uri = "https://sso.example/register/crm"\n'
TOKEN = 'registration_access_token = {vault = "secret/reg/crm#token"}\n'
REGISTERED = BASE + URI + TOKEN
HALO = """
[credentials.office]
target = "desk"
kind = "halo-assertion-key"
path = "apps/office"
client_id = "office"
transit_key = "transit/crm"
"""


def loaded(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "rotator.toml"
    path.write_text(text)
    return load(path)


def crm(tmp_path: Path, text: str) -> Credential:
    found: Credential = loaded(tmp_path, text).credentials["crm"]
    return found


def test_a_key_pair_never_expires_and_consumers_have_an_hour_to_read_the_new_one(tmp_path: Path) -> None:
    found = crm(tmp_path, SOUND)
    assert (found.key, found.lifetime) == ("private_key", None)
    assert found.retire.after == timedelta(hours=1)
    assert found.limits.spread == timedelta(hours=1)
    assert found.limits.settle == timedelta(seconds=10)  # a lost mint is not waited for that long


def test_long_assertions_lengthen_the_grace_by_themselves(tmp_path: Path) -> None:
    assert crm(tmp_path, SOUND + 'assertion_life = "3h"\n').retire.after == timedelta(hours=3)


def test_what_is_published_of_a_key_in_transit_is_its_public_half_unless_settings_say_otherwise(tmp_path: Path) -> None:
    assert crm(tmp_path, SOUND + TRANSIT).key == "public_key"
    assert crm(tmp_path, SOUND + TRANSIT + 'key = "version"\n').key == "version"
    assert loaded(tmp_path, SOUND + HALO).credentials["office"].key == "public_key"


def test_moving_to_transit_and_to_another_key_there_rotates(tmp_path: Path) -> None:
    policies = {crm(tmp_path, SOUND + more).policy for more in ("", TRANSIT, TRANSIT.replace("crm", "new"))}
    assert len(policies) == 3
    office = [SOUND + HALO.replace(TRANSIT, more) for more in ("", TRANSIT, TRANSIT.replace("crm", "new"))]
    assert len({loaded(tmp_path, each).credentials["office"].policy for each in office}) == 3


def test_where_the_set_is_and_how_it_is_proven_rotates_nothing(tmp_path: Path) -> None:
    moved = SOUND + 'jwks_file = "/srv/jwks.json"\njwks_cache = "5m"\nprobe = "/me"\nassertion_life = "1m"\n'
    assert crm(tmp_path, moved).policy == crm(tmp_path, SOUND).policy
    assert crm(tmp_path, SOUND + "bits = 4096\n").policy != crm(tmp_path, SOUND).policy


def test_a_server_that_has_the_keys_by_registration_alone_is_not_waited_for(tmp_path: Path) -> None:
    assert crm(tmp_path, REGISTERED).limits.spread == timedelta()
    assert crm(tmp_path, REGISTERED + 'jwks_cache = "5m"\n').limits.spread == timedelta(minutes=5)
    assert crm(tmp_path, REGISTERED + 'jwks = "secret/public/crm"\n').limits.spread == timedelta(hours=1)
    assert crm(tmp_path, REGISTERED).policy == crm(tmp_path, SOUND).policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BASE, "jwks_file, jwks or registration_client_uri is missing"),
        (SOUND + 'assertion_life = "30m"\nretire = {after = "10m"}\n', "10m is too short"),
        (SOUND + 'assertion_life = "30m"\nretire = {after = "10m"}\n', "lives for 30m"),
        (SOUND + 'jwks_cache = "25h"\n', "jwks_cache is from 0s to 24h"),
        (SOUND + 'jwks_cache = "12h"\nevery = "1d"\njitter = 0.0\n', "1d pass in the target's cache"),
        (SOUND + 'signing_key = {file = "/k"}\n', "the key pair is made"),
        (
            SOUND + 'client_secret = {file = "/s"}\nauth_method = "client_secret_basic"\n',
            "the key that is made is the proof",
        ),
        (SOUND + 'transit_key = "crm"\n', "a mount and a name"),
        (SOUND + 'transit_key = "transit/crm"\nbits = 2500\n', "bits is one of 2048, 3072, 4096"),
        (SOUND + TRANSIT + OTHER, "Transit key transit/crm is already rotated by credentials.crm"),
        (SOUND + TRANSIT + HALO, "Transit key transit/crm is already rotated by credentials.crm"),
        (SOUND + HALO + "bits = 2500\n", "bits is one of 2048, 3072, 4096"),
        (SOUND + 'kid = "crm-1"\n', "a name of its own"),
        (SOUND + "bits = 1024\n", "bits is from 2048"),
        (SOUND + 'assertion_life = "0s"\n', "assertion_life"),
        (BASE + 'jwks = "crm"\n', "a mount and a path"),
        (BASE + 'jwks_file = "jwks.json"\n', "absolute path"),
        (SOUND + "fraction = 0.5\n", "never comes"),
        (BASE + URI, "registration_client_uri and registration_access_token go together"),
        (SOUND + TOKEN, "registration_client_uri and registration_access_token go together"),
        (BASE + URI + 'registration_access_token = {file = "/k"}\n', "registration_access_token is kept in Vault"),
        (BASE + TOKEN + 'registration_client_uri = "sso"\n', "registration_client_uri must start with https://"),
        (
            REGISTERED.replace("https://sso", "http://sso"),
            "`registration_client_uri`: plain http",
        ),
        (REGISTERED + OTHER + URI.replace("/crm", "/shop") + TOKEN, "the registration access token in secret/reg/crm"),
        (
            REGISTERED + OTHER + URI + TOKEN.replace("/crm", "/shop"),
            "the registration https://sso.example/register/crm",
        ),
        (SOUND + '[status]\nlisten = "127.0.0.1:9"\njwks_listen = "127.0.0.1:9"\n', "one of their own"),
    ],
)
def test_what_cannot_hold_is_refused_with_its_numbers(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(tmp_path, text)
    told = [f"{each.key} {each.text}" for each in refusal.value.faults]
    assert any(words in each for each in told), told


def test_public_keys_may_be_shown_to_other_hosts_without_showing_anything_else(tmp_path: Path) -> None:
    status = loaded(tmp_path, SOUND + '[status]\njwks_listen = "0.0.0.0:8081"\n').status
    assert (status.listen, status.jwks_listen) == (None, Listen("0.0.0.0", 8081))
