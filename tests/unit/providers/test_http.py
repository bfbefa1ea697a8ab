"""The tests of the HTTP edge: hostile and broken answers, what leaves with a request, and what a fault may say."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from rotator.ports import Fault, Refused, Transient
from rotator.providers.base import TargetConfig
from rotator.providers.http.auth import Auth, Basic, Bearer
from rotator.providers.http.client import HttpClient, HttpResponse, Unsendable, segment
from rotator.rotation.secret import Secret
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password

pytestmark = pytest.mark.anyio

CANARY = "pat_canary-9f31c7.aa.bb"
BODY = "canary-body-5510"
URL = "https://blog.example/halo"
AS_JSON = {"content-type": "application/json"}
Peer = Callable[[httpx.Request], Any]


def http(peer: Peer, clock: HandClock | None = None, **keys: Any) -> HttpClient:
    return HttpClient(
        "blog", TargetConfig(url=URL, **keys), clock or HandClock(), no_password, httpx.MockTransport(peer)
    )


async def ask(peer: Peer, method: str = "GET", clock: HandClock | None = None, **keys: Any) -> HttpResponse:
    edge = http(peer, clock, **keys)
    try:
        return await edge.request(method, "/x?secret=canary-query", Bearer(Secret(CANARY)), cap=1000)
    finally:
        await edge.aclose()


async def fault_of(peer: Peer, method: str = "GET", **more: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        await ask(peer, method, **more)
    told = repr(caught.value) + str(caught.value) + caught.value.reason
    for hidden in (CANARY, BODY, "canary-query", "/halo", "canary-location"):
        assert hidden not in told
    return caught.value


def reply(status: int, content: bytes = b"", headers: Any = ()) -> httpx.Response:
    """An answer that is still to be read, as from a wire."""

    async def body() -> AsyncIterator[bytes]:
        yield content

    return httpx.Response(status, content=body(), headers=headers)


def answers(status: int, content: bytes = b"", **headers: str) -> Peer:
    return lambda request: reply(status, content, {name.replace("_", "-"): text for name, text in headers.items()})


async def test_json_is_decoded_and_only_named_headers_are_kept() -> None:
    answer = await ask(answers(200, b'{"a": 1}', content_type="application/json", set_cookie="s=1", date="today"))
    assert (answer.status, answer.document) == (200, {"a": 1})
    assert set(answer.headers) == {"content-type", "date"}


async def test_neither_document_nor_headers_show_in_an_answers_repr() -> None:
    answer = await ask(answers(200, json.dumps({"token": CANARY}).encode(), content_type="application/json"))
    assert CANARY not in repr(answer)


@pytest.mark.parametrize("status", [200, 204, 401, 404])
async def test_an_empty_answer_has_no_document(status: int) -> None:
    answer = await ask(answers(status))
    assert (answer.status, answer.document) == (status, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 415])
async def test_a_4xx_is_an_answer_without_its_body(status: int) -> None:
    answer = await ask(
        answers(status, BODY.encode(), content_type="application/problem+json", www_authenticate="Bearer x")
    )
    assert (answer.status, answer.document, answer.is_json, answer.challenge) == (status, None, True, "bearer")


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_refused_not_followed_and_not_quoted(status: int) -> None:
    asked = []

    def peer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(status, headers={"location": "https://elsewhere.example/canary-location"})

    fault = await fault_of(peer)
    assert isinstance(fault, Refused)
    assert "https://blog.example" in fault.reason
    assert len(asked) == 1


@pytest.mark.parametrize(
    "headers", [{"content_type": "text/html"}, {"content_type": "text/plain; x=application/json"}, {}], ids=str
)
async def test_a_page_instead_of_json_is_refused(headers: dict[str, str]) -> None:
    fault = await fault_of(answers(200, f"<html>{BODY}</html>".encode(), **headers))
    assert isinstance(fault, Refused)


@pytest.mark.parametrize(
    "content",
    [
        f'{{"a": "{BODY}'.encode(),
        b"[" * 900,
        b'{"a": NaN}',
        b"[1e999, Infinity]",
        b'{"a": "\xff\xfe"}',
        f"{{}} {BODY}".encode(),
    ],
    ids=["cut off", "deep", "NaN", "infinite", "not UTF-8", "trailing"],
)
async def test_broken_json_leaves_the_outcome_unknown(content: bytes) -> None:
    assert isinstance(await fault_of(answers(200, content, content_type="application/json"), "POST"), Transient)


async def test_nesting_beyond_the_decoders_limit_is_a_fault_not_a_crash(clock: HandClock) -> None:
    edge = http(answers(200, b"[" * 200_000 + b"]" * 200_000, content_type="application/json"))
    with pytest.raises(Transient):
        await edge.request("GET", "/x")


async def test_a_doubled_key_is_tolerated() -> None:
    assert (await ask(answers(200, b'{"a": 1, "a": 2}', content_type="application/json"))).document == {"a": 2}


@pytest.mark.parametrize(("method", "kind"), [("GET", Refused), ("POST", Transient)])
async def test_a_giant_is_not_read_to_its_end(method: str, kind: type[Fault]) -> None:
    sent = 0

    async def giant() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100
            yield b" " * 100

    fault = await fault_of(lambda request: httpx.Response(200, content=giant(), headers=AS_JSON), method)
    assert isinstance(fault, kind)
    assert sent <= 1200


async def test_a_compressed_answer_is_refused_unopened() -> None:
    bomb = gzip.compress(b"[" + b"1," * 500_000 + b"1]")[:900]
    fault = await fault_of(answers(200, bomb, content_type="application/json", content_encoding="gzip"))
    assert isinstance(fault, Refused)


async def test_a_drip_ends_at_the_deadline_although_every_byte_is_in_time() -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await anyio.lowlevel.checkpoint()

    def peer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=drip(), headers=AS_JSON)

    edge = http(peer, deadline=timedelta(milliseconds=20))
    with pytest.raises(Transient, match="no answer within"), anyio.fail_after(1):
        await edge.request("GET", "/x", cap=1 << 30)


async def test_a_call_to_a_target_that_was_closed_is_not_sent() -> None:
    edge = http(answers(200))
    await edge.aclose()
    with pytest.raises(Transient, match="not sent"):
        await edge.request("GET", "/x")


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError(CANARY),
        httpx.ReadTimeout(CANARY),
        httpx.RemoteProtocolError(CANARY),
        httpx.LocalProtocolError(CANARY),
        ssl.SSLError(1, CANARY),
        ConnectionResetError(CANARY),
        TimeoutError(CANARY),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_on_the_way_is_transient_and_quotes_nothing(error: Exception) -> None:
    def peer(request: httpx.Request) -> httpx.Response:
        raise error

    fault = await fault_of(peer)
    assert isinstance(fault, Transient)
    assert fault.__suppress_context__


async def test_a_body_that_breaks_off_is_transient() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"[1,"
        raise httpx.RemoteProtocolError(BODY)

    assert isinstance(await fault_of(lambda request: httpx.Response(200, content=broken(), headers=AS_JSON)), Transient)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
async def test_a_5xx_leaves_the_outcome_unknown(status: int) -> None:
    fault = await fault_of(answers(status, BODY.encode(), content_type="text/html"))
    assert isinstance(fault, Transient)
    assert fault.retry_after is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", 3600.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2099 12:00:00 GMT", 3600.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("", None),
    ],
)
async def test_retry_after_is_read_in_either_form_and_capped(value: str, wait: float | None) -> None:
    fault = await fault_of(lambda request: reply(429, headers=[(b"retry-after", value.encode())]))
    assert isinstance(fault, Transient)
    assert fault.retry_after == wait


async def test_no_call_leaves_before_the_target_allows_it(clock: HandClock) -> None:
    asked = []

    def peer(request: httpx.Request) -> httpx.Response:
        asked.append(clock.monotonic())
        return reply(*((429, b"", {"retry-after": "120"}) if len(asked) == 1 else (200, b"[]", AS_JSON)))

    edge = http(peer, clock)
    for _ in range(2):
        with pytest.raises(Transient) as caught:
            await edge.request("GET", "/x")
        assert caught.value.retry_after == pytest.approx(120)
    assert len(asked) == 1
    clock.move(115)
    await edge.request("GET", "/x")
    assert asked[1] - asked[0] == pytest.approx(120)


async def test_a_request_carries_what_it_needs_and_no_cookie() -> None:
    seen: list[httpx.Request] = []

    def peer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return reply(200, headers={"set-cookie": "SESSION=canary; Path=/"})

    edge = http(peer)
    for _ in range(2):
        await edge.request("POST", "/apis/x", Basic("minter", Secret("canary-päss:word")), json={"a": 1})
    first, second = seen
    assert str(first.url) == f"{URL}/apis/x"
    assert first.headers["authorization"] == "Basic bWludGVyOmNhbmFyeS1ww6Rzczp3b3Jk"
    assert first.headers["x-requested-with"] == "XMLHttpRequest"
    assert first.headers["accept"] == "application/json"
    assert first.headers["accept-encoding"] == "identity"
    assert "cookie" not in second.headers


async def test_a_caller_without_credentials_sends_none() -> None:
    seen: list[httpx.Request] = []
    edge = http(lambda request: seen.append(request) or reply(200))
    await edge.request("GET", "/x")
    assert "authorization" not in seen[0].headers


@pytest.mark.parametrize(
    "auth",
    [
        Bearer(Secret(f"{CANARY}\n")),
        Bearer(Secret(f"{CANARY} x")),
        Bearer(Secret(f"{CANARY}\r\nX-Evil: 1")),
        Bearer(Secret(f"{CANARY}é")),
        Basic("a:b", Secret(CANARY)),
        Basic("a", Secret(f"{CANARY}\ud800")),
    ],
    ids=["newline", "blank", "injection", "not ASCII", "colon", "surrogate"],
)
async def test_a_secret_that_fits_no_header_is_never_sent_nor_quoted(auth: Auth) -> None:
    sent: list[httpx.Request] = []
    edge = http(lambda request: sent.append(request) or reply(200))
    with pytest.raises(Unsendable) as caught:
        await edge.request("GET", "/x", auth)
    assert CANARY not in str(caught.value)
    assert sent == []


@pytest.mark.parametrize(
    ("name", "quoted"), [("a-b.c", "a-b.c"), ("a/b", "a%2Fb"), ("ü ?#%", "%C3%BC%20%3F%23%25"), ("...", "...")]
)
async def test_a_name_is_quoted_into_one_segment(name: str, quoted: str) -> None:
    assert segment(name) == quoted
    seen: list[httpx.Request] = []
    await http(lambda request: seen.append(request) or reply(200)).request("GET", f"/p/{segment(name)}/q")
    assert seen[0].url.raw_path.decode() == f"/halo/p/{quoted}/q"


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_climb_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        segment(name)


async def test_what_is_to_leave_by_a_time_is_not_sent_later_not_even_after_waiting_for_its_turn(
    clock: HandClock,
) -> None:
    sent: list[httpx.Request] = []
    edge = http(lambda request: sent.append(request) or reply(200), clock, calls=1, period=timedelta(seconds=8))
    await edge.request("POST", "/x", by=clock.monotonic())
    with pytest.raises(Transient, match="not sent: too late"):
        await edge.request("POST", "/x", by=clock.monotonic() + 7)
    assert len(sent) == 1
    assert clock.slept == [8.0]


@pytest.mark.parametrize("path", ["/" + "a" * 70_000, "/a\x00b", "/a\nb"])
async def test_an_address_that_cannot_be_used_is_a_refusal_that_does_not_quote_it(path: str) -> None:
    with pytest.raises(Refused) as caught:
        await http(lambda request: reply(200)).request("GET", path)
    assert "its address cannot be used" in caught.value.reason
    assert len(caught.value.reason) < 200


def test_what_is_no_handle_of_a_token_is_no_segment() -> None:
    with pytest.raises(Refused, match="1 to 512 characters"):
        segment("a" * 65 * 1024)
