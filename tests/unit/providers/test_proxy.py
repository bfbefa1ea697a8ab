"""Calls to a target through a proxy: over real sockets, in peace and in every sort of trouble."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from rotator.host.proxy import Proxy, authorization
from rotator.observe.logs.redaction import redact
from rotator.ports import Refused, Transient
from rotator.providers.base import TargetConfig
from rotator.providers.http.auth import Bearer
from rotator.providers.http.client import Broken, HttpClient
from rotator.providers.http.hook_client import HookClient
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from tests.kit.certificates import self_signed
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password
from tests.unit.providers.forward_proxy import Asked, ForwardProxy, forward_proxy
from tests.unit.providers.test_tls import answer, certify, serving

pytestmark = pytest.mark.anyio

PASSWORD = "canary-proxy-Zq8RtW2mLx5Kp"
LOGIN = ("rotator", PASSWORD)
REF = SecretRef(SecretSource.FILE, "/run/secrets/proxy")
TOKEN = Bearer(Secret("canary-token-Kx7QpL2mZw9RtY4"))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
SHORT = {"timeout": 0.5, "deadline": 2.0}


class Kept:
    """Where the password is kept; what is None cannot be read."""

    def __init__(self, password: str | None = PASSWORD) -> None:
        self.password = password

    async def fetch(self, ref: SecretRef) -> Secret:
        if self.password is None:
            raise Refused(f"{ref} cannot be read: No such file or directory")
        return Secret(self.password)


def target(url: str, proxy: Proxy, ca_file: object = None, kept: Kept | None = None, **more: object) -> HttpClient:
    spans = {name: timedelta(seconds=value) for name, value in SHORT.items()}
    keys = TargetConfig(url=url, ca_file=str(ca_file) if ca_file else None, proxy=proxy, **{**spans, **more})
    return HttpClient("blog", keys, HandClock(), (kept or Kept()).fetch)


@contextmanager
def proxied(**wishes: object) -> Iterator[tuple[ForwardProxy, Proxy]]:
    with forward_proxy(**wishes) as running:
        known = {"username": LOGIN[0], "password": REF} if running.login else {}
        yield running, Proxy(running.url, **known)


@pytest.fixture
async def plain() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A plain server on loopback, with what it heard; at /odd it refuses in a page, at /no in JSON."""
    heard: list[bytes] = []

    async def serve(stream: ByteStream) -> None:
        async with stream:
            asked = await stream.receive()
            heard.append(asked)
            line, body = b"200 OK\r\nContent-Type: application/json", b"[]"
            if b" /odd" in asked:
                line, body = b"403 Forbidden\r\nContent-Type: text/html", b"<p>no</p>"
            elif b" /no" in asked:
                line = b"403 Forbidden\r\nContent-Type: application/json"
            elif b" /page" in asked:
                line, body = b"200 OK\r\nContent-Type: text/html", b"<p>yes</p>"
            elif b" /else" in asked:
                line, body = b"302 Found\r\nLocation: /x", b""
            await stream.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (line, len(body), body))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", heard
        group.cancel_scope.cancel()


async def refused(edge: HttpClient, path: str = "/x", method: str = "GET") -> Transient:
    try:
        with pytest.raises(Transient) as fault:
            await edge.request(method, path, TOKEN)
        assert PASSWORD not in repr(fault.value)
        return fault.value
    finally:
        await edge.aclose()


# --- the way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [None, LOGIN])
async def test_an_https_target_is_met_through_a_tunnel(tmp_path: Path, login: tuple[str, str] | None) -> None:
    pem = certify(tmp_path)
    async with serving(pem) as url:
        with proxied(login=login) as (running, proxy):
            edge = target(url, proxy, pem)
            assert (await edge.request("GET", "/x", TOKEN)).document == []
            await edge.aclose()
    assert [(each.method, each.target) for each in running.asked] == [("CONNECT", url.removeprefix("https://"))]
    assert TOKEN.secret.reveal().encode() not in running.heard


