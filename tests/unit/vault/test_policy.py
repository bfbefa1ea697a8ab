"""The shipped policy is enough, and none of it is surplus: real OpenBao, AppRole login, no `default` policy."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rotator.ports import Document, Fault, Lease, StoreRefused
from rotator.rotation.credential import Pause, VaultPath
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.pause import with_pause, without_pause
from rotator.rotation.record import Record
from rotator.rotation.secret import Secret
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.login import approle
from rotator.vault.shared_documents import VaultFleet, VaultRequests, remove_gone
from tests.sandbox.openbao import OpenBao, OpenBaoError
from tests.unit.vault.worlds import canary, session_on

pytestmark = [pytest.mark.anyio, pytest.mark.system]
CONFIG = Path(__file__).parents[3] / "config" / "vault"
POLICY = (CONFIG / "rotator.hcl").read_text()
RULE = re.compile(r'^path "([^"]+)"\s*\{ capabilities = \[([^\]]*)\] \}$', re.MULTILINE)


def rules(text: str) -> list[tuple[str, str]]:
    """Every (path, capability) of a policy."""
    return [(path, word) for path, words in RULE.findall(text) for word in re.findall(r'"(\w+)"', words)]


def policy_text(granted: list[tuple[str, str]], mount: str) -> str:
    """A policy with these capabilities, moved to the test's mount."""
    paths: dict[str, list[str]] = {}
    for path, word in granted:
        paths.setdefault(path.replace("secret/", f"{mount}/", 1), []).append(f'"{word}"')
    return "\n".join(f'path "{path}" {{ capabilities = [{", ".join(words)}] }}' for path, words in paths.items())


