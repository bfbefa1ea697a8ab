"""Settings of kinds whose values end by expiry: their defaults, and the arithmetic that is refused with its numbers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.rotation.credential import Credential
from rotator.settings import SettingsError, load

BASE = """
[vault]
address = "http://127.0.0.1:8200"
[vault.auth]
method = "token"
token = {file = "/run/vault-token"}
[targets.desk]
kind = "oauth"
url = "https://desk.example"
max_age = "60s"
[credentials.crm]
target = "desk"
path = "apps/crm"
client_id = "crm"
signing_key = {file = "/run/key"}
"""
ASSERTION = BASE + 'kind = "client-assertion"\nlifetime = "60s"\nfraction = 0.6\n'
TOKEN = BASE + 'kind = "oauth-token"\nfraction = 0.66\n'


def loaded(tmp_path: Path, text: str) -> Credential:
    path = tmp_path / "rotator.toml"
    path.write_text(text)
    return load(path).credentials["crm"]


@pytest.mark.parametrize(("text", "key"), [(ASSERTION, "client_assertion"), (TOKEN, "access_token")])
def test_the_defaults_are_the_kinds_own_and_no_minter_is_asked_for(tmp_path: Path, text: str, key: str) -> None:
    crm = loaded(tmp_path, text)
    assert crm.key == key
    assert crm.retire.after == timedelta(0)


def test_the_mint_budget_counts_over_three_rotations(tmp_path: Path) -> None:
    assert loaded(tmp_path, ASSERTION + "jitter = 0.0\n").limits.day == 3 * timedelta(seconds=36)


def test_a_proof_is_made_again_when_a_tenth_of_the_life_is_over(tmp_path: Path) -> None:
    assert loaded(tmp_path, ASSERTION).limits.proof_life == timedelta(seconds=6)
    assert loaded(tmp_path, TOKEN).limits.proof_life == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ASSERTION.replace('"60s"\nfraction', '"61s"\nfraction'), "max_age of 60s"),
        (ASSERTION.replace('"60s"\nfraction', '"none"\nfraction'), "always expires"),
        (ASSERTION.replace("0.6", "0.7"), "together 63s"),
        (ASSERTION + 'rest = "30s"\n', "a rest of 30s is promised"),
        (ASSERTION + 'retire = {after = "1h"}\n', "ends at its own expiry"),
        (TOKEN + 'lifetime = "none"\n', "every access token expires"),
        (BASE + "fraction = 0.6\n", "`kind` is missing"),
        (ASSERTION.replace("signing_key", "#"), "signing_key or transit_key is missing"),
        (ASSERTION + 'algorithm = "HS256"\n', "algorithm"),
    ],
)
def test_what_cannot_hold_is_refused_with_its_numbers(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(tmp_path, text)
    faults: Any = refusal.value.faults
    assert any(words in f"{each.key} {each.text}" for each in faults), [each.text for each in faults]


def test_a_grace_for_what_ends_by_its_date_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        loaded(tmp_path, ASSERTION + 'retire = {after = "1h"}\n')
    [fault] = refusal.value.faults
    assert "ends at its own expiry" in fault.text
