"""The token's life: dead or denied, one login for all, renewal in time, and a bounded wait for everything."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import anyio
import pytest

from rotator.ports import Fault, StoreRefused, Transient
from rotator.rotation.secret import Secret
from rotator.vault.hvac_adapter import VaultResponse
from rotator.vault.login import LOGIN_PAUSE, MISSED_PAUSE, Login, LoginGrant, approle, token
from rotator.vault.session import RETRY_PAUSE, Session
from rotator.vault.transport import VaultConnection
from tests.kit.clock import HandClock, QuickClock
from tests.sandbox.openbao import AppRole, OpenBao
from tests.unit.vault.hostile import answer, drip, proxy, raw_server
from tests.unit.vault.worlds import canary, only_openbao, session_on

pytestmark = pytest.mark.anyio
POLICY = """
path "secret/data/mine" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""


def mine(client: Any) -> VaultResponse:
    """A request that our policy allows; the answer is a 404, which is an answer."""
    return client.adapter.get("/v1/secret/data/mine")


def theirs(client: Any) -> VaultResponse:
    return client.adapter.get("/v1/secret/data/theirs")


class Counted:
    """A login that counts itself and can be spoilt."""

    def __init__(self, login: Login) -> None:
        self.count = 0
        self.tokens: list[Secret] = []
        self.spoilt: Fault | None = None
        self._login = login
        self.login = Login(login.method, self._ask, login.repeatable)

    def _ask(self, client: Any) -> LoginGrant:
        self.count += 1
        if self.spoilt:
            raise self.spoilt
        grant = self._login.ask(client)
        self.tokens.append(grant.token)
        return grant


@pytest.fixture(scope="module")
def role(openbao: OpenBao) -> AppRole:
    openbao.enable_kv("secret")
    return openbao.approle("session", POLICY)


@pytest.fixture
def counted(role: AppRole) -> Counted:
    return Counted(approle(lambda: Secret(role.role_id), lambda: role.secret_id))


def kill(openbao: OpenBao, *tokens: Secret) -> None:
    for dead in tokens:
        openbao.call("POST", "auth/token/revoke", {"token": dead})


@pytest.mark.system
async def test_a_dead_token_is_replaced_once_and_the_same_request_sent_again(
    openbao: OpenBao, counted: Counted
) -> None:
    session = session_on(openbao, login=counted.login)
    await session.open()
    kill(openbao, *counted.tokens)
    assert (await session.ask(mine)).status == 404
    assert counted.count == 2
    await session.close()


@pytest.mark.system
async def test_a_hundred_who_find_the_token_dead_cause_one_login(openbao: OpenBao, counted: Counted) -> None:
    session = session_on(openbao, login=counted.login)
    await session.open()
    kill(openbao, *counted.tokens)
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(session.ask, mine)
    assert counted.count == 2
    await session.close()


@pytest.mark.system
async def test_a_policys_no_is_told_from_a_dead_token_and_causes_no_login(openbao: OpenBao, counted: Counted) -> None:
    session = session_on(openbao, login=counted.login)
    with pytest.raises(StoreRefused, match="policy denies"):
        await session.ask(theirs)
    assert counted.count == 1
    await session.close()


@pytest.mark.system
@pytest.mark.parametrize(
    ("fault", "pause"), [(StoreRefused("spoilt"), LOGIN_PAUSE), (Transient("unheard"), MISSED_PAUSE)]
)
async def test_a_login_that_fails_is_not_tried_by_everybody(
    openbao: OpenBao, counted: Counted, fault: Fault, pause: float
) -> None:
    clock = QuickClock()
    session = session_on(openbao, login=counted.login, clock=clock)
    await session.open()
    kill(openbao, *counted.tokens)
    counted.spoilt = fault
    refused = []

    async def ask() -> None:
        with pytest.raises(type(fault)):
            await session.ask(mine)
        refused.append(True)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)
    assert (len(refused), counted.count) == (20, 2)
    counted.spoilt = None
    clock.ahead += pause
    assert (await session.ask(mine)).status == 404
    await session.close()


@pytest.mark.system
async def test_a_wrong_secret_id_is_named_without_being_shown(openbao: OpenBao, role: AppRole) -> None:
    session = session_on(openbao, login=approle(lambda: Secret(role.role_id), lambda: canary("secret-id")))
    with pytest.raises(StoreRefused, match="approle login") as caught:
        await session.open()
    assert "canary" not in repr(caught.value)
    await session.close()


