"""`rotate check` looks whether hooks could be called: programs, addresses, secrets; it calls nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rotator.observe.hooks import check_hooks
from rotator.ports import Refused
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings import Hook, HookMoment, Ping
from tests.unit.observe.hooks.test_counted import SETTINGS
from tests.unit.vault.worlds import canary

pytestmark = pytest.mark.anyio
KEPT = {"/good": canary("fitness"), "/short": Secret("tiny-value"), "/url": Secret("https://ping.test/uuid")}


async def fetch(ref: SecretRef) -> Secret:
    if ref.name not in KEPT:
        raise Refused(f"{ref} cannot be read")
    return KEPT[ref.name]


def secret(name: str) -> SecretRef:
    return SecretRef(SecretSource.FILE, name)


def call(name: str, where: str) -> Hook:
    return Hook(name, (HookMoment.HELD,), url="https://hooks.test", secret=secret(where))


async def test_each_hook_and_the_ping_is_looked_at(tmp_path: Path) -> None:
    plain = tmp_path / "not-a-program"
    plain.write_text("")
    plain.chmod(0o600)
    hooks = [
        Hook("runs", (HookMoment.HELD,), ("/bin/true",)),
        Hook("absent", (HookMoment.HELD,), ("/no/such",)),
        Hook("plain", (HookMoment.HELD,), (str(plain),)),
        call("signs", "/good"),
        call("weak", "/short"),
        call("lost", "/gone"),
    ]
    settings = replace(SETTINGS, hooks={each.name: each for each in hooks}, ping=Ping(secret("/url")))
    found = {subject: reason async for subject, reason in check_hooks(settings, fetch)}
    assert found == {
        "hook runs": "",
        "hook absent": "/no/such is no file here",
        "hook plain": f"{plain} may not be executed by us",
        "hook signs": "",
        "hook weak": "the signing secret is shorter than 24 bytes; make one with: openssl rand -base64 32",
        "hook lost": "file:/gone cannot be read",
        "ping": "",
    }


async def test_a_ping_whose_address_cannot_be_had_is_said() -> None:
    settings = replace(SETTINGS, ping=Ping(secret("/gone")))
    assert [each async for each in check_hooks(settings, fetch)] == [("ping", "file:/gone cannot be read")]