def asked_for(kv: Kv, mount: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """What is done for operators."""
    inbox, fleet, now = VaultRequests(kv, mount, "rotator"), VaultFleet(kv, mount, "rotator"), kv.session.clock.now()
    request = OperatorRequest("a", RequestVerb.PAUSE, now, "ada")
    return {
        "write a request down": lambda: inbox.put("blog", request),
        "write it down again": lambda: inbox.put("blog", request),
        "look for requests": inbox.look,
        "read what waits": lambda: kv.read(VaultPath(mount, "rotator/wish/blog/a")),
        "remove a request": lambda: inbox.remove("blog", request),
        "see what is paused": fleet.pauses,
        "pause all": lambda: fleet.change(lambda pauses: with_pause(pauses, Pause("ada", now), {})),
        "resume all": lambda: fleet.change(lambda pauses: without_pause(pauses, {}, now)),
    }


async def operations(kv: Kv, mount: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything the daemon does with Vault, by name, in an order that works on an empty mount."""
    consumer, staged = VaultPath(mount, "apps/blog/halo"), VaultPath(mount, "rotator/staged/blog")
    journal, ask = VaultJournal(kv, mount, "rotator"), kv.session.ask

    async def save() -> object:
        return await journal.save(await journal.load("blog"), Record("7f3a2b"), Lease("me"))

    return {
        "make the installation": journal.meta,
        "begin a journal": save,
        "write a journal": save,
        "read a journal": lambda: journal.load("blog"),
        "list journals": journal.names,
        "fill a staged slot": lambda: kv.write(staged, {"token": canary("p")}, cas=0),
        "fill it again": lambda: kv.write(staged, {"token": canary("p")}, cas=1),
        "read the staged slot": lambda: kv.read(staged),
        "destroy the candidate": lambda: kv.destroy(staged, (1, 2)),
        "publish": lambda: kv.write(consumer, {"token": canary("p")}, cas=0),
        "publish again": lambda: kv.write(consumer, {"token": canary("q")}, cas=1),
        "read the published": lambda: kv.read(consumer, strong=True),
        **asked_for(kv, mount),
        "beat a first time": kv.beat,
        "beat": kv.beat,
        "look for daemons that are gone": lambda: remove_gone(kv),
        "read another's heartbeat": lambda: kv.read(VaultPath(mount, "rotator/node/gone")),
        "remove a daemon that is gone": lambda: kv.forget(VaultPath(mount, "rotator/node/gone")),
        "read the published one's limits": lambda: ask(
            lambda client: client.secrets.kv.v2.read_secret_metadata(consumer.path, mount_point=mount)
        ),
        "read the mount's limits": lambda: ask(lambda client: client.secrets.kv.v2.read_configuration(mount)),
        "list our capabilities": lambda: ask(
            lambda client: client.adapter.post("/v1/sys/capabilities-self", json={"paths": [f"{mount}/data/x"]})
        ),
        "look the token up": lambda: ask(lambda client: client.auth.token.lookup_self()),
        "renew the token": lambda: ask(lambda client: client.auth.token.renew_self()),
        "look the secret-id up": lambda: ask(
            lambda client: client.adapter.post(
                f"/v1/auth/approle/role/role-{mount}/secret-id/lookup", json={"secret_id": "x"}
            )
        ),
        "end the token": lambda: ask(lambda client: client.auth.token.revoke_self(), effect=True),
    }


async def broken_by(openbao: OpenBao, mount: str, policy: str) -> list[str]:
    """The operations that this policy denies."""
    role = openbao.approle(f"role-{mount}", policy)
    session = session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id))
    broken = []
    for name, operation in (await operations(Kv(session), mount)).items():
        try:
            await operation()
        except StoreRefused:
            broken.append(name)
        except Fault:
            pass  # follows from an earlier denial: an empty slot, a version that is not there
    await session.close()
    return broken


def test_the_shipped_file_is_read_completely() -> None:
    assert len(RULE.findall(POLICY)) == POLICY.count('\npath "') == 18
    assert len(rules(POLICY)) == 33


async def test_the_shipped_policy_suffices_for_everything_the_daemon_does(openbao: OpenBao, mount: str) -> None:
    assert await broken_by(openbao, mount, policy_text(rules(POLICY), mount)) == []


@pytest.mark.parametrize("surplus", rules(POLICY), ids=" ".join)
async def test_no_capability_can_be_taken_away(openbao: OpenBao, mount: str, surplus: tuple[str, str]) -> None:
    rest = [rule for rule in rules(POLICY) if rule != surplus]
    assert await broken_by(openbao, mount, policy_text(rest, mount)) != []


class Behind(Kv):
    """A store whose first look is from before anything was written."""

    async def read(self, place: VaultPath, *, version: int | None = None, strong: bool = False) -> Document:
        self.read = super().read  # type: ignore[method-assign]  # the next looks see what there is
        return Document(0)


async def test_who_starts_second_takes_the_installation_that_it_may_not_overwrite(openbao: OpenBao, mount: str) -> None:
    role = openbao.approle(f"second-{mount}", policy_text(rules(POLICY), mount))
    first, second = (
        session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id)) for _ in range(2)
    )
    made = await VaultJournal(Kv(first), mount, "rotator").meta()
    assert await VaultJournal(Behind(second), mount, "rotator").meta() == made
    await first.close()
    await second.close()


async def test_a_policy_that_keeps_the_installation_from_being_made_is_told(openbao: OpenBao, mount: str) -> None:
    policy = policy_text([rule for rule in rules(POLICY) if rule[0] != "secret/data/rotator/meta"], mount)
    policy += f'\npath "{mount}/data/rotator/meta" {{ capabilities = ["read"] }}'
    role = openbao.approle(f"reader-{mount}", policy)
    session = session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id))
    with pytest.raises(StoreRefused):
        await VaultJournal(Kv(session), mount, "rotator").meta()
    await session.close()


FORBIDDEN = {
    "read another app's secret": ("GET", "M/data/apps/blog/database", None),
    "read a deeper key": ("GET", "M/data/apps/blog/halo/deeper", None),
    "read a sibling of the folder": ("GET", "M/data/other/blog/halo", None),
    "write another app's secret": ("POST", "M/data/apps/blog/database", {"data": {}}),
    "delete the published": ("DELETE", "M/data/apps/blog/halo", None),
    "delete versions of the published": ("POST", "M/delete/apps/blog/halo", {"versions": [1]}),
    "destroy the published": ("POST", "M/destroy/apps/blog/halo", {"versions": [1]}),
    "undelete the published": ("POST", "M/undelete/apps/blog/halo", {"versions": [1]}),
    "change the published one's limits": ("POST", "M/metadata/apps/blog/halo", {"max_versions": 1}),
    "delete the published one's metadata": ("DELETE", "M/metadata/apps/blog/halo", None),
    "list apps": ("LIST", "M/metadata/apps", None),
    "delete a journal": ("DELETE", "M/data/rotator/journal/blog", None),
    "destroy a journal": ("POST", "M/destroy/rotator/journal/blog", {"versions": [1]}),
    "change a journal's limits": ("POST", "M/metadata/rotator/journal/blog", {"max_versions": 1}),
    "delete a journal's metadata": ("DELETE", "M/metadata/rotator/journal/blog", None),
    "list candidates": ("LIST", "M/metadata/rotator/staged", None),
    "overwrite the installation": ("POST", "M/data/rotator/meta", {"data": {"lineage": "000000"}}),
    "configure the mount": ("POST", "M/config", {"max_versions": 1}),
    "list mounts": ("GET", "sys/mounts", None),
    "read a policy": ("GET", "sys/policies/acl/default", None),
    "make a token": ("POST", "auth/token/create", {}),
}


@pytest.fixture(scope="module")
def rotators_token(openbao: OpenBao) -> tuple[str, Secret]:
    """A mount with documents in it, and a token that has exactly the shipped policy."""
    mount = openbao.enable_kv("forbidden")
    for path in ("apps/blog/halo", "rotator/journal/blog", "rotator/meta", "rotator/node/test", "apps/blog/database"):
        openbao.call("POST", f"{mount}/data/{path}", {"data": {"token": canary("f")}})
    role = openbao.approle("forbidden", policy_text(rules(POLICY), mount))
    login = openbao.call("POST", "auth/approle/login", {"role_id": role.role_id, "secret_id": role.secret_id})
    return mount, Secret(login["auth"]["client_token"])


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_the_daemon_never_does_is_refused(openbao: OpenBao, rotators_token: tuple[str, Secret], what: str) -> None:
    mount, token = rotators_token
    method, path, body = FORBIDDEN[what]
    with pytest.raises(OpenBaoError) as refusal:
        openbao.call(method, path.replace("M/", f"{mount}/"), body, token=token)
    assert refusal.value.status == 403


def test_the_operators_policy_sees_no_secret_value(openbao: OpenBao, mount: str) -> None:
    for path in ("apps/blog/halo", "rotator/staged/blog", "rotator/journal/blog"):
        openbao.call("POST", f"{mount}/data/{path}", {"data": {"token": canary("o")}})
    text = (CONFIG / "operator.hcl").read_text().replace("secret/", f"{mount}/")
    role = openbao.approle(f"operator-{mount}", text)
    login = openbao.call("POST", "auth/approle/login", {"role_id": role.role_id, "secret_id": role.secret_id})
    token = Secret(login["auth"]["client_token"])
    openbao.call(
        "POST", f"{mount}/metadata/rotator/staged/blog", {"max_versions": 1, "cas_required": True}, token=token
    )
    openbao.call("GET", f"{mount}/data/rotator/journal/blog", token=token)
    openbao.call("GET", f"{mount}/config", token=token)
    openbao.call("GET", f"{mount}/metadata/apps/blog/halo", token=token)
    openbao.call("POST", f"{mount}/undelete/rotator/journal/blog", {"versions": [1]}, token=token)
    for path in ("apps/blog/halo", "rotator/staged/blog"):
        with pytest.raises(OpenBaoError) as refusal:
            openbao.call("GET", f"{mount}/data/{path}", token=token)
        assert refusal.value.status == 403
