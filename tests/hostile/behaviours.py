"""What a bad server does to one request: a table, each line a name and a deed."""

from __future__ import annotations

import gzip
import json
import ssl
import warnings
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from tests.hostile.wire import Asked, Reply, Upstream, reset
from tests.kit.certificates import Authority

MIB = 1 << 20
PAGE = b"<html><body>Please sign in</body></html>"
NO_ROUTE = b'{"message":"no Route matched with those values"}'
FOREVER = 10_000_000
HTML = {"Content-Type": "text/html; charset=utf-8"}


class Over(Exception):  # noqa: N818 (it is no error)
    """The connection is at its end, by the server's will."""


@dataclass(frozen=True)
class Case:
    """One request in the hands of a bad server: `honest` asks the true one, and then the effect has taken place."""

    link: ByteStream
    asked: Asked
    upstream: Upstream

    async def honest(self) -> Reply:
        return await self.upstream(self.asked)

    async def say(self, *pieces: bytes, pause: float = 0.0) -> None:
        for piece in pieces:
            await self.link.send(piece)
            await anyio.sleep(pause)


Deed = Callable[[Case], Awaitable[None]]
Shake = Callable[[ByteStream, Authority], Awaitable[ByteStream]]


@dataclass(frozen=True)
class Behaviour:
    """A deed; `spoils`: nobody can make sense of what is answered. `heavy`: memory is what it is after."""

    deed: Deed
    spoils: bool = True
    heavy: bool = False
    honest: bool = False  # the positive control: everything must succeed
    posing: bool = False  # a 401, or dates made up: only some targets have a form by which their own word is known
    shake: Shake | None = None  # what happens to TLS before any request


BEHAVIOURS: dict[str, Behaviour] = {}


def deed(name: str, *, spoils: bool = True, heavy: bool = False) -> Callable[[Deed], Deed]:
    def enter(function: Deed) -> Deed:
        BEHAVIOURS[name] = Behaviour(function, spoils, heavy)
        return function

    return enter


def answer(
    name: str,
    make: Callable[[Reply], Reply | bytes],
    *,
    spoils: bool = True,
    heavy: bool = False,
    ends: bool = False,
    posing: bool = False,
) -> None:
    """A behaviour that is an answer made from the honest one. `ends`: and then the connection is closed."""

    async def act(case: Case) -> None:
        made = make(await case.honest())
        await case.say(made.raw if isinstance(made, Reply) else made)
        if ends:
            raise Over

    BEHAVIOURS[name] = Behaviour(act, spoils, heavy, posing=posing)


# --- nothing, or not to the end ---------------------------------------------------------------------------------------


@deed("no answer")
async def _(case: Case) -> None:
    await anyio.sleep_forever()


@deed("an effect, and no answer")
async def _(case: Case) -> None:
    await case.honest()
    await anyio.sleep_forever()


@deed("closed at once")
async def _(case: Case) -> None:
    raise Over


@deed("reset at once")
async def _(case: Case) -> None:
    reset(case.link)


@deed("an effect, and a reset")
async def _(case: Case) -> None:
    await case.honest()
    reset(case.link)


@deed("reset within the head")
async def _(case: Case) -> None:
    await case.say((await case.honest()).raw[:20])
    reset(case.link)


@deed("reset within the body")
async def _(case: Case) -> None:
    reply = await case.honest()
    await case.say(reply.head(Content_Length=str(len(reply.body) + 9)), reply.body)
    reset(case.link)


