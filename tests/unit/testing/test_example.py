"""The shipped example of a provider keeps every promise, on the Acme that it imagines."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.providers.base import TargetConfig
from rotator.providers.http.auth import Auth, Bearer
from rotator.rotation.credential import Credential, Limits, VaultPath
from rotator.rotation.secret import Secret
from rotator.testing.kit import Kit
from tests.architecture.source import HOUSE
from tests.kit.clock import HandClock
from tests.sandbox.http import Server
from tests.unit.providers.desk import Keys
from tests.unit.testing.acme import MINTER, Acme
from tests.unit.testing.stages import broken, verdicts

pytestmark = pytest.mark.anyio


async def minter() -> Auth:
    return Bearer(Secret(MINTER))


async def test_the_example_keeps_every_promise() -> None:
    kind = runpy.run_path(str(HOUSE / "config/examples/provider_example.py"))["KIND"]
    options = kind.options(team="web")
    clock, limits = HandClock(), replace(Limits(), settle=timedelta(0))
    credential = Credential("tool", kind.name, "acme", VaultPath("secret", "tool"), options=options, limits=limits)
    acme = Acme()
    async with Server(acme, 0).running() as url:
        keys = TargetConfig(url=url, calls=10_000)
        kit = Kit(kind, credential, lambda: kind.open_target("acme", keys, minter, Keys(), clock), clock)
        rows = await verdicts(kit)
    assert broken(rows) == {}
    assert acme.tokens == {}
