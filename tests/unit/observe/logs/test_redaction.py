"""No living secret leaves, however it is written down, and nothing that looks like one; plain words stay."""

from __future__ import annotations

import base64
import gc
import html
import json
import re
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.observe.logs import redaction
from rotator.observe.logs.redaction import BLOT, Redactor
from rotator.rotation.secret import Secret

AWKWARD = "q\"u\\o/t+e=&d é<'s>"


def _small(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)


def _unicode(text: str, signs: str) -> str:
    return "".join(f"\\u{ord(each):04x}" if each in signs else each for each in text)


def _each(text: str, form: str) -> str:
    return "".join(form.format(ord(each)) for each in text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64, one before": lambda value: base64.b64encode(b"a" + value.encode()).decode(),
    "base64, two before": lambda value: base64.b64encode(b"ab" + value.encode() + b"c").decode(),
    "base64, url": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64, url, one before": lambda value: base64.urlsafe_b64encode(b"a" + value.encode()).decode(),
    "base64, url, two before": lambda value: base64.urlsafe_b64encode(b"ab" + value.encode()).decode().rstrip("="),
    "url-quoted": urllib.parse.quote,
    "url-quoted, all of it": lambda value: urllib.parse.quote(value, safe=""),
    "url-quoted, plus": urllib.parse.quote_plus,
    "JSON": json.dumps,
    "JSON, not ASCII": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON within JSON": lambda value: json.dumps(json.dumps(value)),
    "url-quoted, small letters": lambda value: _small(urllib.parse.quote(value, safe="")),
    "url-quoted, plus, small letters": lambda value: _small(urllib.parse.quote_plus(value)),
    "HTML": html.escape,
    "HTML, as Go does it": lambda value: html.escape(value, quote=False).replace('"', "&#34;").replace("'", "&#39;"),
    "HTML, outside of attributes": lambda value: html.escape(value, quote=False),
    "JSON, as Go does it": lambda value: _unicode(json.dumps(value, ensure_ascii=False), "&<>"),
    "JSON, as Gson does it": lambda value: _unicode(json.dumps(value), "&<>='"),
    "JSON, as PHP does it": lambda value: json.dumps(value).replace("/", "\\/"),
    "repr": repr,
    "repr within JSON": lambda value: json.dumps(repr(value)),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "JSON, all of it, small letters": lambda value: _each(value, "\\u{:04x}"),
    "JSON, capital letters": lambda value: _unicode(json.dumps(value), "&<>='/").replace("\\u003c", "\\u003C"),
    "JavaScript": lambda value: _each(value, "\\x{:02X}"),
    "JavaScript, braces": lambda value: _each(value, "\\u{{{:X}}}"),
    "JavaScript, escape()": lambda value: _each(value, "%u{:04X}"),
    "bytes": lambda value: repr(value.encode())[2:-1],
    "url-quoted, as encodeURI does it": lambda value: urllib.parse.quote(value, safe=";/?:@&=+$,#!'()*~"),
    "url-quoted, as encodeURIComponent does it": lambda value: urllib.parse.quote(value, safe="!'()*~"),
    "url-quoted, every sign": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "url-quoted twice": lambda value: urllib.parse.quote(urllib.parse.quote(value)),
    "HTML, by names": lambda value: html.escape(value).replace("&#x27;", "&apos;").replace("=", "&equals;"),
    "HTML, by numbers": lambda value: _each(value, "&#{};"),
    "HTML, by padded numbers": lambda value: _each(value, "&#{:03};"),
    "HTML, by hex numbers": lambda value: _each(value, "&#x{:x};"),
    "HTML, by HEX numbers": lambda value: _each(value, "&#X{:X};"),
    "HTML twice": lambda value: html.escape(html.escape(value)),
    "HTML within JSON": lambda value: json.dumps(html.escape(value)),
    "JSON within HTML": lambda value: html.escape(json.dumps(value)),
    "JSON within HTML within an address": lambda value: urllib.parse.quote(html.escape(json.dumps(value))),
    "base64, url-quoted": lambda value: urllib.parse.quote(base64.b64encode(b"web:" + value.encode()), safe=""),
    "Basic, as OAuth wants it": lambda value: base64.b64encode(
        b"web:" + urllib.parse.quote_plus(value).encode()
    ).decode(),
    "base64 of JSON": lambda value: base64.b64encode(json.dumps({"token": value}).encode()).decode(),
    "base64 of base64": lambda value: base64.b64encode(
        b'{"auth":"' + base64.b64encode(b"u:" + value.encode())
    ).decode(),
    "hex of HTML": lambda value: html.escape(value).encode().hex(),
    "the first twelve": lambda value: value[:12],
    "the last twelve": lambda value: value[-12:],
    "twelve within": lambda value: value[7:19],
    "cut base64": lambda value: base64.b64encode(value.encode()).decode()[5:30],
}


