"""The server: GET and HEAD, small requests, short patience, few connections; no caller can break or block it."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import anyio
import pytest

from rotator.observe import status as server
from rotator.observe.status import _CONNECTIONS, Patience, ServerError, StatusResponse, StatusServer
from rotator.settings import Listen
from tests.unit.observe.status.loopback import get, parsed, rest, say, serving

pytestmark = pytest.mark.anyio
LONG = Patience(arrive=5, idle=5, leave=5)


def echo(path: str) -> StatusResponse:
    """A site that says nothing but how long the path is."""
    return StatusResponse(200, "text/plain", str(len(path)).encode())


async def respond(path: str) -> StatusResponse:
    return echo(path)


async def test_an_answer_is_given_to_get_and_its_head_to_head() -> None:
    async with serving(echo) as port:
        assert (await get(port, "/four")).body == b"5"
        head = await get(port, "/four", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "1")


async def test_a_head_with_a_body_is_refused_without_one() -> None:
    bugs: list[BaseException] = []
    async with serving(echo, failed=bugs.append) as port:
        heard = parsed(await say(port, b"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"))
    assert (heard.status, heard.body, bugs) == (413, b"", [])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_nothing_but_get_and_head_is_understood(method: str) -> None:
    async with serving(echo) as port:
        said = await get(port, "/", method)
    assert (said.status, said.headers["allow"], said.headers["connection"]) == (405, "GET, HEAD", "close")


async def test_a_connection_is_used_again_and_requests_may_be_sent_at_once() -> None:
    one = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serving(echo) as port:
        heard = await say(port, one % b"a" + one % b"bb" + last)
    assert heard.count(b"HTTP/1.1 200") == 3
    assert heard.endswith(b"1")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=["rubbish", "no host", "two hosts", "long path", "long head", "body", "chunks", "both", "negative", "TLS"],
)
async def test_what_is_no_small_request_is_refused_and_the_connection_closed(raw: bytes, status: int) -> None:
    async with serving(echo) as port:
        heard = await say(port, raw)
        assert not heard or parsed(heard).status == status
        assert (await get(port, "/")).status == 200


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_caller_that_dawdles_is_left(begun: bytes) -> None:
    async with serving(echo) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        if begun:
            await stream.send(begun)
        with anyio.fail_after(5):
            assert await rest(stream) == b""


async def test_a_caller_that_does_not_take_its_answer_is_left() -> None:
    def huge(path: str) -> StatusResponse:
        return StatusResponse(200, "text/plain", b"x" * 50_000_000)

    ended = anyio.Event()
    async with serving(huge) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await anyio.sleep(0.8)  # the patience of this server is half a second
        with anyio.fail_after(5):
            assert len(await rest(stream)) < 50_000_000
        ended.set()
    assert ended.is_set()


async def test_kept_connections_lock_nobody_out_and_the_oldest_idle_one_goes() -> None:
    async with serving(echo, LONG) as port:
        callers = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(_CONNECTIONS)]
        for caller in callers:
            await caller.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await caller.receive()
        for _ in range(3):
            assert (await get(port, "/livez")).status == 200
        with anyio.fail_after(5):
            assert await rest(callers[0]) == b""
        await callers[-1].send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert parsed(await rest(callers[-1])).status == 200
        for caller in callers:
            await caller.aclose()


async def test_callers_that_take_no_answer_lock_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS", 4)

    def huge(path: str) -> StatusResponse:
        return StatusResponse(200, "text/plain", b"x" * (20_000_000 if path == "/huge" else 1))

    async with serving(huge, LONG) as port:
        callers = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(4)]
        for caller in callers:
            await caller.send(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
            await caller.receive()
        with anyio.fail_after(3):
            assert (await get(port, "/livez")).body == b"x"
        for caller in callers:
            await caller.aclose()


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9464", "[::1]:9464", "10.1.2.3", "localhost", "a.localhost:1", "Rotator.Example."]
)
async def test_addresses_loopback_names_and_the_names_in_settings_are_served(host: str) -> None:
    async with serving(echo, hosts=("rotator.example",)) as port:
        assert (await get(port, "/", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "[::1].evil.example",
            "[::1]evil.example:80",
            "localhost:80:evil",
            "localhost:evil",
            "[localhost]",
            "[::1",
            "::1",
        ),
        *(
            "127.0.0.1:80.evil.example",
            ".localhost.evil",
            "evil@localhost",
            "localhost/",
            "localhost,a",
            ":80",
        ),
    ],
)
async def test_what_is_no_host_with_a_port_is_told_nothing(host: str) -> None:
    async with serving(echo, hosts=("rotator.example",)) as port:
        said = await get(port, "/", host=host)
        assert (said.status, said.headers["connection"]) == (421, "close")
        assert said.text == f"the name {host} is not served here; if it is this daemon's, add it to [status] hosts\n"


@pytest.mark.parametrize("path", ["/", "/status.json", "/livez", "/metrics"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "rotator.example.org"]
)
async def test_a_name_that_somebody_let_lead_here_is_told_nothing(path: str, host: str) -> None:
    async with serving(echo, hosts=("rotator.example",)) as port:
        said = await get(port, path, host=host)
        assert said.status == 421
        assert said.text == f"the name {host} is not served here; if it is this daemon's, add it to [status] hosts\n"
        assert parsed(await say(port, b"GET / HTTP/1.0\r\n\r\n")).status == 200


async def test_a_bug_in_a_page_is_told_to_the_log_and_not_to_the_caller() -> None:
    bugs: list[BaseException] = []

    def broken(path: str) -> StatusResponse:
        raise KeyError("inner workings")

    async with serving(broken, failed=bugs.append) as port:
        said = await get(port, "/")
    assert (said.status, b"inner" in said.body, [type(bug) for bug in bugs]) == (500, False, [KeyError])


async def test_an_address_in_use_is_a_fault_with_a_remedy() -> None:
    async with serving(echo) as port:
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}: .*in use; give it another"):
            await StatusServer(Listen("127.0.0.1", port), respond, print).serve()


async def test_a_unix_socket_is_for_owner_and_group_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    async with anyio.create_task_group() as group:
        await group.start(StatusServer(Listen(path=str(path)), respond, print).serve)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b"GET /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert parsed(await rest(stream)).body == b"4"
        group.cancel_scope.cancel()
    assert not path.exists()


async def test_a_second_server_does_not_take_the_unix_socket_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    async with anyio.create_task_group() as group:
        await group.start(StatusServer(Listen(path=str(path)), respond, print).serve)
        with pytest.raises(ServerError, match="another process answers there; give it another in \\[status\\] listen"):
            await StatusServer(Listen(path=str(path)), respond, print).serve()
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b"GET /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert parsed(await rest(stream)).body == b"4"
        group.cancel_scope.cancel()
    assert not path.exists()


@pytest.mark.parametrize(
    ("asked", "packed"),
    [("gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_a_long_answer_is_packed_for_whoever_takes_it(asked: str, packed: bool) -> None:
    def long(path: str) -> StatusResponse:
        return StatusResponse(200, "text/plain", b"x" * 50_000)

    head = f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: {asked}\r\n\r\n"
    async with serving(long) as port:
        heard = parsed(await say(port, head.encode()))
    assert heard.headers["vary"] == "Accept-Encoding"
    assert (heard.headers.get("content-encoding") == "gzip", len(heard.body) < 1000) == (packed, packed)
    assert (gzip.decompress(heard.body) if packed else heard.body) == b"x" * 50_000
