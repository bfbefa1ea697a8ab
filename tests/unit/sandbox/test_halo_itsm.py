"""The sandbox HaloITSM judges as two real servers were measured to, and each rule is a switch.

Measured on Keycloak 26.4.0 and node oidc-provider 9.13.3, client credentials, PS256. Halo's own rules are unpublished.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.itsm.applications import Application
from tests.unit.providers.keys import ec_key, public_pem, rsa_key

SECRET = "canary-itsm-secret-1"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OK = (200, None)


@dataclass
class Desk:
    itsm: HaloItsm
    crm: Application
    client: httpx.AsyncClient
    clock: HandClock

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        own = {"iss": self.crm.client_id, "sub": self.crm.client_id, "aud": f"{self.itsm.url}/auth/token"}
        wanted = {**own, "jti": os.urandom(8).hex(), "iat": now, "exp": now + 60, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    def sign(self, alg: str = "PS256", kid: str | None = "kid-1", key: Any = None, **changes: Any) -> str:
        return jwt.encode(self.claims(**changes), key or rsa_key(), algorithm=alg, headers={"kid": kid} if kid else {})

    async def ask(self, assertion: str | None, tenant: str = "acme", **form: Any) -> tuple[int, str | None]:
        response = await self.post(assertion, tenant, **form)
        return response.status_code, response.json().get("error")

    async def post(self, assertion: str | None, tenant: str = "acme", **form: Any) -> httpx.Response:
        fields = {"grant_type": "client_credentials", "client_id": self.crm.client_id, "client_secret": SECRET}
        fields |= {"scope": "all", "client_assertion": assertion, "client_assertion_type": TYPE, **form}
        sent = {name: value for name, value in fields.items() if value is not None}
        return await self.client.post(f"/auth/token?tenant={tenant}", data=sent)

    async def get(self, path: str, token: str) -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    async def token(self, **form: Any) -> str:
        return str((await self.post(self.sign(), **form)).json()["access_token"])


@asynccontextmanager
async def running(preset: str, **model: Any) -> AsyncIterator[Desk]:
    clock = HandClock()
    itsm = HaloItsm(preset, clock=clock.now, tenant="acme", **model)
    async with itsm.running(), httpx.AsyncClient(base_url=itsm.url, trust_env=False) as client:
        crm = itsm.model.add_application("crm", secret=Secret(SECRET), public_key=public_pem(rsa_key()), kid="kid-1")
        yield Desk(itsm, crm, client, clock)


BAD = {"keycloak": (400, "invalid_client"), "oidc-provider": (401, "invalid_client")}
NOBODY = (401, "invalid_client")
# what is sent, then what Keycloak and oidc-provider answered
MEASURED: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("plain", {}, OK, OK),
    ("audience issuer", {"aud": "{url}"}, OK, OK),
    ("audience list", {"aud": ["{url}", "{url}/auth/token"]}, "bad", OK),
    ("audience other", {"aud": "https://elsewhere.example"}, "bad", "bad"),
    ("life of a day", {"exp": 86400}, OK, OK),
    ("issued 5 min ago", {"iat": -300}, "bad", OK),
    ("30 s in the future", {"iat": 30, "nbf": 30}, "bad", "bad"),
    ("expired 5 s ago", {"iat": -30, "exp": -5}, "bad", OK),
    ("expired 20 s ago", {"iat": -50, "exp": -20}, "bad", "bad"),
    ("no jti", {"jti": None}, "bad", "bad"),
    ("no exp", {"exp": None}, "bad", "bad"),
    ("no iat", {"iat": None, "exp": 300}, "bad", OK),
    ("no iss", {"iss": None}, NOBODY, NOBODY),
    ("no kid", {"kid": None}, OK, OK),
    ("unknown kid", {"kid": "other"}, "bad", "bad"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider"])
@pytest.mark.parametrize(("what", "changes", "keycloak", "other"), MEASURED, ids=[row[0] for row in MEASURED])
async def test_it_judges_as_the_real_server_did(
    preset: str, what: str, changes: dict[str, Any], keycloak: Any, other: Any
) -> None:
    async with running(preset) as desk:
        now = int(desk.clock.now().timestamp())
        shifted = {k: now + v if k in ("iat", "exp", "nbf") and v is not None else v for k, v in changes.items()}
        filled = json.loads(json.dumps(shifted).replace("{url}", desk.itsm.url))
        expected = keycloak if preset == "keycloak" else other
        assert await desk.ask(desk.sign(**filled)) == (BAD[preset] if expected == "bad" else expected)


@pytest.mark.anyio
@pytest.mark.parametrize("preset", ["keycloak", "oidc-provider"])
async def test_an_assertion_is_taken_once_and_another_algorithm_or_key_never(preset: str) -> None:
    async with running(preset) as desk:
        once = desk.sign()
        assert await desk.ask(once) == OK
        assert await desk.ask(once) == BAD[preset]
        assert await desk.ask(desk.sign(key=rsa_key(2048, 1))) == BAD[preset]
        desk.itsm.model.change(algorithms=("PS256",))
        assert await desk.ask(desk.sign(alg="RS256")) == BAD[preset]


@pytest.mark.anyio
async def test_another_client_in_the_form_and_an_unknown_scope_are_told_apart() -> None:
    async with running("keycloak") as desk:
        assert await desk.ask(desk.sign(), client_id="other") == (401, "invalid_client")
        assert await desk.ask(desk.sign(), scope="read:users") == (400, "invalid_scope")
    async with running("oidc-provider") as desk:
        assert await desk.ask(desk.sign(), client_id="other") == (400, "invalid_request")
        answer = await desk.post(desk.sign(), scope="read:users")
        assert answer.status_code == 200
        assert "scope" not in answer.json()
        some = await desk.post(desk.sign(), scope="all read:users")
        assert (some.status_code, some.json()["scope"]) == (200, "all")


@pytest.mark.anyio
async def test_every_rule_can_be_switched_off() -> None:
    off = {"single_use": False, "max_age": None, "audiences": (), "needs_jti": False, "several_audiences": True}
    async with running("keycloak") as desk:
        desk.itsm.model.change(**off)
        old = desk.sign(jti=None, aud=["a", "b"], iat=int(desk.clock.now().timestamp()) - 300)
        assert [await desk.ask(old) for _ in range(2)] == [OK, OK]


@pytest.mark.anyio
async def test_halo_wants_secret_and_assertion_together() -> None:
    async with running("halo") as desk:
        assert await desk.ask(desk.sign()) == OK
        assert await desk.ask(desk.sign(), client_secret=None) == (401, "invalid_client")
        assert await desk.ask(None, client_assertion_type=None) == (401, "invalid_client")
        assert await desk.ask(desk.sign(), client_secret="wrong") == (401, "invalid_client")
        assert await desk.ask(desk.sign(), client_assertion_type=None) == (401, "invalid_client")


@pytest.mark.anyio
async def test_a_wrong_tenant_is_a_500_and_authinfo_tells_the_right_one() -> None:
    async with running("halo") as desk:
        assert (await desk.post(desk.sign(), tenant="other")).status_code == 500
        assert (await desk.client.get("/api/AuthInfo")).json() == {
            "auth_url": f"{desk.itsm.url}/auth",
            "tenant_id": "acme",
        }


@pytest.mark.anyio
async def test_a_token_without_scope_is_issued_and_opens_nothing() -> None:
    async with running("halo") as desk:
        assert (await desk.get("/api/Agent/me", await desk.token(scope=None))).status_code == 401
        assert (await desk.get("/api/Agent/me", await desk.token())).json()["name"] == "crm"
        assert (await desk.get("/api/Agent/me", "canary-junk")).status_code == 401
        kb = await desk.token(scope="read:kb")
        assert (await desk.get("/api/Tickets", kb)).status_code == 403
        desk.clock.move(3600)
        assert (await desk.get("/api/Agent/me", kb)).status_code == 401


@pytest.mark.anyio
async def test_an_agent_login_tells_the_agent_and_a_machine_identity_may_be_none() -> None:
    async with running("halo") as desk:
        token = await desk.token()
        desk.itsm.model.lone_me = 404
        assert (await desk.get("/api/Agent/me", token)).status_code == 404
        desk.crm.agent = desk.itsm.model.add_agent("Robo")
        assert (await desk.get("/api/Agent/me", token)).json() == {"id": 1, "name": "Robo", "isagent": True}


@pytest.mark.anyio
async def test_two_key_slots_overlap_and_expire_and_are_shown_by_their_dates_only() -> None:
    async with running("halo") as desk:
        bearer = {"Authorization": f"Bearer {await desk.token()}"}
        number = desk.crm.id
        for key in ("new_apikey1", "new_apikey2"):
            answer = await desk.client.post(
                "/api/Application", json=[{"id": number, key: f"canary-{key}"}], headers=bearer
            )
            assert answer.status_code == 201
            assert "canary" not in answer.text
        for key in ("new_apikey1", "new_apikey2"):
            assert (await desk.client.get("/api/Status", headers={"x-api-key": f"canary-{key}"})).status_code == 200
        shown = (await desk.client.get(f"/api/Application/{number}", headers=bearer)).json()
        assert shown["apikey1_last_use_date"]
        assert SECRET not in json.dumps(shown)
        await desk.client.post("/api/Application", json=[{"id": number, "new_apikey1": "canary-third"}], headers=bearer)
        assert (await desk.client.get("/api/Status", headers={"x-api-key": "canary-new_apikey1"})).status_code == 401
        desk.clock.move(90 * 86400)
        assert (await desk.client.get("/api/Status", headers={"x-api-key": "canary-new_apikey2"})).status_code == 401


@pytest.mark.anyio
async def test_a_changed_secret_ends_the_old_one_at_once_and_a_careless_post_may_drop_the_roles() -> None:
    async with running("halo") as desk:
        bearer = {"Authorization": f"Bearer {await desk.token()}"}
        new = [{"id": desk.crm.id, "clientSecret": "canary-new-secret"}]
        desk.itsm.model.keeps_unsent = False
        assert (await desk.client.post("/api/Application", json=new, headers=bearer)).status_code == 201
        assert await desk.ask(desk.sign()) == (401, "invalid_client")
        assert await desk.ask(desk.sign(), client_secret="canary-new-secret", scope=None) == OK
        assert desk.crm.roles == ()
        assert (await desk.client.get("/api/Application", headers=bearer)).status_code == 403


@pytest.mark.anyio
@pytest.mark.parametrize("tells", [True, False])
async def test_the_rate_limit_rolls_and_may_tell_when_to_come_back(tells: bool) -> None:
    async with running("halo", calls=2, period=300.0) as desk:
        desk.itsm.model.throttle.tells = tells
        answers = [await desk.client.get("/api/authinfo") for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[2].headers.get("retry-after") == ("301" if tells else None)
        desk.clock.move(300)
        assert (await desk.client.get("/api/authinfo")).status_code == 200


@pytest.mark.anyio
async def test_the_fault_panel_is_the_same_as_everywhere() -> None:
    async with running("halo") as desk:
        rule = {"kind": "status", "status": 503, "retry_after": 9, "path": "/auth/token"}
        assert (await desk.client.post("/_sandbox/faults", json=rule)).status_code == 201
        answer = await desk.post(desk.sign())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "9")
        assert await desk.ask(desk.sign()) == OK


@pytest.mark.system
def test_a_process_says_where_it_listens_and_who_its_clients_are(tmp_path: Path) -> None:
    seed_file = tmp_path / "seed.json"
    seed_file.write_text(json.dumps({"applications": [{"name": "crm", "secret": SECRET}]}))
    arguments = [sys.executable, "-m", "tests.sandbox.halo_itsm", "--tenant", "acme", "--seed-file", str(seed_file)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        form = {"grant_type": "client_credentials", "client_id": ready["clients"]["crm"], "client_secret": SECRET}
        answer = httpx.post(f"{ready['url']}/auth/token?tenant=acme", data=form, trust_env=False)
        os.kill(ready["pid"], signal.SIGTERM)
        assert process.wait(10) == 0
        assert SECRET not in process.stdout.read() + process.stderr.read()
    assert answer.json()["expires_in"] == 3600


async def administer(desk: Desk) -> dict[str, str]:
    return {"Authorization": f"Bearer {await desk.token()}"}


@pytest.mark.anyio
async def test_an_update_over_an_old_version_is_a_conflict_unless_the_switch_is_off() -> None:
    async with running("halo") as desk:
        bearer, number = await administer(desk), desk.crm.id
        shown = (await desk.client.get(f"/api/Application/{number}", headers=bearer)).json()
        update = [{"id": number, "concurrencyToken": shown["concurrencyToken"], "displayName": "other"}]
        assert (await desk.client.post("/api/Application", json=update, headers=bearer)).status_code == 201
        assert (await desk.client.post("/api/Application", json=update, headers=bearer)).status_code == 409
        desk.itsm.model.keeps_versions = False
        assert (await desk.client.post("/api/Application", json=update, headers=bearer)).status_code == 201


@pytest.mark.anyio
async def test_an_api_key_goes_in_one_header_or_the_other_and_an_inactive_application_has_none() -> None:
    async with running("halo") as desk:
        key = "canary-api-key-header"
        desk.crm.slots[0].put(key, desk.clock.now(), 90)
        as_bearer, alone = {"Authorization": f"Bearer {key}"}, {"x-api-key": key}
        assert (await desk.client.get("/api/Status", headers=as_bearer)).status_code == 200
        desk.itsm.model.key_header = "x-api-key"
        assert (await desk.client.get("/api/Status", headers=as_bearer)).status_code == 401
        assert (await desk.client.get("/api/Status", headers=alone)).status_code == 200
        desk.crm.inactive = True
        assert (await desk.client.get("/api/Status", headers=alone)).status_code == 401
        assert not desk.itsm.model.accepts_key(Secret(key))


@pytest.mark.anyio
async def test_asking_whether_a_key_is_taken_is_no_use_of_it() -> None:
    async with running("halo") as desk:
        key = "canary-api-key-unused"
        desk.crm.slots[1].put(key, desk.clock.now(), 90)
        assert desk.itsm.model.accepts_key(Secret(key))
        assert desk.crm.slots[1].last_used is None


@pytest.mark.anyio
async def test_an_assertion_by_a_key_of_another_sort_is_refused_like_any_other() -> None:
    async with running("halo") as desk:
        desk.itsm.model.change(algorithms=("PS256", "ES256"))
        assert await desk.ask(desk.sign("ES256", None, ec_key())) == (401, "invalid_client")
