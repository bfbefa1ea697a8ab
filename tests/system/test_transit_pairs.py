"""Key pairs made in Vault Transit, by a daemon with just the printed policy: nobody ever has a private key, and a
daemon that is killed, or hears no answer, makes no version in vain."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rotator.app.vault_policy import policy
from rotator.rotation.secret import Secret
from rotator.settings import load
from tests.sandbox.environment import World
from tests.sandbox.itsm_process import TENANT, Desk
from tests.sandbox.openbao import OpenBaoError
from tests.system.daemon import Daemon, until
from tests.system.proxy import Call, Loss, Proxy, Side
from tests.system.quick import quick

pytestmark = pytest.mark.system

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SET, SLOT = "in-a-set", "in-an-application"
SETTLED = 90.0  # seconds; most of them a lease that has to lapse


class Office:
    """A world with a desk, a Transit engine, and consumers that may sign there and nothing else."""

    def __init__(self, world: World, desk: Desk) -> None:
        self.world, self.desk = world, desk
        call = world.bao.call
        call("POST", "sys/mounts/transit", {"type": "transit"})
        for name in (SET, SLOT):
            call("POST", f"transit/keys/{name}", {"type": "rsa-2048"})
        common: dict[str, Any] = {"target": "desk", "algorithm": "PS256", "bits": 2048, "retire": {"after": "1s"}}
        joins = {"jwks_file": str(desk.jwks("crm-keys")), "jwks_cache": "2s", "assertion_life": "1s"}
        world.credentials = {
            SET: {**desk.client("crm-keys"), **joins, **common, "kind": "assertion-key"},
            SLOT: {**desk.client("crm-pair"), **common, "kind": "halo-assertion-key"},
        }
        del world.credentials[SLOT]["retire"]  # the new key ends the old one
        world.credentials[SLOT]["application"] = desk.numbers["crm-pair"]
        for name, each in world.credentials.items():
            each |= {"path": f"apps/{name}", "transit_key": f"transit/{name}"}
        rule = 'path "transit/sign/+/sha2-256" { capabilities = ["update"] }'
        role = world.bao.approle("consumers", rule)
        login = {"role_id": role.role_id, "secret_id": role.secret_id}
        self.consumers = Secret(call("POST", "auth/approle/login", login)["auth"]["client_token"])

    def settings(self, vault: str = "") -> Path:
        """Settings, and the daemon's policy for just them."""
        path = quick(self.world, vault=vault, desk={"settle": "1s", "timeout": "2s", "deadline": "4s"})
        path.write_text(path.read_text().replace('lifetime = "30d"\n', ""))  # these never expire
        self.world.bao.call("PUT", "sys/policies/acl/rotator", {"policy": policy(load(path))})
        return path

    def read(self, path: str) -> dict[str, Any]:
        """A document, or nothing where there is none yet."""
        try:
            return dict(self.world.bao.call("GET", f"secret/data/{path}")["data"]["data"])
        except OpenBaoError:
            return {}

    def settled(self, name: str, rotation: int) -> dict[str, Any]:
        """What is published once this rotation is over, and its predecessor dead."""

        def over() -> bool:
            record = self.read(f"rotator/journal/{name}")
            phase, number = record.get("phase"), int(record.get("rotation", 0))
            assert phase != "held", record
            return phase == "settled" and number >= rotation and not record.get("predecessor")

        until(f"{name} settled at {rotation}", over, SETTLED, 0.2)
        return self.read(f"apps/{name}")

    def newest(self, name: str) -> int:
        """The number of versions that were ever made."""
        return int(self.world.bao.call("GET", f"transit/keys/{name}")["data"]["latest_version"])

    def status(self, published: dict[str, Any]) -> int:
        """What a consumer gets at the token endpoint, who lets Transit sign as it was told to."""
        now = int(time.time())
        header = {"alg": published["algorithm"], "kid": published["kid"]}
        claims = {"iss": published["iss"], "sub": published["client_id"], "aud": published["aud"]}
        claims |= {"iat": now, "exp": now + 30, "jti": secrets.token_hex(8)}
        message = ".".join(_base64(json.dumps(each).encode()) for each in (header, claims))
        name = published["transit_key"].partition("/")[2]
        wish = {
            "input": base64.b64encode(message.encode()).decode(),
            "key_version": int(published["key_version"]),
            "signature_algorithm": "pss",
            "salt_length": "hash",
            "marshaling_algorithm": "jws",
        }
        answer = self.world.bao.call("POST", f"transit/sign/{name}/sha2-256", wish, token=self.consumers)
        signature = answer["data"]["signature"].rpartition(":")[2]
        client = next(each for each, number in self.desk.clients.items() if number == published["client_id"])
        form = {"grant_type": "client_credentials", "client_id": published["client_id"], "scope": "all"}
        form |= {"client_secret": self.desk.secrets[client].reveal(), "client_assertion_type": BEARER}
        return self.desk._post(f"/auth/token?tenant={TENANT}", {**form, "client_assertion": f"{message}.{signature}"})

    def documents(self, folder: str = "") -> Iterator[str]:
        """Every version of every document of the KV engine, as text."""
        for name in self.world.bao.call("LIST", f"secret/metadata/{folder}")["data"]["keys"]:
            if name.endswith("/"):
                yield from self.documents(folder + name)
                continue
            for number in self.world.bao.call("GET", f"secret/metadata/{folder}{name}")["data"]["versions"]:
                try:
                    yield json.dumps(self.world.bao.call("GET", f"secret/data/{folder}{name}?version={number}"))
                except OpenBaoError:  # destroyed
                    continue


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with World(applications=("crm-keys", "crm-pair")) as world:
        assert world.desk
        yield Office(world, world.desk)