def _windows(text: str, length: int = 12) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("tail", ["", AWKWARD], ids=["plain", "awkward"])
def test_each_encoding_is_blotted(encode: Callable[[str], str], tail: str) -> None:
    value = secrets.token_urlsafe(24) + tail
    secret = Secret(value)
    leaked = encode(value)
    told = Redactor()(f'{{"event": "x", "said": "before {leaked} after"}}')
    assert BLOT in told
    assert not _windows(leaked) & _windows(told)
    assert told.startswith('{"event": "x", "said": "before ')
    assert told.endswith(' after"}')
    del secret


def test_nothing_is_blotted_when_nothing_leaks() -> None:
    keep = [Secret(secrets.token_urlsafe(40)) for _ in range(20)]
    text = '{"event": "token.published", "credential": "blog/halo", "rotation": 42, "target": "https://blog.example"}'
    assert Redactor()(text) == text
    del keep


def test_the_text_between_two_leaks_stays() -> None:
    one, two = Secret(secrets.token_urlsafe(24)), Secret(secrets.token_urlsafe(24))
    assert Redactor()(f"a {one.reveal()} b {two.reveal()} c") == f"a {BLOT} b {BLOT} c"


def test_a_short_secret_is_blotted_whole() -> None:
    secret = Secret("hunter2")
    assert Redactor()("user=web password=hunter2;") == f"user=web password={BLOT};"
    del secret


def test_a_very_short_secret_does_not_eat_the_words() -> None:
    secret = Secret("a")
    assert Redactor()("what a day") == "what a day"
    del secret


def test_a_pem_block_is_known_line_by_line() -> None:
    lines = [secrets.token_urlsafe(48)[:64] for _ in range(3)]
    secret = Secret("-----BEGIN PRIVATE KEY-----\n" + "\n".join(lines) + "\n-----END PRIVATE KEY-----")
    assert Redactor()(f"| {lines[1]}") == f"| {BLOT}"
    del secret


def test_a_secret_made_later_is_known_at_once() -> None:
    redact = Redactor()
    redact("warm up")
    secret = Secret(secrets.token_urlsafe(24))
    assert redact(secret.reveal()) == BLOT


def test_a_secret_that_died_a_moment_ago_is_still_known() -> None:
    redact, value = Redactor(), secrets.token_urlsafe(24)
    secret = Secret(value)
    redact("warm up")
    del secret
    gc.collect()
    assert redact(f"late {value}") == f"late {BLOT}"


@pytest.mark.usefixtures("no_other_secrets")
def test_what_is_remembered_of_the_dead_is_bounded() -> None:
    redact = Redactor()
    for _ in range(500):
        secret = Secret(secrets.token_urlsafe(24))
        redact("x")
        del secret
    assert len(redact._known) < 250 + 3 * len(Secret.living())
    assert len(redact._windows) < 100 * len(redact._known)


