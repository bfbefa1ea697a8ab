"""A part of the matrix, another one for each seed; the whole is `make campaign-hostile`. And: the matrix can fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from rotator.ports import Transient
from rotator.providers.halo_cms.provider import HaloPat
from rotator.providers.http import client
from rotator.providers.keys.client_certificate import ClientCertificate
from rotator.vault import hvac_adapter, transport
from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.matrix import SITES, Summary, chosen, every, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_the_table_is_as_long_as_promised() -> None:
    assert len(BEHAVIOURS) >= 40
    assert len(every()) == len(BEHAVIOURS) * len(SITES)
    assert {name for _, name in chosen(1)} == set(BEHAVIOURS)
    assert {site for site, _ in chosen(1)} == set(SITES)


def test_a_part_of_the_matrix_ends_in_time_in_truth_and_in_silence() -> None:
    # In a process of its own: memory is weighed, and in this one much is kept that has nothing to do with it.
    command = [sys.executable, "-m", "tests.hostile", "--short", "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


# --- what once broke, each as one cell --------------------------------------------------------------------------------

BROKE = {
    "a Retry-After on no day was a traceback": ("halo-pat inspect", "429, come back on no day"),
    "a Date on no day was a traceback": ("vault approle login", "a wilder date"),
    "a redirect to no address was a traceback": ("halo-pat mint", "sent to a script"),
    "a redirect to no name was a traceback": ("oauth-token mint", "sent to a name that is none"),
    "a life of 400 digits was a traceback": ("vault approle login", "numbers and dates beyond the end"),
    "a renewal of 400 digits ended the daemon": ("vault renew-self", "numbers and dates beyond the end"),
    "a renewal in words ended the daemon": ("vault renew-self", "other types"),
    "an access token for 400 digits of seconds was a traceback": (
        "oauth-token mint",
        "numbers and dates beyond the end",
    ),
    "names that are no list were a traceback": ("vault list", "other types"),
    "folders without end were listed without end": ("journal names", "folders without end"),
    "a bomb was unpacked": ("vault read", "a compression bomb"),
    "a version beyond all numbers was believed": ("vault write", "numbers and dates beyond the end"),
    "an answer without a document was an empty document": ("vault read", "every key twice"),
    "a token that fits no header was taken": ("vault jwt login", "half a character"),
    "any JSON was the end of a destruction": ("vault destroy", "an empty object"),
    "a dripping head held its thread for hours": ("vault read", "a head that drips"),
    "a dripping body held its thread for hours": ("vault write", "a body that drips"),
    "millions of empty lists took a gigabyte": ("halo list_tokens", "ten million lists"),
    "a key made on the last of all days was a traceback": ("halo-api-key mint", "numbers and dates beyond the end"),
    "a gateway's 404 was the end of a living token": ("halo-pat revoke", "a gateway's 404, and no effect"),
    "a gateway's 404 was the end of a record": ("halo-pat delete", "a gateway's 404, and no effect"),
    "an answer without versions was a key without versions": ("transit versions", "an empty object"),
    "half a character was a public key": ("transit versions", "half a character"),
    "a hook sent to no name was a traceback": ("hook and ping", "sent to a name that is none"),
    "a hook left in the handshake stayed open": ("hook and ping", "TLS: a handshake that stalls"),
    "half a character was the public key": ("transit public key", "half a character"),
    "no signature was an empty one": ("transit sign", "an empty object"),
}


def test_nothing_that_once_broke_breaks_again() -> None:
    summary = run(list(BROKE.values()))
    assert not summary.violations, summary.text()


# --- planted weaknesses: each must be seen ----------------------------------------------------------------------------


def found(site: str, behaviour: str) -> str:
    summary: Summary = run([(site, behaviour)], patient=False)
    return "\n".join(summary.violations)


def test_a_thread_that_waits_for_a_drip_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport._Timed, "readinto", lambda self, buffer: self._raw.readinto(buffer))
    assert "stay" in found("vault read", "a body that drips")


def test_an_unpacked_bomb_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpacking(response: Any) -> bytes:
        return bytes(response.raw.read(decode_content=True))

    monkeypatch.setattr(hvac_adapter, "_read", unpacking)
    assert "memory grew" in found("vault read", "a compression bomb")


def test_a_call_without_a_deadline_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = client.HttpClient.__init__

    def init(self: Any, *args: Any, **wishes: Any) -> None:
        patient(self, *args, **wishes)
        self._deadline = SITES["halo-pat inspect"].bound + 1

    monkeypatch.setattr(client.HttpClient, "__init__", init)
    assert "are allowed" in found("halo-pat inspect", "a body that drips")


def test_a_fault_that_quotes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def quoting(self: Any, token: Any, secret: Any) -> Any:
        raise Transient(f"this does not fit: {secret.reveal()}")

    monkeypatch.setattr(HaloPat, "verify", quoting)
    assert "tells a secret" in found("halo-pat verify", "honest")


def test_a_certificate_that_is_told_with_its_key_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientCertificate, "__str__", lambda self: self.key.reveal().splitlines()[1])
    assert "tells a secret" in found("oauth-token mint with a certificate", "TLS: cut off without a word")


def test_a_guess_at_garbage_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def guessing(body: bytes, call: str) -> Any:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            return {
                "metadata": {"name": "x", "annotations": {"security.halo.run/access-token": "pat_x"}},
                "spec": {"tokenId": "t"},
            }

    monkeypatch.setattr(client, "_decode", guessing)
    assert "against the truth" in found("halo-pat mint", "JSON cut off")


def test_a_foreign_exception_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbling(raw: bytes) -> Mapping[str, Any] | None:
        raise RecursionError

    monkeypatch.setattr(hvac_adapter, "_decoded", stumbling)
    assert "RecursionError" in found("vault read", "deep JSON that ends")
