"""The tests of TLS to a target: whom we believe, over a real socket on loopback."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rotator.host import tls_files
from rotator.host.proxy import Proxy
from rotator.host.tls_files import Trust
from rotator.ports import Transient
from rotator.providers.base import TargetConfig
from rotator.providers.http.client import HttpClient
from rotator.providers.http.hook_client import HookClient
from tests.kit.certificates import sign, span_of, written
from tests.kit.clock import HandClock
from tests.kit.proxy_password import no_password

pytestmark = pytest.mark.anyio


def certify(folder: Path, host: str = "127.0.0.1") -> Path:
    """Write a self-signed certificate for an address, and its key, into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    return written(folder / "server.pem", sign(key.public_key(), "sandbox", key, "sandbox", ca=True, host=host), key)


async def answer(stream: ByteStream) -> None:
    async with stream:
        with suppress(anyio.EndOfStream):
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")


async def plainly(stream: ByteStream) -> None:
    async with stream:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@asynccontextmanager
async def serving(pem: Path, handler: Callable[[ByteStream], Awaitable[None]] = answer) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    inner = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(inner, context, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handler)
        yield f"https://127.0.0.1:{inner.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


async def ask(url: str, ca_file: Path | None) -> object:
    edge = HttpClient(
        "blog", TargetConfig(url=url, ca_file=str(ca_file) if ca_file else None), HandClock(), no_password
    )
    try:
        return (await edge.request("GET", "/x")).document
    finally:
        await edge.aclose()