@pytest.mark.system
async def test_a_login_at_a_standby_that_has_lost_its_leader_is_no_refusal(openbao: OpenBao, role: AppRole) -> None:
    """Found by the raft campaign: for seconds after each loss of the leader, a login seemed to be refused."""
    with proxy(openbao.address, "leaderless") as between:
        between.matching, clock = "/login", QuickClock()
        session = session_at(between.address, approle(lambda: Secret(role.role_id), lambda: role.secret_id), clock)
        with pytest.raises(Transient, match="307"):
            await session.open(patience=0)
        clock.ahead += MISSED_PAUSE
        await session.open()
        await session.close()


async def test_a_credential_file_that_is_missing_is_named_by_its_method() -> None:
    def missing() -> Secret:
        raise FileNotFoundError(canary("path").reveal())

    session = session_at("http://127.0.0.1:9", token(missing))
    with pytest.raises(StoreRefused, match=r"token login.*FileNotFoundError") as caught:
        await session.open()
    assert "canary" not in repr(caught.value)


def session_at(address: str, login: Login, clock: QuickClock | None = None, **settings: Any) -> Session:
    return Session(VaultConnection(address, **settings), login, clock or QuickClock())


def made(openbao: OpenBao, **wishes: object) -> Secret:
    return Secret(openbao.call("POST", "auth/token/create", wishes)["auth"]["client_token"])


@pytest.mark.system
@pytest.mark.parametrize(
    ("wishes", "words"),
    [({"ttl": "5m"}, r"ends in (299|300) s"), ({"ttl": "1h", "num_uses": 5}, "only 4 uses left")],
    ids=["short-lived", "limited"],
)
async def test_a_token_we_could_not_replace_must_be_one_to_work_with(
    openbao: OpenBao, wishes: dict[str, object], words: str
) -> None:
    given = made(openbao, **wishes)
    session = session_on(openbao, login=token(lambda: given))
    with pytest.raises(StoreRefused, match=words):
        await session.open()
    await session.close()


@pytest.mark.system
async def test_a_given_token_that_died_is_replaced_only_when_its_source_has_another(openbao: OpenBao) -> None:
    tokens = [made(openbao, ttl="1h"), made(openbao, ttl="1h")]
    current, clock = tokens[0], QuickClock()
    session = session_on(openbao, login=token(lambda: current), clock=clock)
    await session.ask(mine)
    kill(openbao, tokens[0])
    with pytest.raises(StoreRefused):
        await session.ask(mine)
    current = tokens[1]
    clock.ahead += LOGIN_PAUSE
    assert (await session.ask(mine)).status == 404
    await session.close()


@pytest.mark.system
async def test_closing_ends_a_token_we_made_and_spares_one_we_were_given(openbao: OpenBao, counted: Counted) -> None:
    given = made(openbao, ttl="1h")
    for login in (counted.login, token(lambda: given)):
        session = session_on(openbao, login=login)
        await session.open()
        await session.close()
    ours, given_status = (_lookup(openbao, which) for which in (counted.tokens[0], given))
    assert (ours, given_status) == (403, 200)


def _lookup(openbao: OpenBao, which: Secret) -> int:
    try:
        openbao.call("GET", "auth/token/lookup-self", token=which)
    except Exception as error:  # noqa: BLE001  # its status is what we ask for
        return int(getattr(error, "status", 0))
    return 200


@only_openbao  # HashiCorp Vault has namespaces in its Enterprise edition only
@pytest.mark.system
async def test_a_namespace_is_sent_with_every_request(openbao: OpenBao) -> None:
    openbao.call("POST", "sys/namespaces/team")
    openbao.call("POST", "team/sys/mounts/own", {"type": "kv", "options": {"version": "2"}})
    inside = session_on(openbao, namespace="team")
    found = await inside.ask(lambda client: client.adapter.get("/v1/sys/internal/ui/mounts/own"))
    assert found.section("data", "options") == {"version": "2"}
    await inside.close()
    outside = session_on(openbao)
    with pytest.raises(StoreRefused):
        await outside.ask(lambda client: client.adapter.get("/v1/sys/internal/ui/mounts/own"))
    await outside.close()


# --- renewal --------------------------------------------------------------------------------------------------------


def grants(ttl: float, *, renewable: bool = True) -> Counted:
    """A login that grants such a life each time, without asking anybody."""
    return Counted(Login("test", lambda client: LoginGrant(canary(f"{time.monotonic_ns()}"), ttl, renewable)))


async def naps(reply: bytes, counted: Counted, count: int) -> list[float]:
    """How long keep_alive sleeps each time, against a server that always gives this answer."""
    clock = QuickClock(count)
    with raw_server(reply) as server, anyio.fail_after(10):
        session = session_at(server.address, counted.login, clock)
        async with anyio.create_task_group() as group:
            group.start_soon(session.keep_alive)
            await clock.done.wait()
            group.cancel_scope.cancel()
    return clock.slept


