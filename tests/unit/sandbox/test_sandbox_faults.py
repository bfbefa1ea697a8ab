"""The fault panel and the call feed: what is struck, on which side of the effect, and what the client sees."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream

from tests.sandbox.calls import Call
from tests.sandbox.faults import Armed
from tests.sandbox.halo_cms import HaloCms
from tests.unit.sandbox.client import OWN, Browserless

pytestmark = pytest.mark.anyio

PASSWORD = "canary5word"


class Bench:
    """A running sandbox, a client, and its bootstrap token."""

    def __init__(self, halo: HaloCms, client: Browserless, token: str) -> None:
        self.halo, self.client, self.token = halo, client, token
        self.authorization = f"Bearer {token}"

    async def mint(self, name: str) -> httpx.Response:
        body = {"metadata": {"name": name}, "spec": {"name": name}}
        return await self.client.call("POST", OWN, self.authorization, json=body)

    async def half_done_mint(self, name: str) -> SocketStream:
        """A mint whose answer is not awaited yet."""
        body = json.dumps({"metadata": {"name": name}, "spec": {"name": name}}).encode()
        head = (
            f"POST {OWN} HTTP/1.1\r\nHost: x\r\nAuthorization: {self.authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        stream = await self.connect()
        await stream.send(head.encode() + body)
        return stream

    async def connect(self) -> SocketStream:
        return await anyio.connect_tcp("127.0.0.1", int(self.halo.url.rpartition(":")[2]))

    def exists(self, name: str) -> bool:
        return self.halo.model.records.get(name) is not None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    halo = HaloCms(seed=5)
    halo.model.add_user("admin", PASSWORD, ["super-role"])
    token = halo.model.mint("admin", name="boot", roles=["super-role"]).reveal()
    async with halo.running(), Browserless(halo.url) as client:
        yield Bench(halo, client, token)


async def test_a_drop_before_the_effect_leaves_nothing_and_a_drop_after_it_a_record(bench: Bench) -> None:
    for when in ("before", "after"):
        bench.halo.faults.add("drop", when=when, method="POST")
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.mint(when)
    assert (bench.exists("before"), bench.exists("after")) == (False, True)
    assert (await bench.mint("next")).status_code == 200


async def test_either_side_is_drawn_for_each_call_and_the_feed_knows_which(bench: Bench) -> None:
    bench.halo.faults.add("drop", when="either", method="POST", times=None)
    for number in range(20):
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.mint(f"n{number}")
    effects = [call.effect for call in bench.halo.calls.since(0)]
    assert effects == [bench.exists(f"n{number}") for number in range(20)]
    assert 3 < sum(effects) < 17


async def test_a_reset_reaches_the_client_as_a_reset(bench: Bench) -> None:
    bench.halo.faults.add("reset", method="POST")
    stream = await bench.half_done_mint("one")
    with pytest.raises(anyio.BrokenResourceError) as caught:
        await stream.receive()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    assert not bench.exists("one")
    await stream.aclose()


async def test_a_cut_off_body_is_declared_longer_than_sent_though_the_effect_stands(bench: Bench) -> None:
    bench.halo.faults.add("truncate", method="POST")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await bench.mint("one")
    assert bench.exists("one")


@pytest.mark.parametrize(("status", "retry_after"), [(429, "7"), (429, None), (500, None), (502, None), (503, "0")])
async def test_a_status_is_answered_instead_of_the_effect(bench: Bench, status: int, retry_after: str | None) -> None:
    bench.halo.faults.add("status", status=status, retry_after=retry_after)
    answer = await bench.mint("one")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert not bench.exists("one")


async def test_a_gateway_may_fail_after_the_effect(bench: Bench) -> None:
    bench.halo.faults.add("status", status=504, when="after")
    assert (await bench.mint("one")).status_code == 504
    assert bench.exists("one")


async def test_a_lost_race_is_a_conflict_problem_and_leaves_the_record_alone(bench: Bench) -> None:
    await bench.mint("one")
    bench.halo.faults.add("status", status=409, method="PUT", path="/one/actions/revocation$")
    path = f"{OWN}/one/actions/revocation"
    answer = await bench.client.call("PUT", path, bench.authorization)
    assert (answer.status_code, answer.json()["type"]) == (409, "https://halo.run/probs/conflict")
    assert answer.headers["content-type"] == "application/problem+json"
    assert bench.halo.model.is_accepted("one")
    assert (await bench.client.call("PUT", path, bench.authorization)).status_code == 200


async def test_a_held_call_has_taken_effect_and_is_answered_when_released(bench: Bench) -> None:
    hold = bench.halo.faults.add("hold", method="POST")
    answers: list[httpx.Response] = []

    async def mint() -> None:
        answers.append(await bench.mint("one"))

    async with anyio.create_task_group() as group:
        group.start_soon(mint)
        await hold.wait_reached()
        assert bench.exists("one")
        assert not answers
        hold.release()
    assert answers[0].status_code == 200


@pytest.mark.parametrize("lands", [False, True])
async def test_a_client_that_leaves_before_the_effect_cancels_it_unless_it_lands_late(
    bench: Bench, lands: bool
) -> None:
    hold = bench.halo.faults.add("hold", when="before", method="POST", lands=lands)
    decided = await outcome_of(bench, hold_and_leave(bench, hold))
    assert decided.effect is bench.exists("one") is lands


async def hold_and_leave(bench: Bench, hold: Armed) -> None:
    stream = await bench.half_done_mint("one")
    await hold.wait_reached()
    await stream.aclose()
    if hold.rule.lands:
        hold.release()


async def outcome_of(bench: Bench, story: Awaitable[None]) -> Call:
    """The next call in the feed once the story is told."""
    decided, seen = anyio.Event(), list[Call]()

    def note(call: Call) -> None:
        seen.append(call)
        decided.set()

    bench.halo.calls.listen(note)
    await story
    with anyio.fail_after(5):
        await decided.wait()
    return seen[0]


async def test_a_client_that_leaves_during_a_delay_cancels_the_effect(bench: Bench) -> None:
    slow = bench.halo.faults.add("slow", method="POST", delay=30)

    async def story() -> None:
        stream = await bench.half_done_mint("one")
        while not slow.struck:
            await anyio.lowlevel.checkpoint()
        await stream.aclose()

    decided = await outcome_of(bench, story())
    assert (decided.status, decided.effect, decided.fault) == (None, False, "slow")


async def test_a_short_delay_only_delays(bench: Bench) -> None:
    bench.halo.faults.add("slow", delay=0.01)
    assert (await bench.mint("one")).status_code == 200


async def test_a_rule_skips_then_strikes_as_often_as_told_and_only_what_it_matches(bench: Bench) -> None:
    rule = bench.halo.faults.add("status", status=503, method="POST", path="personalaccesstokens$", skip=1, times=2)
    statuses = [(await bench.mint(f"n{number}")).status_code for number in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert (rule.seen, rule.struck) == (3, 2)
    assert (await bench.client.call("GET", OWN, bench.authorization)).status_code == 200


async def test_rules_are_steered_and_calls_read_over_http(bench: Bench) -> None:
    body = {"kind": "status", "status": 429, "retry_after": "3", "method": "POST", "times": None}
    made = await bench.client.call("POST", "/_sandbox/faults", json=body)
    assert (made.status_code, made.json()["number"]) == (201, 1)
    assert (await bench.mint("one")).status_code == 429
    assert (await bench.client.call("GET", "/_sandbox/faults")).json()[0]["struck"] == 1
    assert (await bench.client.call("DELETE", "/_sandbox/faults/1")).status_code == 204
    assert (await bench.mint("one")).status_code == 200
    calls = (await bench.client.call("GET", "/_sandbox/calls?since=1")).json()
    assert [(call["method"], call["path"], call["status"], call["caller"]) for call in calls] == [
        ("POST", OWN, 200, "boot")
    ]
    await bench.client.call("DELETE", "/_sandbox/calls")
    assert (await bench.client.call("GET", "/_sandbox/calls")).json() == []


async def test_a_call_held_over_http_is_released_over_http(bench: Bench) -> None:
    await bench.client.call("POST", "/_sandbox/faults", json={"kind": "hold", "method": "POST"})
    held = bench.halo.faults.find(1)
    assert held is not None
    async with anyio.create_task_group() as group:
        group.start_soon(bench.mint, "one")
        await held.wait_reached()
        assert (await bench.client.call("POST", "/_sandbox/faults/1/release")).status_code == 204
    assert bench.halo.calls.since(0)[-1].status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "nonsense"},
        {"kind": "drop", "wen": "x"},
        {"kind": "status", "status": 200},
        {"kind": "drop", "path": "("},
        {"kind": "slow", "delay": "long"},
    ],
)
async def test_a_senseless_rule_is_refused(bench: Bench, body: dict[str, object]) -> None:
    assert (await bench.client.call("POST", "/_sandbox/faults", json=body)).status_code == 400
    assert bench.halo.faults.rules() == ()


async def test_the_feed_names_callers_and_never_shows_a_secret(bench: Bench) -> None:
    bench.halo.model.mint("admin", name="dead")
    await bench.mint("one")
    await bench.client.call("GET", OWN)
    await bench.client.call("GET", OWN, bench.authorization[:-9])
    assert [call.caller for call in bench.halo.calls.since(0)] == ["boot", "anonymous", "unknown"]
    shown = json.dumps([call.document() for call in bench.halo.calls.since(0)]) + repr(bench.halo.calls.since(0))
    assert bench.token[20:60] not in shown
    assert PASSWORD not in shown


async def test_pipelined_calls_on_one_connection_are_answered_in_order(bench: Bench) -> None:
    stream = await bench.connect()
    one = b"GET /actuator/health HTTP/1.1\r\nHost: x\r\n\r\n"
    await stream.send(
        one + one.replace(b"health", b"globalinfo") + one.replace(b"Host: x", b"Host: x\r\nConnection: close")
    )
    received = b"".join([chunk async for chunk in stream])
    assert received.count(b"HTTP/1.1 200 ") == 3
    assert received.index(b"siteTitle") > received.index(b'"UP"')
    await stream.aclose()


async def test_a_head_is_answered_without_a_body_and_the_connection_goes_on(bench: Bench) -> None:
    assert (await bench.client.call("HEAD", "/nothing")).text == ""
    assert (await bench.client.call("GET", "/actuator/health")).json() == {"status": "UP"}


async def test_a_client_that_expects_continue_is_told_to(bench: Bench) -> None:
    stream = await bench.connect()
    await stream.send(b"POST /system/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
    await stream.send(b"x")
    assert (await stream.receive()).startswith(b"HTTP/1.1 404 ")
    await stream.aclose()


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"nonsense\r\n\r\n", b"400"), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", b"413")],
)
async def test_nonsense_and_giants_are_refused_and_the_connection_closed(
    bench: Bench, sent: bytes, status: bytes
) -> None:
    stream = await bench.connect()
    await stream.send(sent + b"x" * (4 * 1024 * 1024 + 1 if status == b"413" else 0))
    received = b"".join([chunk async for chunk in stream])
    assert received.startswith(b"HTTP/1.1 " + status)
    await stream.aclose()


async def test_fifty_clients_at_once_are_all_served(bench: Bench) -> None:
    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(bench.mint, f"n{number}")
    assert len(bench.halo.model.live_tokens()) == 51


async def test_stopping_closes_open_connections_and_starting_again_keeps_the_records() -> None:
    halo = HaloCms()
    halo.model.add_user("admin", PASSWORD)
    secret = halo.model.mint("admin", name="one")
    async with halo.running():
        idle = await anyio.connect_tcp("127.0.0.1", int(halo.url.rpartition(":")[2]))
    with pytest.raises(anyio.EndOfStream):
        await idle.receive()
    await idle.aclose()
    async with halo.running(), Browserless(halo.url) as client:
        assert (await client.call("GET", OWN, f"Bearer {secret.reveal()}")).status_code == 200


async def test_the_server_listens_on_loopback_only(bench: Bench) -> None:
    stream = await bench.connect()
    assert stream.extra(SocketAttribute.remote_address)[0] == "127.0.0.1"
    assert stream.extra(SocketAttribute.family) == socket.AF_INET
    await stream.aclose()