async def test_a_server_is_believed_through_the_ca_file_only(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    async with serving(pem) as url:
        assert await ask(url, pem) == []
        said = (
            r"\(CN=sandbox, for 127.0.0.1, issued by itself, valid until .*Z\) is not issued by an authority that this"
        )
        with pytest.raises(Transient, match=said) as fault:
            await ask(url, None)
        assert fault.value.remedy == "name the issuer's PEM file in ca_file"


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    pem = certify(tmp_path, "127.0.0.2")
    async with serving(pem) as url:
        with pytest.raises(Transient, match=r"for 127.0.0.2, .* is for another name than the url has"):
            await ask(url, pem)


async def test_a_ca_file_without_the_issuer_is_named(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    (tmp_path / "other").mkdir()
    other = certify(tmp_path / "other")
    async with serving(pem) as url:
        with pytest.raises(Transient, match=rf"in ca_file {other}: put the issuer's certificate there"):
            await ask(url, other)


def as_once(name: str, of: x509.Name, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *more):
    """A certificate as private authorities made them for years: with just these extensions."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(of, subject, key.public_key(), x509.random_serial_number(), *span_of(-1, 1))
    for each in more:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(by, hashes.SHA256())


# what the authority lacks, or what is issued by it, and what is said of it
OLD = {
    "no authority key identifier": (
        None,
        r"an issuer's, is refused .* \(missing authority key identifier\): have that",
    ),
    "an authority without key usage": (
        (x509.BasicConstraints(True, None),),
        r"an issuer's, is refused by the stricter rules of Python 3.13 and newer \(.*\): have that one made anew",
    ),
    "an authority without any extension": ((), r"issued by one that is no authority by its own words \(basic constr"),
}


@pytest.mark.parametrize("caller", ["target", "receiver"])
@pytest.mark.parametrize(("extensions", "said"), OLD.values(), ids=OLD)
async def test_what_python_3_13_refuses_is_told_with_the_reason_and_goes_by_the_servers_own_certificate(
    caller, extensions, said: str, tmp_path: Path, monkeypatch
) -> None:
    by, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old CA")])
    authority = (
        sign(by.public_key(), "old CA", by, "old CA", ca=True)
        if extensions is None
        else as_once("old CA", named, by, by, *extensions)
    )
    its_own: list[x509.ExtensionType] = [x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])]
    if extensions is not None:
        its_own.append(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()))
    pem = written(tmp_path / "server.pem", as_once("blog", named, key, by, *its_own), key)
    (tmp_path / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setattr(tls_files.sys, "version_info", (3, 13))
    call = {"target": call_a_target, "receiver": call_a_receiver}[caller]
    async with serving(pem) as url:
        with pytest.raises(Transient, match=said) as fault:
            await once(call(url, tmp_path / "ca.pem"))
        assert "until then put the server's own certificate in ca_file" in fault.value.reason
        await once(call(url, pem))


async def test_a_port_without_tls_and_one_that_is_closed_are_told_apart(tmp_path: Path) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as plain, anyio.create_task_group() as group:
        group.start_soon(plain.serve, plainly)
        url = f"https://127.0.0.1:{plain.extra(SocketAttribute.local_port)}"
        with pytest.raises(Transient, match=rf"\({url}\) failed: it does not speak TLS there"):
            await ask(url, None)
        group.cancel_scope.cancel()
    with pytest.raises(Transient, match=rf"\({url}\) failed: nothing listens there"):
        await ask(url, None)


async def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    context = Trust().context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_ca_file_that_cannot_be_used_is_told_by_the_first_call_which_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    for name, said in (("text.pem", "it holds no certificate in PEM form"), ("none.pem", "No such file or directory")):
        keys = TargetConfig(url="https://blog.example", ca_file=str(tmp_path / name))
        client = HttpClient("blog", keys, HandClock(), no_password)
        with pytest.raises(Transient) as caught:
            await client.request("GET", "/")
        await client.aclose()
        assert caught.value.what.endswith(f"failed: ca_file {tmp_path / name} cannot be used ({said})")
        assert "name another ca_file" in caught.value.remedy


@pytest.mark.parametrize("caller", ["target", "receiver", "proxy"])
async def test_a_ca_file_on_a_drive_that_hangs_is_waited_for_in_a_thread_from_the_first_call_on(
    caller: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read in the event loop: one target's drive stopped everything."""
    drive, loop, known = threading.Event(), threading.get_ident(), Trust.context

    def hang(trust: Trust) -> ssl.SSLContext:
        assert threading.get_ident() != loop, "the loop itself reads the file"
        drive.wait(30)
        return known(trust)

    monkeypatch.setattr(Trust, "context", hang)
    monkeypatch.setattr(tls_files, "_PATIENCE", 0.1)
    pem = certify(tmp_path)
    async with serving(pem) as url:
        through = Proxy(url, ca_file=str(pem)) if caller == "proxy" else None
        box = HookClient(no_password, str(pem)) if caller == "receiver" else None
        keys = TargetConfig(url=url, ca_file=str(pem), proxy=through)
        client = HttpClient("blog", keys, HandClock(), no_password)
        try:
            with anyio.fail_after(20), pytest.raises(Transient, match=r"cannot be used \(no answer within 0.1 s\)"):
                await (box.send("POST", url, 10.0) if box else client.request("GET", "/"))
        finally:
            drive.set()
        if box:
            await box.aclose()
        await client.aclose()


# --- whom we believe, and since when --------------------------------------------------------------------------------


async def test_a_ca_file_that_is_replaced_is_taken_at_the_next_call_and_old_connections_end(tmp_path: Path) -> None:
    """It was read at the start only, neither then nor on a reload, while `check` said that all was well."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ca, first, second = tmp_path / "ca.pem", certify(tmp_path / "a"), certify(tmp_path / "b")
    ca.write_bytes(first.read_bytes())
    async with serving(second) as url:
        client = HttpClient("blog", TargetConfig(url=url, ca_file=str(ca)), HandClock(), no_password)
        with pytest.raises(Transient, match="not issued by an authority in ca_file"):
            await client.request("GET", "/")
        ca.write_bytes(first.read_bytes() + second.read_bytes())
        assert (await client.request("GET", "/")).status == 200
        await client.aclose()


class Kept:
    """A TLS server that keeps its connections: how many were made, and how many the client has closed."""

    def __init__(self) -> None:
        self.made = self.closed = 0
        self.one_closed = anyio.Event()

    async def answer(self, stream: ByteStream) -> None:
        self.made += 1
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.receive()
                    await stream.send(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
                    )
        self.closed += 1
        self.one_closed.set()


def replaced(path: Path, text: bytes) -> None:
    """As a renewal does it: another file takes the place."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(text)
    fresh.replace(path)


async def call_a_target(url: str, ca: Path) -> AsyncIterator[object]:
    client = HttpClient("blog", TargetConfig(url=url, ca_file=str(ca)), HandClock(), no_password)
    try:
        while True:
            yield await client.request("GET", "/")
    finally:
        await client.aclose()


async def call_a_receiver(url: str, ca: Path) -> AsyncIterator[object]:
    """As hooks and the ping do."""
    box = HookClient(no_password, str(ca))
    try:
        while True:
            yield await box.send("POST", url, 10.0, b"{}")
    finally:
        await box.aclose()


async def once(calls: AsyncIterator[object]) -> None:
    async with aclosing(calls):
        await anext(calls)


async def test_an_idle_connection_made_before_its_authorities_changed_is_closed_and_not_used_again(
    tmp_path: Path,
) -> None:
    pem, ca, server = certify(tmp_path), tmp_path / "ca.pem", Kept()
    replaced(ca, pem.read_bytes())
    async with serving(pem, server.answer) as url, aclosing(call_a_target(url, ca)) as calls:
        await anext(calls)
        await anext(calls)
        assert (server.made, server.closed) == (1, 0)
        replaced(ca, pem.read_bytes() + b"\n")
        await anext(calls)
        assert server.made == 2
        with anyio.fail_after(5):
            await server.one_closed.wait()


@pytest.mark.parametrize("caller", [call_a_target, call_a_receiver])
async def test_who_is_believed_no_longer_is_not_spoken_to_over_a_connection_made_before(caller, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pem, other, ca, server = certify(tmp_path), certify(tmp_path / "other"), tmp_path / "ca.pem", Kept()
    replaced(ca, pem.read_bytes())
    async with serving(pem, server.answer) as url, aclosing(caller(url, ca)) as calls:
        await anext(calls)
        replaced(ca, other.read_bytes())
        with pytest.raises(Transient, match="not issued by an authority in ca_file"):
            await anext(calls)
        assert server.made == 1


async def test_a_ca_file_of_a_receiver_that_was_not_there_at_the_start_is_taken_when_it_comes(tmp_path: Path) -> None:
    """The deliveries of such a hook failed until the daemon was started anew."""
    pem, ca, server = certify(tmp_path), tmp_path / "ca.pem", Kept()
    async with serving(pem, server.answer) as url:
        box = HookClient(no_password, str(ca))
        with pytest.raises(Transient, match=r"ca\.pem cannot be used \(No such file or directory\)"):
            await box.send("POST", url, 10.0)
        ca.write_bytes(pem.read_bytes())
        await box.send("POST", url, 10.0)
        await box.aclose()


def test_a_file_that_cannot_be_read_just_now_changes_nothing(tmp_path: Path) -> None:
    ca = certify(tmp_path)
    believed = Trust(str(ca))
    before = believed.context()
    assert believed.context() is before
    ca.write_text("half of a")
    assert believed.context() is before
    ca.unlink()
    assert believed.context() is before


def test_the_authorities_are_the_systems_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, other = tmp_path / "system", tmp_path / "other"
    system.mkdir()
    other.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(certify(other)))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(certify(system)), openssl_capath="/nowhere")
    monkeypatch.setattr(tls_files, "_BUILT", paths)
    context = Trust().context()
    assert context.cert_store_stats()["x509_ca"] == 1
    assert context.keylog_filename is None
    assert not (tmp_path / "keys.log").exists()


async def test_a_server_whose_authority_only_the_system_knows_is_believed(tmp_path: Path, monkeypatch) -> None:
    pem = certify(tmp_path)
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=str(pem), openssl_capath="/nowhere")
    monkeypatch.setattr(tls_files, "_BUILT", paths)
    async with serving(pem) as url:
        client = HttpClient("blog", TargetConfig(url=url), HandClock(), no_password)
        assert (await client.request("GET", "/")).status == 200
        await client.aclose()