async def test_renewal_comes_at_two_thirds_of_the_life_that_was_returned() -> None:
    counted = grants(900)
    slept = await naps(answer(200, {"auth": {"lease_duration": 600}}), counted, 3)
    assert slept == pytest.approx([600, 400, 400], abs=2)
    assert counted.count == 1


async def test_a_renewal_that_grants_little_leads_to_a_new_login() -> None:
    counted = grants(900)
    assert await naps(answer(200, {"auth": {"lease_duration": 60}}), counted, 3) == pytest.approx([600] * 3, abs=2)
    assert counted.count == 4


@pytest.mark.parametrize("reply", [answer(403, {"errors": ["permission denied"]}), answer(400, {"errors": ["no"]})])
async def test_a_renewal_that_is_refused_leads_to_a_new_login(reply: bytes) -> None:
    counted = grants(900)
    assert await naps(reply, counted, 2) == pytest.approx([600, 600], abs=2)
    assert counted.count == 3


async def test_a_token_that_cannot_be_renewed_is_replaced_in_time() -> None:
    counted = grants(90, renewable=False)
    assert await naps(answer(500), counted, 2) == pytest.approx([60, 60], abs=2)
    assert counted.count == 3


async def test_an_unreachable_vault_is_asked_again_until_the_token_has_ended() -> None:
    counted = grants(90)
    slept = await naps(answer(503, {"errors": ["x"]}), counted, 8)
    assert slept[0] == pytest.approx(60, abs=2)
    assert slept[1] == RETRY_PAUSE
    assert counted.count == 2


async def test_a_token_without_an_end_is_left_alone() -> None:
    counted = grants(0)
    assert await naps(answer(400, {"errors": ["lease is not renewable"]}), counted, 3) == [3600.0] * 3
    assert counted.count == 1


async def test_keeping_alive_survives_a_login_that_fails() -> None:
    counted = grants(900)
    counted.spoilt = Transient("down")
    assert await naps(b"", counted, 3) == [RETRY_PAUSE] * 3


# --- bounded waiting ------------------------------------------------------------------------------------------------


async def test_a_dripping_answer_ends_undecided_after_the_total_timeout() -> None:
    """The connection's own limits are far away, and the whole answer takes seconds: no load changes who ends it."""
    with raw_server(drip) as server:
        far = VaultConnection(server.address, total_timeout=60, read_timeout=60)
        session = Session(far, grants(900).login, HandClock())
        await session.open()
        session.settings = replace(far, total_timeout=0.3, read_timeout=60)
        with pytest.raises(Transient, match=r"within 0\.3 s"):
            await session.ask(mine, effect=True)


async def test_a_cancelled_read_does_not_wait_and_a_cancelled_write_does() -> None:
    gate = threading.Event()

    def slow(link: Any) -> None:
        gate.wait(0.3)
        link.sendall(answer(200, {"data": {}}))

    with raw_server(slow) as server:
        session = session_at(server.address, grants(900).login)
        await session.open()
        took = {}
        for effect in (False, True):
            started = time.monotonic()
            with anyio.move_on_after(0.05):
                await session.ask(mine, effect=effect)
            took[effect] = time.monotonic() - started
        gate.set()
        assert took[False] < 0.25 <= took[True]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:8200", "not an http"),
        ("ftp://vault", "not an http"),
        ("https://", "not an http"),
        ("https://user:word@vault.example", "must not carry"),
        ("https://vault.example/?a=b", "must not carry"),
        ("https://vault.example/#a", "must not carry"),
        ("http://vault.example", "loopback only"),
        ("http://127.evil.example", "loopback only"),
    ],
)
def test_an_address_that_would_endanger_the_token_is_refused(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        VaultConnection(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8200", "http://localhost", "http://[::1]:8200", "https://v.x"])
def test_an_honest_address_is_accepted(address: str) -> None:
    assert VaultConnection(address).address == address


def test_plain_http_can_be_allowed() -> None:
    assert VaultConnection("http://vault.example", allow_insecure_http=True)


class Stopped(QuickClock):
    """A clock that shows a minute more at each look: the process stands still all the time."""

    def monotonic(self) -> float:
        self.ahead += 60.0
        return super().monotonic()


@pytest.mark.system
async def test_a_request_of_a_process_that_was_stopped_for_long_is_not_sent(openbao: OpenBao) -> None:
    session = session_on(openbao)
    await session.open()
    sent: list[object] = []
    session.clock = Stopped()
    with pytest.raises(Transient, match="too late"):
        await session.ask(sent.append)
    assert not sent
    await session.close()