@deed("half a head, then silence")
async def _(case: Case) -> None:
    await case.say(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await anyio.sleep_forever()


@deed("a head, then silence")
async def _(case: Case) -> None:
    await case.say(Reply().head(Content_Length="100"))
    await anyio.sleep_forever()


@deed("a head that drips")
async def _(case: Case) -> None:
    await case.say(b"HTTP/1.1 200 OK\r\nX-Padding: ")
    await case.say(*[b"x"] * 60_000, pause=0.05)


@deed("a head without end")
async def _(case: Case) -> None:
    await case.say(b"HTTP/1.1 200 OK\r\n")
    for number in range(FOREVER):
        await case.say(f"X-{number}: y\r\n".encode(), pause=0.01)


@deed("a body that drips")
async def _(case: Case) -> None:
    await case.say(Reply().head(Content_Length="60000"))
    await case.say(*[b" "] * 60_000, pause=0.05)


@deed("chunks without end")
async def _(case: Case) -> None:
    await case.say(Reply().head(Content_Length="", Transfer_Encoding="chunked"))
    for _ in range(FOREVER):
        await case.say(b"1\r\n \r\n", pause=0.02)


@deed("a body without end", heavy=True)
async def _(case: Case) -> None:
    await case.say(Reply().head(Content_Length=""))
    for _ in range(FOREVER):
        await case.say(b" " * 65536)


@deed("continue, continue, continue")
async def _(case: Case) -> None:
    for _ in range(FOREVER):
        await case.say(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.02)


@deed("slow, but in time", spoils=False)
async def _(case: Case) -> None:
    await anyio.sleep(0.05)
    raw = (await case.honest()).raw
    await case.say(raw[:30], raw[30:], pause=0.02)


# --- HTTP that is none ------------------------------------------------------------------------------------------------

BEHAVIOURS["honest"] = Behaviour(lambda case: _honestly(case), spoils=False, honest=True)
answer(
    "a length that is too long",
    lambda it: it.head(Content_Length=str(len(it.body) + 5)) + it.body,
    spoils=False,  # all that there is has come
    ends=True,
)
answer("a length that is too short", lambda it: it.head(Content_Length=str(len(it.body) // 2)) + it.body, ends=True)
answer("a negative length", lambda it: it.head(Content_Length="-5") + it.body, spoils=False, ends=True)
answer("a length in words", lambda it: it.head(Content_Length="many") + it.body, spoils=False, ends=True)
answer(
    "two lengths",
    lambda it: it.head().replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n") + it.body,
    spoils=False,
    ends=True,
)
answer(
    "a length and chunks",
    lambda it: it.head(Transfer_Encoding="chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(it.body), it.body),
    spoils=False,
    ends=True,
)
answer("chunks of no size", lambda it: it.head(Content_Length="", Transfer_Encoding="chunked") + b"zz\r\n", ends=True)
answer("a chunk cut off", lambda it: it.head(Content_Length="", Transfer_Encoding="chunked") + b"ff\r\n{", ends=True)
answer("not HTTP", lambda it: b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ends=True)
answer("HTTP/0.9", lambda it: it.body or b"{}", ends=True)
answer("HTTP/2 at once", lambda it: b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", ends=True)
answer("a null in a header", lambda it: it.head(X_Odd="a\0b") + it.body, spoils=False, ends=True)
answer(
    "a bare line feed in a header", lambda it: it.head(X_Odd="a\nHTTP/1.1 200 OK") + it.body, spoils=False, ends=True
)
answer("a header of one MiB", lambda it: it.head(X_Odd="a" * MIB) + it.body, heavy=True, ends=True)
answer(
    "thousands of headers",
    lambda it: it.head(**{f"X-{n}": "y" for n in range(9000)}) + it.body,
    spoils=False,  # some read 100 KB of them
    ends=True,
)
answer("status 000", lambda it: b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n", ends=True)
answer("status 999", lambda it: Reply(999, it.body))
answer("switching protocols", lambda it: b"HTTP/1.1 101 Odd\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n", ends=True)
answer("a partial answer", lambda it: Reply(206, it.body[: len(it.body) // 2]))
answer("a second answer behind the first", lambda it: it.raw + Reply(200, b'{"data":{"version":77}}').raw, spoils=False)

# --- answers of somebody else -----------------------------------------------------------------------------------------

answer("a page", lambda it: Reply(200, PAGE, HTML))
answer("a page called JSON", lambda it: Reply(200, PAGE))
answer("a page with 401", lambda it: Reply(401, PAGE, HTML), posing=True)
answer(
    "a page with 401 and a challenge",
    lambda it: Reply(401, PAGE, HTML | {"WWW-Authenticate": "Negotiate"}),
    posing=True,
)
answer("a page with 403", lambda it: Reply(403, PAGE, HTML))
answer("a page with 404", lambda it: Reply(404, PAGE, HTML))
answer("a gateway's 404", lambda it: Reply(404, NO_ROUTE))


@deed("a gateway's 404, and no effect")
async def _(case: Case) -> None:
    await case.say(Reply(404, NO_ROUTE).raw)


answer("a gateway's 400", lambda it: Reply(400, b'{"message":"bad"}'))
answer("500", lambda it: Reply(500, PAGE, HTML))
answer("502", lambda it: Reply(502, PAGE, HTML))
answer("503, come back in a million years", lambda it: Reply(503, b"", {"Retry-After": "9" * 400}))
answer(
    "429, come back on no day", lambda it: Reply(429, b"", {"Retry-After": "Mon, 01 Jan 2026 00:00:00 +" + "9" * 20})
)
answer("sent elsewhere", lambda it: Reply(302, b"", {"Location": "https://elsewhere.test/login"}))
answer("sent elsewhere, with the request", lambda it: Reply(307, b"", {"Location": "http://127.0.0.2:9/"}))
answer("sent round in circles", lambda it: Reply(308, b"", {"Location": "/"}))
answer("sent to a script", lambda it: Reply(302, b"", {"Location": "javascript:x"}))
answer("sent to a name that is none", lambda it: Reply(302, b"", {"Location": "http://xn--/"}))
answer("sent nowhere", lambda it: Reply(301, b"", {"Location": "http://[bad:99999999/\xff"}))

# --- bodies -----------------------------------------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(size)) + packer.flush()


_BOMB = bomb(512)
_LONG = json.dumps({"data": "x" * 10 * MIB}).encode()
_KEYS = b'{"data":{' + b",".join(b'"k%d":1' % number for number in range(280_000)) + b"}}"
_LISTS = b"[" + b"[]," * (10 * MIB) + b"[]]"


def twice(value: Any) -> bytes:
    """The JSON with every key a second time, and another value for it."""
    if isinstance(value, dict):
        pairs = [(json.dumps(key).encode(), twice(item)) for key, item in value.items()]
        return b"{" + b",".join([b"%b:%b" % pair for pair in pairs] + [b"%b:[7]" % key for key, _ in pairs]) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(twice, value)) + b"]"
    return json.dumps(value).encode()


def bent(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: bent(item, leaf) for key, item in value.items()}
    return [bent(item, leaf) for item in value] if isinstance(value, list) else leaf(value)


def other_type(value: Any) -> Any:
    return {"odd": value} if isinstance(value, str) else "odd"


def extreme(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return 10**400
    looks_dated = isinstance(value, str) and len(value) > 18 and value[4] == value[7] == "-"
    return "9999-12-31T23:59:59.999999-14:00" if looks_dated else value


def packed(it: Reply, body: bytes, coding: str) -> Reply:
    return replace(it, status=200, body=body, headers=it.headers | {"Content-Encoding": coding})


answer("nothing", lambda it: replace(it, status=200, body=b""))
answer("a compression bomb", lambda it: packed(it, _BOMB, "gzip"), heavy=True)
answer("a bomb in a bomb", lambda it: packed(it, gzip.compress(_BOMB), "gzip, gzip"), heavy=True)
answer("compressed without being asked", lambda it: packed(it, gzip.compress(it.body), "gzip"), spoils=False)
answer("a coding that nobody knows", lambda it: packed(it, it.body, "odd"))
answer("deep JSON", lambda it: it.saying(0).head(Content_Length="100000") + b"[" * 100_000)
answer("deep JSON that ends", lambda it: replace(it, status=200, body=b'{"a":' * 99999 + b"1" + b"}" * 99999))
answer("not a number", lambda it: replace(it, status=200, body=b'{"data": NaN, "x": Infinity}'))
answer("every key twice", lambda it: replace(it, status=200, body=twice(it.document)))
answer("not UTF-8", lambda it: replace(it, status=200, body=b'{"data": "\xff\xfe"}'))
answer("UTF-16", lambda it: replace(it, status=200, body=it.body.decode().encode("utf-16")))
answer("ten MiB of JSON", lambda it: replace(it, status=200, body=_LONG), heavy=True)
answer("more keys than anybody has", lambda it: replace(it, status=200, body=_KEYS), heavy=True)
answer("ten million lists", lambda it: replace(it, status=200, body=_LISTS), heavy=True)
answer("null", lambda it: it.saying(None))
answer("a number", lambda it: it.saying(7))
answer("a list of lists", lambda it: it.saying([[], [[]]]))
answer("an empty object", lambda it: it.saying({}))
answer("folders without end", lambda it: it.saying({"data": {"keys": ["deeper/"]}}))
answer("JSON cut off", lambda it: replace(it, status=200, body=it.body[:-1] if it.body else b"{"))
answer("two documents", lambda it: replace(it, status=200, body=(it.body or b"{}") * 2))
answer("other types", lambda it: it.saying(bent(it.document, other_type)))
answer("numbers and dates beyond the end", lambda it: it.saying(bent(it.document, extreme)), spoils=False, posing=True)
answer(
    "half a character",
    lambda it: it.saying(bent(it.document, lambda v: "\ud800" if isinstance(v, str) else v)),
    spoils=False,
)
answer(
    "wild cookies",
    lambda it: it.head(Set_Cookie="a=b; expires=Mon, 99 Foo 99999 99:99:99; domain=.; max-age=" + "9" * 50) + it.body,
    spoils=False,
)
answer("a wild date", lambda it: it.head(Date="Fri, 31 Dec 9999 23:59:59 -0500") + it.body, spoils=False)
answer("a wilder date", lambda it: it.head(Date="Mon, 01 Jan 2026 00:00:00 +" + "9" * 30) + it.body, spoils=False)

# --- TLS --------------------------------------------------------------------------------------------------------------


async def _honestly(case: Case) -> None:
    await case.say((await case.honest()).raw)


def tls(name: str, shake: Shake, act: Deed = _honestly, *, spoils: bool = True) -> None:
    BEHAVIOURS[name] = Behaviour(act, spoils, shake=shake)


def serving(make: Callable[[Authority], ssl.SSLContext]) -> Shake:
    async def shake(link: ByteStream, authority: Authority) -> ByteStream:
        context = make(authority)
        context.verify_mode = ssl.CERT_OPTIONAL  # a client that has a certificate shows it
        context.load_verify_locations(authority.ca_file)
        return await TLSStream.wrap(link, server_side=True, ssl_context=context, standard_compatible=False)

    return shake


def _old(authority: Authority) -> ssl.SSLContext:
    context: ssl.SSLContext = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an old server is what is wanted here
        context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    return context


async def _stall(link: ByteStream, authority: Authority) -> ByteStream:
    await link.receive()
    await anyio.sleep_forever()
    return link


async def _babble(link: ByteStream, authority: Authority) -> ByteStream:
    await link.receive()
    await link.send(b"\x16\x03\x03\xff\xff" + b"\0" * 70000)
    return link


async def _drip_handshake(link: ByteStream, authority: Authority) -> ByteStream:
    await link.receive()
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 16384:
        await link.send(bytes([byte]))
        await anyio.sleep(0.05)
    return link


async def _plain(link: ByteStream, authority: Authority) -> ByteStream:
    await link.receive()
    await link.send(Reply(200, b"{}").raw)
    return link


async def _hang_up(link: ByteStream, authority: Authority) -> ByteStream:
    await link.receive()
    raise Over


async def _cut_silently(case: Case) -> None:
    reply = await case.honest()
    await case.say(reply.head(Content_Length="") + reply.body[:-1])
    raise Over


BEHAVIOURS["TLS: honest"] = Behaviour(_honestly, spoils=False, honest=True, shake=serving(lambda ca: ca.context()))
tls("TLS: expired", serving(lambda ca: ca.context(days=(-9, -1))))
tls("TLS: not yet valid", serving(lambda ca: ca.context(days=(1, 9))))
tls("TLS: another host's certificate", serving(lambda ca: ca.context("127.0.0.2")))
tls("TLS: an authority that nobody knows", serving(lambda ca: ca.context(known=False)))
tls("TLS: too old", serving(_old))
tls("TLS: a handshake that stalls", _stall)
tls("TLS: a handshake that drips", _drip_handshake)
tls("TLS: a handshake of noise", _babble)
tls("TLS: plain HTTP in its place", _plain)
tls("TLS: hung up within the handshake", _hang_up)
tls("TLS: cut off without a word", serving(lambda ca: ca.context()), _cut_silently)


# --- the request, told back -------------------------------------------------------------------------------------------


def repeated(asked: Asked) -> bytes:
    """The whole request in every text of an error: as JSON may escape it, and as a page would show it."""
    said = (asked.head + asked.body).decode("latin-1")
    escaped = "".join(f"\\u{ord(each):04X}" for each in said)
    shown = "".join(f"&#x{ord(each):X};" for each in said)
    texts = f'"{escaped} {shown} {quote(said, safe="=&")}"'
    return f'{{"errors":[{texts}],"message":{texts},"error_description":{texts},"data":null}}'.encode()


@deed("the request told back, letter by letter")
async def _(case: Case) -> None:
    await case.say(Reply(400, repeated(case.asked)).raw)
