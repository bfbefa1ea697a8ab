"""Names that hang: the targets behind them wait, and nobody else does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import anyio
import httpcore
import pytest
from anyio.abc import ByteStream, SocketAttribute

from rotator.host.proxy import Proxy
from rotator.ports import Transient
from rotator.providers.base import TargetConfig
from rotator.providers.http import transport
from rotator.providers.http.client import HttpClient
from rotator.providers.http.hook_client import HookClient
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password

pytestmark = pytest.mark.anyio
SHORT = timedelta(seconds=0.3)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names below dead.example hang until the end; good.example is this host. Every look-up is listed."""
    asked: list[str] = []
    over = threading.Event()

    real = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **named: Any) -> list[Any]:
        if not isinstance(host, str) or not host.endswith("example"):
            return real(host, *more, **named)
        asked.append(host)
        if host.endswith("dead.example"):
            over.wait(60)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [(2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked
    over.set()


async def answer(stream: ByteStream) -> None:
    async with stream:
        await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")


def target(name: str, url: str) -> HttpClient:
    return HttpClient(
        name,
        TargetConfig(url=url, allow_insecure_http=True, timeout=SHORT, deadline=2 * SHORT),
        HandClock(),
        no_password,
    )


async def test_forty_names_that_hang_keep_no_healthy_target_waiting(names: list[str]) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    async with AsyncExitStack() as stack, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        dead = [target(f"t{n}", f"http://n{n}.dead.example") for n in range(40)]
        good = target("good", f"http://good.example:{port}")
        for each in (*dead, good):
            stack.push_async_callback(each.aclose)
        missed: list[str] = []

        async def ask(edge: HttpClient) -> None:
            for _ in range(3):
                try:
                    await edge.request("GET", "/x")
                except Transient as fault:
                    missed.append(fault.reason)

        for each in dead:
            group.start_soon(ask, each)
        with anyio.fail_after(5):
            for _ in range(5):
                assert (await good.request("GET", "/x")).document == []
            while len(missed) < 120:  # noqa: ASYNC110 (what is waited for sets no event)
                await anyio.sleep(0.01)
        assert len([host for host in names if host.endswith("dead.example")]) == 40, "one thread for each name"
        group.cancel_scope.cancel()
    assert not [reason for reason in missed if "dead.example" not in reason]
    assert not [reason for reason in missed if "the name servers do not answer" not in reason], "it is no firewall"


async def test_a_proxy_whose_name_hangs_is_told_as_that(names: list[str]) -> None:
    there = Proxy("http://proxy.dead.example:3128")
    config = TargetConfig(
        url="http://good.example", allow_insecure_http=True, timeout=SHORT, deadline=2 * SHORT, proxy=there
    )
    client = HttpClient("shop", config, HandClock(), no_password)
    with anyio.fail_after(5), pytest.raises(Transient, match="3128 cannot be reached: its name cannot be looked up"):
        await client.request("GET", "/x")
    await client.aclose()


async def test_a_hook_whose_name_hangs_is_given_up_in_time(names: list[str]) -> None:
    box = HookClient(no_password)
    with anyio.fail_after(5), pytest.raises(Transient, match=r"no answer within 0\.1 s"):
        await box.send("POST", "http://hook.dead.example/x", 0.1)
    await box.aclose()


async def test_of_several_addresses_the_first_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_HEAD_START", 0.01)
    ends: dict[str, object] = {"slow": 5.0, "refused": httpcore.ConnectError("no"), "good": "stream"}

    async def connect(address: str) -> Any:
        match ends[address]:
            case float(seconds):
                await anyio.sleep(seconds)
            case Exception() as fault:
                raise fault
        return ends[address]

    with anyio.fail_after(2):
        assert await transport._first(("slow", "refused", "good"), connect) == "stream"
    with pytest.raises(httpcore.ConnectError):
        await transport._first(("refused", "refused"), connect)
    with pytest.raises(OSError, match="no address"):
        await transport._first((), connect)
