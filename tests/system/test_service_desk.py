"""A service desk on a real OpenBao, through the whole app: the private key stays in Transit, nothing is used up."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rotator.app.composition import Actor, acting
from rotator.commands.check import check
from rotator.engine.reconciler import Transition
from rotator.observe.observers import Observers
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.settings import load
from rotator.vault.fitness import Finding, FindingLevel
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.openbao import OpenBao

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SECRET = "canary-desk-secret-e1"
_numbers = itertools.count(1)
SETTINGS = """
[vault]
address = "{vault}"
mount = "{mount}"
[vault.auth]
method = "token"
token = {{file = "{folder}/vault-token"}}

[targets.desk]
kind = "oauth"
url = "{desk}"
tenant = "acme"
single_use = true
max_age = "60s"
calls = 1000

[defaults]
target = "desk"
client_id = "{client}"
client_secret = {{file = "{folder}/client-secret"}}
transit_key = "{transit}/crm"
scopes = ["all"]
identity = {{name = "crm"}}
fraction = 0.6

[credentials.assertion]
kind = "client-assertion"
path = "apps/crm/assertion"
lifetime = "60s"

[credentials.access]
kind = "oauth-token"
path = "apps/crm/access"
"""


@asynccontextmanager
async def desk(openbao: OpenBao, mount: str, folder: Path) -> AsyncIterator[tuple[Actor, HaloItsm, list[Transition]]]:
    transit = f"desk-transit-{next(_numbers)}"
    openbao.call("POST", f"sys/mounts/{transit}", {"type": "transit"})
    openbao.call("POST", f"{transit}/keys/crm", {"type": "rsa-2048"})
    pem = openbao.call("GET", f"{transit}/keys/crm")["data"]["keys"]["1"]["public_key"]
    async with HaloItsm("keycloak", tenant="acme", calls=0).running() as itsm:
        client = itsm.model.add_application("crm", secret=Secret(SECRET), public_key=pem).client_id
        for name, value in (("vault-token", openbao.root.reveal()), ("client-secret", SECRET)):
            (folder / name).touch(0o600)
            (folder / name).write_text(value)
        path = folder / "rotator.toml"
        path.write_text(
            SETTINGS.format(
                vault=openbao.address, mount=mount, folder=folder, desk=itsm.url, client=client, transit=transit
            )
        )
        told: list[Transition] = []
        settings = load(path)
        observers = Observers(settings)
        observers.add([told.append])
        async with acting(settings, observers) as app:
            yield app, itsm, told


async def visit(app: Actor, name: str, ask: RotationRequest | None = None) -> None:
    credential = app.settings.credentials[name]
    await app.worker_pool.guard.reconciler.reconcile(credential, app.dependencies(credential), ask)


def published(openbao: OpenBao, mount: str, name: str) -> dict[str, Any]:
    return dict(openbao.call("GET", f"{mount}/data/apps/crm/{name}")["data"]["data"])


async def test_assertions_and_access_tokens_are_rotated_and_what_is_published_is_accepted(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as (app, itsm, told):
        accepted = {"assertion": itsm.model.accepts_assertion, "access": itsm.model.accepts_token}
        for name, key in (("assertion", "client_assertion"), ("access", "access_token")):
            await visit(app, name)
            first = published(openbao, mount, name)
            assert accepted[name](Secret(first[key]))
            await visit(app, name, RotationRequest(app.clock.now(), "ada"))
            second = published(openbao, mount, name)
            assert accepted[name](Secret(second[key]))
            assert first[key] != second[key]
            assert {"client_id", "expires_at", "provider_id", "rotation"} <= set(second)
            journal = openbao.call("GET", f"{mount}/data/rotator/journal/{name}")["data"]["data"]
            assert first[key] not in json.dumps(journal)
            assert journal["ends_at"]
        ends = [transition for transition in told if type(transition.event).__name__ == "LeftToExpire"]
        assert len(ends) == 2


async def test_check_tries_every_verb_that_there_is_and_finds_nothing_amiss(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as (app, _, _):
        rows = [row async for row in check(app.settings)]
        ours = [row for row in rows if row.subject.startswith(("target", "credential"))]
        assert [row for row in ours if row.level is FindingLevel.REFUSAL] == []
        assert any("once" in row.text for row in ours)
        assert not [row for row in rows if "minter" in f"{row.subject} {row.text} {row.remedy}"]


PAIR = """
[credentials.pair]
kind = "assertion-key"
path = "apps/crm/pair"
algorithm = "ES256"
client_id = "{client}"
transit_key = "{transit}/pair"
jwks = "{mount}/jwks/pair"
jwks_cache = "0s"
lifetime = "30d"
identity = {{name = "pair"}}
"""


async def test_check_shows_a_published_key_to_the_server_and_says_when_that_cannot_read_our_set(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path) as (app, itsm, _):
        readable = False

        def served() -> str:
            told = openbao.call("GET", f"{mount}/data/jwks/pair") if readable else {"data": {"data": {"jwks": "{}"}}}
            return str(told["data"]["data"]["jwks"])

        client = itsm.model.add_application("pair", secret=Secret(SECRET), jwks=served).client_id
        path, transit = tmp_path / "rotator.toml", f"desk-transit-pair-{next(_numbers)}"
        openbao.call("POST", f"sys/mounts/{transit}", {"type": "transit"})
        path.write_text(
            path.read_text().replace("calls = 1000", 'calls = 1000\nsettle = "0s"')
            + PAIR.format(client=client, transit=transit, mount=mount)
        )
        await app.reload(load(path))
        itsm.model.change(jwks_cache=0.0)

        def pairs(rows: list[Finding]) -> list[tuple[str, str]]:
            return [(row.level.value, row.text) for row in rows if row.subject == "target desk: published (pair)"]

        assert pairs([row async for row in check(app.settings)]) == [], "nothing is published yet"
        await visit(app, "pair")
        ((level, text),) = pairs([row async for row in check(app.settings)])
        assert level == "warning"
        assert "nothing is published yet, and the latest try failed" in text
        assert "its jwks_uri (there the server must be able to read our set" in text
        readable = True
        await visit(app, "pair", RotationRequest(app.clock.now(), "ada"))
        rows = pairs([row async for row in check(app.settings)])
        assert rows == [("ok", "what consumers read is accepted: identity and rights are as wanted")]
        readable = False
        (refused, _), (warned, cause) = pairs([row async for row in check(app.settings)])
        assert (refused, warned) == ("refusal", "warning")
        assert "jwks_uri" in cause
