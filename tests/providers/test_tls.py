"""Owns the tests of TLS to a target: whom we believe, over a real socket on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rotator.ports import Transient
from rotator.providers.http import Http, tls_context
from rotator.providers.keys import TargetKeys
from tests.fakes.certificates import sign
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.anyio


def certify(folder: Path, host: str = "127.0.0.1") -> Path:
    """Write a self-signed certificate for an address, and its key, into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = sign(key.public_key(), "sandbox", key, "sandbox", ca=True, host=host)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(pem) + secret)
    return path


async def answer(stream: ByteStream) -> None:
    async with stream:
        await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")


@asynccontextmanager
async def serving(pem: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    inner = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(inner, context, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        yield f"https://127.0.0.1:{inner.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


async def ask(url: str, ca_file: Path | None) -> object:
    edge = Http("blog", TargetKeys(url=url, ca_file=str(ca_file) if ca_file else None), HandClock())
    try:
        return (await edge.request("GET", "/x")).document
    finally:
        await edge.aclose()


async def test_a_server_is_believed_through_the_ca_file_only(tmp_path: Path) -> None:
    pem = certify(tmp_path)
    async with serving(pem) as url:
        assert await ask(url, pem) == []
        with pytest.raises(Transient, match="ConnectError"):
            await ask(url, None)


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    pem = certify(tmp_path, "127.0.0.2")
    async with serving(pem) as url:
        with pytest.raises(Transient, match="ConnectError"):
            await ask(url, pem)


async def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    context = tls_context(None)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


async def test_a_missing_ca_file_is_told_when_the_target_is_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Http("blog", TargetKeys(url="https://blog.example", ca_file=str(tmp_path / "none.pem")), HandClock())