def test_two_rotations_and_no_private_key_anywhere(office: Office) -> None:
    path = office.settings()
    with Daemon(path).ready() as daemon:
        first = {name: office.settled(name, 1) for name in (SET, SLOT)}
        assert [each["key_version"] for each in first.values()] == ["1", "1"]
        assert [office.status(each) for each in first.values()] == [200, 200]
        daemon.ask(SET, SLOT)
        second = {name: office.settled(name, 2) for name in (SET, SLOT)}
        assert [each["key_version"] for each in second.values()] == ["2", "2"]
        assert [office.status(each) for each in second.values()] == [200, 200]
        assert all(office.status(each) in (400, 401) for each in first.values())
        assert all(first[name]["kid"] != second[name]["kid"] for name in first)
        assert all("-----BEGIN PUBLIC KEY-----" in each["public_key"] for each in second.values())
        log = daemon.log.read_text()
        assert second[SET]["kid"] in log  # a token's id is no secret, and not blotted out as one
        assert "[redacted]" not in log
    kept = list(office.documents())
    assert len(kept) > 10
    assert not [each for each in kept if "PRIVATE KEY" in each]
    ended = [json.dumps(line) for line in daemon.lines() if " is dead, " in json.dumps(line)]
    assert len(ended) == 2
    assert all("its value is refused" in line for line in ended)


def _rotate(name: str) -> str:
    return f"/v1/transit/keys/{name}/rotate"


def _stage(name: str) -> str:
    return f"/v1/secret/data/rotator/staged/{name}"


@pytest.mark.parametrize(
    ("name", "where", "side", "kill"),
    [
        pytest.param(SET, _rotate, Side.AFTER, False, id="no answer, in a set"),
        pytest.param(SLOT, _rotate, Side.AFTER, False, id="no answer, in an application"),
        pytest.param(SLOT, _rotate, Side.BEFORE, False, id="never sent"),
        pytest.param(SET, _rotate, Side.AFTER, True, id="killed after it was made"),
        pytest.param(SLOT, _stage, Side.BEFORE, True, id="killed before it was staged"),
    ],
)
def test_no_version_is_made_in_vain(office: Office, name: str, where: Any, side: Side, kill: bool) -> None:
    lost: list[Call] = []
    daemons: list[Daemon] = []

    def judge(call: Call) -> Loss | None:
        if lost or call.method not in ("POST", "PUT") or call.path != where(name):
            return None
        lost.append(call)
        return Loss(side, daemons[0].kill if kill else lambda: None)

    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy("vault", office.world.bao.address))
        path = office.settings(proxy.url)
        daemons.append(stack.enter_context(Daemon(path).ready()))
        before = office.settled(name, 1)
        rotation = int(office.read(f"rotator/journal/{name}")["rotation"])
        versions = office.newest(name)
        proxy.judge = judge
        daemons[0].ask(name, within=8.0 if kill else 60.0)
        if kill:
            daemons[0].wait()
            daemons.append(stack.enter_context(Daemon(path).ready()))
        after = office.settled(name, rotation + 1)
        assert lost
        assert office.newest(name) == versions + 1
        assert int(after["key_version"]) == versions + 1
        assert office.status(after) == 200
        assert office.status(before) in (400, 401)