@pytest.mark.parametrize("login", [None, LOGIN])
async def test_a_plain_target_is_asked_for_by_its_whole_address(
    plain: tuple[str, list[bytes]], login: tuple[str, str] | None
) -> None:
    url, heard = plain
    with proxied(login=login) as (running, proxy):
        edge = target(url, proxy)
        assert (await edge.request("GET", "/x?y=1", TOKEN)).document == []
        await edge.aclose()
    assert [(each.method, each.target) for each in running.asked] == [("GET", f"{url}/x?y=1")]
    assert heard[0].startswith(b"GET /x?y=1 ")
    assert b"roxy-" not in heard[0]


async def test_the_proxys_login_does_not_go_through_the_tunnel(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def listen(stream: ByteStream) -> None:
        async with stream:
            heard.append(await stream.receive())
            await stream.send(OK)

    pem = certify(tmp_path)
    async with serving(pem, listen) as url:
        with proxied(login=LOGIN) as (running, proxy):
            edge = target(url, proxy, pem)
            await edge.request("POST", "/x", TOKEN, json={})
            await edge.aclose()
    assert "proxy-authorization: basic" in running.asked[0].head.lower()
    assert b"roxy-" not in heard[0]


async def test_the_targets_name_is_looked_up_by_the_proxy(plain: tuple[str, list[bytes]]) -> None:
    url, _ = plain
    with proxied() as (running, proxy):
        running.hosts["blog.invalid"] = int(url.rpartition(":")[2])
        edge = target("http://blog.invalid", proxy, allow_insecure_http=True)
        assert (await edge.request("GET", "/x")).document == []
        await edge.aclose()


async def test_an_https_proxy_is_believed_by_an_authority_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    context, authority = self_signed(tmp_path / "proxy", "127.0.0.1")
    pem = certify(tmp_path)
    async with serving(pem) as url:
        with forward_proxy(LOGIN, tls=context) as running:
            own = Proxy(running.url, LOGIN[0], REF, ca_file=authority)
            edge = target(url, own, pem)
            assert (await edge.request("GET", "/x")).document == []
            await edge.aclose()
            unknown = Proxy(running.url, LOGIN[0], REF)
            fault = await refused(target(url, unknown, pem))
            other = await refused(target(url, own))
    assert f"the proxy {running.url} cannot be reached: its certificate is not issued by" in fault.what
    assert "the proxy" not in other.what.partition(" failed: ")[2]
    assert "CN=sandbox, for 127.0.0.1" in other.what


async def test_a_plain_target_through_an_https_proxy(tmp_path: Path, plain: tuple[str, list[bytes]]) -> None:
    context, authority = self_signed(tmp_path, "127.0.0.1")
    url, _ = plain
    with forward_proxy(LOGIN, tls=context) as running:
        edge = target(url, Proxy(running.url, LOGIN[0], REF, ca_file=authority))
        assert (await edge.request("GET", "/x")).document == []
        await edge.aclose()


async def test_the_environment_names_no_other_proxy(
    plain: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "*")
    with proxied() as (running, proxy):
        edge = target(plain[0], proxy)
        await edge.request("GET", "/x")
        await edge.aclose()
    assert len(running.asked) == 1


# --- its login ----------------------------------------------------------------------------------------------------


async def test_another_password_is_used_at_once_and_on_no_old_connection(tmp_path: Path) -> None:
    async def serve(stream: ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while await stream.receive():
                    await stream.send(OK)

    pem, kept = certify(tmp_path), Kept()
    async with serving(pem, serve) as url:
        with proxied(login=LOGIN) as (running, proxy):
            edge = target(url, proxy, pem, kept)
            for _ in range(3):
                await edge.request("GET", "/x")
            assert running.connections == 1
            running.login = (LOGIN[0], "canary-proxy-next-7Gq2Wx9Tz")
            kept.password = running.login[1]
            await edge.request("GET", "/x")
            assert running.connections == 2
            await anyio.to_thread.run_sync(running.await_open, 1)
            kept.password = None  # a file that is being replaced: the one before is good
            await edge.request("GET", "/x")
            assert running.connections == 2
            await edge.aclose()


async def test_a_password_that_cannot_be_had_is_a_fault_of_the_way(plain: tuple[str, list[bytes]]) -> None:
    with proxied(login=LOGIN) as (running, proxy):
        fault = await refused(target(plain[0], proxy, kept=Kept(None)))
    assert (
        f"the password of the proxy {running.url} cannot be had: file:/run/secrets/proxy cannot be read" in fault.what
    )
    assert running.asked == []


async def test_the_redactor_knows_password_and_header() -> None:
    secret = Secret(PASSWORD)
    header = authorization("rotator", secret)
    assert PASSWORD not in redact(f"a {PASSWORD} b")
    assert header.removeprefix("Basic ") not in redact(f"Proxy-Authorization: {header}")


# --- its faults ---------------------------------------------------------------------------------------------------

TROUBLES = {
    "407": ("refuses our login (407)", "compare username and password"),
    "401": ("refuses our login (401)", "compare username and password"),
    "403": ("does not let us through to 127.0.0.1:", "allow that in the proxy's rules"),
    "404": ("does not let us through to 127.0.0.1:", "allow that in the proxy's rules"),
    "302": ("does not let us through to 127.0.0.1:", "allow that in the proxy's rules"),
    "502": ("cannot reach 127.0.0.1:", "is that server up, and known to the proxy?"),
    "503": ("cannot reach 127.0.0.1:", "is that server up, and known to the proxy?"),
    "504": ("cannot reach 127.0.0.1:", "is that server up, and known to the proxy?"),
    "hang": ("did not answer in time", "see the proxy's own log"),
    "reset": ("closed the connection without an answer", "see the proxy's own log"),
    "silence": ("closed the connection without an answer", "see the proxy's own log"),
    "garbage": ("answers is not HTTP", "is it a proxy for HTTP?"),
    "drip": ("did not answer in time", "see the proxy's own log"),
    "hints": ("did not answer in time", "see the proxy's own log"),
    "endless": ("answers is not HTTP", "is it a proxy for HTTP?"),
    "chatty": ("answers is not HTTP", "is it a proxy for HTTP?"),
}


@pytest.mark.parametrize("deed", TROUBLES)
async def test_what_a_proxy_does_to_a_tunnel_is_its_own_fault(tmp_path: Path, deed: str) -> None:
    said, remedy = TROUBLES[deed]
    long = {} if "in time" in said else dict.fromkeys(SHORT, timedelta(minutes=1))  # however slow this machine is
    pem = certify(tmp_path)
    async with serving(pem) as url:
        with proxied(deed=deed, login=LOGIN) as (running, proxy):
            fault = await refused(target(url, proxy, pem, **long), method="POST")
    assert f"POST to blog ({url}) through the proxy {running.url} failed: " in fault.what
    assert said in fault.what
    assert remedy in fault.remedy
    assert not isinstance(fault, Broken)


async def test_a_proxy_that_is_down(tmp_path: Path) -> None:
    with proxied() as (running, proxy):
        pass
    for url in ("https://blog.invalid", "http://blog.invalid"):
        fault = await refused(target(url, proxy, allow_insecure_http=True))
        assert f"the proxy {running.url} cannot be reached: nothing listens there (connection refused)" in fault.what
        assert fault.remedy == "is it up, and its address in `proxy` right?"


async def test_a_proxy_without_a_known_name() -> None:
    fault = await refused(
        target("https://blog.example", Proxy("http://proxy.invalid:3128"), deadline=timedelta(minutes=1))
    )
    assert "the proxy http://proxy.invalid:3128 cannot be reached: its name " in fault.what


async def test_who_wants_a_login_is_told_from_who_refuses_it(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    async with serving(pem) as url:
        with forward_proxy(LOGIN) as running:
            fault = await refused(target(url, Proxy(running.url), pem))
    assert f"the proxy {running.url} wants a login (407)" in fault.what


async def test_a_server_that_the_proxy_cannot_reach(plain: tuple[str, list[bytes]]) -> None:
    with proxied() as (running, proxy):
        fault = await refused(target("https://127.0.0.1:9", proxy))
        assert f"the proxy {running.url} cannot reach 127.0.0.1:9 now (502)" in fault.what
        fault = await refused(target("http://127.0.0.1:9", proxy))
    assert isinstance(fault, Broken)
    assert f"through the proxy {running.url}: 502, outcome unknown" in fault.what


async def test_a_tunnel_that_breaks_in_the_midst_of_an_answer(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    with proxied() as (running, proxy):

        async def broken(stream: ByteStream) -> None:
            async with stream:
                await stream.receive()
                await stream.send(
                    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n["
                )
                running.abort()

        async with serving(pem, broken) as url:
            fault = await refused(target(url, proxy, pem), method="POST")
    assert f"POST to blog ({url}) through the proxy {running.url} failed: " in fault.what


@pytest.mark.parametrize("deed", ["cut", "late", "lose", "hang", "reset", "silence", "garbage"])
async def test_a_forwarded_call_whose_answer_is_lost_has_no_known_outcome(
    plain: tuple[str, list[bytes]], deed: str
) -> None:
    with proxied(deed=deed) as (running, proxy):
        fault = await refused(target(plain[0], proxy), method="POST")
    assert f"through the proxy {running.url}" in fault.what
    assert type(fault) is (Broken if deed == "lose" else Transient)


@pytest.mark.parametrize("status", ["407", "400", "401", "403", "404", "405", "451", "200", "302"])
async def test_a_page_of_the_proxys_own_is_no_word_of_the_target(plain: tuple[str, list[bytes]], status: str) -> None:
    url, heard = plain
    with proxied(deed=status) as (running, proxy):
        fault = await refused(target(url, proxy))
    assert f"through the proxy {running.url}: " in fault.what
    assert status in fault.what
    assert fault.remedy
    assert heard == []


async def test_over_plain_http_a_page_may_be_the_proxys_and_json_is_the_targets(
    plain: tuple[str, list[bytes]],
) -> None:
    with proxied() as (_, proxy):
        for path in ("/odd", "/page", "/else"):
            assert "two cannot be told apart" in (await refused(target(plain[0], proxy), path)).remedy
        edge = target(plain[0], proxy)
        assert (await edge.request("GET", "/no", TOKEN)).status == 403
        await edge.aclose()


async def test_a_407_is_nobodys_verdict_on_a_credential_without_a_proxy_either() -> None:
    async def wants(stream: ByteStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, wants)
        url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        fault = await refused(HttpClient("blog", TargetConfig(url=url), HandClock(), no_password))
        group.cancel_scope.cancel()
    assert "something on the way wants to be logged in to as a proxy (407)" in fault.what


async def test_no_socket_stays_open_whatever_a_proxy_does(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    async with serving(pem) as url:
        for deed in ("407", "hang", "garbage", "chatty", "silence"):
            with proxied(deed=deed, login=LOGIN) as (running, proxy):
                await refused(target(url, proxy, pem))
                await anyio.to_thread.run_sync(running.await_open, int(deed == "hang"))
    gc.collect()


# --- hooks --------------------------------------------------------------------------------------------------------


async def test_a_hook_goes_through_its_proxy(tmp_path: Path, plain: tuple[str, list[bytes]]) -> None:
    pem = certify(tmp_path)
    async with serving(pem, answer) as safe:
        with proxied(login=LOGIN) as (running, proxy):
            for url, ca_file in ((safe, str(pem)), (plain[0], None)):
                box = HookClient(Kept().fetch, ca_file, proxy=proxy)
                await box.send("POST", f"{url}/hook", 5.0, b"{}")
                await box.aclose()
    assert [each.method for each in running.asked] == ["CONNECT", "POST"]
    assert b"roxy-" not in plain[1][0]


@pytest.mark.parametrize("status", ["407", "403", "502"])
async def test_a_hook_whose_proxy_is_in_trouble_says_so(plain: tuple[str, list[bytes]], status: str) -> None:
    with proxied(deed=lambda asked: status if isinstance(asked, Asked) else "") as (running, proxy):
        box = HookClient(no_password, proxy=proxy)
        for url in (plain[0], plain[0].replace("http:", "https:")):
            with pytest.raises(Transient, match=rf"through the proxy {running.url}.*{status}"):
                await box.send("POST", f"{url}/hook", 5.0, b"{}")
        await box.aclose()