SHAPES = [
    "pat_eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJ4In0.c2lnbmF0dXJl",
    "hvs.CAESIJ2x0Yq7-xY_abcdefgh",
    "hvb.AAAAAQJ0ZXN0dG9rZW4",
    "s.AbCdEfGhIjKlMnOpQrStUvWx",
    "eyJhbGciOiJQUzI1NiJ9.eyJpc3MiOiJyb3RhdG9yIn0.c2lnbmF0dXJlLW9mLWl0",
    "eyJhbGciOiJQUzI1NiJ9",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKCAQ==\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\nMIIEow\\nIBAAKCAQ==\\n-----END PRIVATE KEY-----",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_looks_like_a_secret_is_blotted(shape: str) -> None:
    assert Redactor()(f'{{"said": "got {shape}", "next": 1}}') == f'{{"said": "got {BLOT}", "next": 1}}'


def test_a_pem_block_that_was_cut_off_is_blotted_as_far_as_it_goes() -> None:
    assert Redactor()('{"x": "-----BEGIN PRIVATE KEY-----\\nMIIEow", "y": 2}') == f'{{"x": "{BLOT}", "y": 2}}'


@pytest.mark.parametrize("piece", ["-----BEGIN A-----", "eyJ", "://a", "Bearer A", "pat_ey"])
def test_text_made_to_be_slow_is_not(piece: str) -> None:
    began = time.process_time()
    Redactor()(piece * 5000)
    assert time.process_time() - began < 1  # seconds; about 0.05 on an idle core


def test_an_encrypted_pem_block_with_its_headers_is_blotted() -> None:
    head = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F"
    block = f"{head}\n\nMIIE\n-----END RSA PRIVATE KEY-----"
    assert Redactor()(f"x {block} y") == f"x {BLOT} y"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", "basic"])
def test_what_follows_an_authorization_scheme_is_blotted(scheme: str) -> None:
    assert Redactor()(f"Authorization: {scheme} dXNlcjpwYXNz\n") == f"Authorization: {scheme} {BLOT}\n"


@pytest.mark.parametrize(
    "proof",
    ["YTpi", "cm9vdDpodW50ZXIy", "cm9vdDpodW50ZXI=", "d2ViOg==", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "JBSWY3DPEHPK3PXP"],
)
def test_a_login_after_basic_is_blotted_however_short(proof: str) -> None:
    assert Redactor()(f"got Basic {proof}, and no more") == f"got Basic {BLOT}, and no more"


def test_a_password_in_an_address_is_blotted() -> None:
    assert Redactor()("GET https://root:hunter2@blog.example/x") == f"GET https://{BLOT}@blog.example/x"


@pytest.mark.parametrize(
    "text",
    [
        'WWW-Authenticate: Bearer error="insufficient_scope"',
        "basic auth is switched off",
        "Halo ignores the minter's Basic Auth: it is off by default since 2.20.0",
        "Basic Authentication, and Bearer Token",
        "Basic OAuth2 or Basic HTTP login; Bearer OAuth2.0, Bearer JWT, Bearer RFC6750",
        "Bearer AccessTokenRequired, Basic username/password, Bearer HTTP/1.1, Basic IntegratedWindowsAuthentication",
        "the bearer of the token",
        "hvs. is a prefix",
        "https://blog.example:8090/apis",
        "credentials.web.retire",
        "2026-11-22T16:55:13.219899Z",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert Redactor()(text) == text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("encode", ["url-quoted, every sign", "HTML, by numbers", "JSON within JSON"])
def test_what_looks_like_a_secret_is_blotted_whatever_it_is_written_in(shape: str, encode: str) -> None:
    assert Redactor()(f"got {ENCODINGS[encode](shape)} here") in (f"got {BLOT} here", f'got "\\"{BLOT}\\"" here')


# Without quotes: by them repr chooses those around it, and how much is around cannot be told.
PRINTABLE = [sign for sign in map(chr, range(0x100)) if sign.isprintable() and sign not in "'\""]
WRITTEN = [encode for name, encode in ENCODINGS.items() if not re.search("twelve|cut|hex|HEX|base64|Basic", name)]


@given(
    st.text(st.sampled_from(PRINTABLE), min_size=12, max_size=24),
    st.lists(st.sampled_from(WRITTEN), max_size=4),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_encoding_of_an_encoding_hides_a_secret(value: str, encodings: list[Callable[[str], str]]) -> None:
    leaked, around, secret = value, "", Secret(value)
    for encode in encodings:
        leaked, around = encode(leaked), encode(around)
    told = Redactor()(f"{{{leaked}}}")
    assert BLOT in told
    assert len(told.replace(BLOT, "")) < len(around) + 12
    del secret


@given(st.text(min_size=12, max_size=60), st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_no_twelve_characters_of_any_secret_survive(value: str, before: str, after: str) -> None:
    secret = Secret(value)
    told = Redactor()(before + value + after).split(BLOT)
    assert not any(value in piece for piece in told)
    assert len(told) > 1
    del secret


def test_secrets_made_in_other_threads_meanwhile_do_no_harm() -> None:
    redact, stop = Redactor(), threading.Event()

    def churn() -> None:
        while not stop.is_set():
            [Secret(f"thread-secret-{number}") for number in range(50)]

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            redact("a line")
    finally:
        stop.set()
        thread.join()


def test_no_thread_reads_while_another_forgets_and_learns_anew(monkeypatch) -> None:
    redact, lasting = Redactor(), Secret("cnry-" + "q8ZkP3vN1xT6" * 3)
    go, forms = threading.Event(), redaction._forms

    def slowly(value: str) -> set[str]:
        go.wait(5)
        return forms(value)

    def learn() -> None:
        newcomer = Secret("cnry-one-more-newcomer")  # alive while it is learnt
        redact(newcomer.reveal())

    another = threading.Thread(target=learn)

    class MeanwhileAnotherLearns(list):
        def __iter__(self):
            if not another.ident:
                another.start()
                another.join(0.3)  # it gets as far as it can
            return super().__iter__()

    redact("nothing new")
    redact._known |= {f"dead {number}" for number in range(2 * len(Secret.living()) + 200)}  # the next one forgets
    monkeypatch.setattr(redaction, "_forms", slowly)
    redact._shorts = MeanwhileAnotherLearns(redact._shorts)
    said = redact(f"before {lasting.reveal()} after")
    go.set()
    another.join(5)
    assert "q8ZkP3vN1xT6" not in said


def test_a_secret_address_is_blotted_out_and_others_stay() -> None:
    address = Secret("https://" + secrets.token_urlsafe(30) + "/" + secrets.token_urlsafe(30))
    redact = Redactor()
    assert redact(f"posted to {address.reveal()}") == "posted to https://[redacted]"
    assert redact("https://blog.example/apis") == "https://blog.example/apis"


def test_a_foreign_key_is_blotted_while_one_with_the_same_armour_is_known() -> None:
    armour = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
    known = Secret(armour.format("MIIEpQ" + "k" * 40))
    assert Redactor()(f"got {armour.format('MIIEow')} for {known.reveal()}") == f"got {BLOT} for {BLOT}"


@pytest.mark.parametrize(
    "text",
    [
        "key=-----BEGIN PRIVATE KEY-----\nMIIE{known} token=hvs.{foreign}",
        "key=-----BEGIN PRIVATE KEY-----\nMIIE{known}\neyJhbG{foreign}.payload.sig",
        "{known}hvs.{foreign}",
        "{known}eyJhbG{foreign}.payload",
        "x://tok{foreign}:{known}@host",
    ],
)
def test_a_foreign_secret_right_beside_a_known_one_is_blotted(text: str) -> None:
    known, foreign = Secret("kn0wn/" + "Kq7" * 9), secrets.token_urlsafe(24)
    said = Redactor()(text.format(known=known.reveal(), foreign=foreign))
    assert foreign not in said
    assert known.reveal()[4:] not in said


@pytest.mark.parametrize("value", ["abcdef", "abcdefghi", "abcdefgh", "abcdefghijkl"])
@pytest.mark.parametrize("lead", ["", "x", "xy"])
def test_base64_of_the_shortest_length_that_can_hold_a_value_is_read(value: str, lead: str) -> None:
    kept = Secret(value)
    text = base64.b64encode((lead + value).encode()).decode().rstrip("=")
    assert Redactor()(f"<{text}>") != f"<{text}>"
    assert kept.matches(Secret(value))
