"""The shipped example of a provider keeps every promise, on the Acme that it imagines."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from rotator.providers.base import TargetConfig
from rotator.providers.http.auth import Auth, Bearer
from rotator.rotation.credential import Credential, Limits, VaultPath
from rotator.rotation.secret import Secret
from rotator.testing.kit import Kit
from tests.architecture.source import HOUSE
from tests.kit.clock import HandClock
from tests.sandbox.http import Server
from tests.sandbox.messages import Request, Response
from tests.unit.providers.desk import Keys
from tests.unit.testing.stages import broken, verdicts

pytestmark = pytest.mark.anyio
MINTER = "canary-acme-minter-11c4"


class Acme:
    """The site that the example imagines, for the sandbox server: tokens by label, ended for good."""

    def __init__(self) -> None:
        self.tokens: dict[str, tuple[str, str]] = {}  # id: label and value
        self._numbers = count(1)

    def stand_in(self, request: Request, status: int, retry_after: str | int | None) -> Response:
        return Response.document({}, status)

    def answer(self, request: Request) -> Response:
        value = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.path == "/me":
            mine = [{"id": number} for number, (_, held) in self.tokens.items() if held == value]
            return Response.document(mine[0]) if mine else Response.document({}, 401)
        if value != MINTER:
            return Response.document({}, 401)
        number = request.path.removeprefix("/tokens/")
        if request.path != "/tokens":
            return self._one(request.method, number)
        if request.method == "POST":
            return self._mint(json.loads(request.body)["label"])
        rows = [{"id": number, "label": label} for number, (label, _) in self.tokens.items()]
        return Response.document(rows)

    def _one(self, method: str, number: str) -> Response:
        found = self.tokens.pop(number, None) if method == "DELETE" else self.tokens.get(number)
        return Response.document({"id": number}) if found else Response.document({}, 404)

    def _mint(self, label: str) -> Response:
        number = next(self._numbers)
        self.tokens[f"t{number}"] = (label, f"canary-acme-{number}-9f20")
        return Response.document({"id": f"t{number}", "secret": f"canary-acme-{number}-9f20"}, 201)


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
