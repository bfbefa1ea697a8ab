"""How a hook is called: a command (no shell, a time limit for its process group), or a webhook and its signature.

The command gets the facts on standard input and names in its environment; if it fails, the end of its output goes to
the log. Webhooks are signed as Standard Webhooks defines it (standardwebhooks.com, version 1): `webhook-signature` is
`v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import anyio
from anyio.abc import Process

from rotator.host.process import children
from rotator.observe.hooks.facts import Facts
from rotator.observe.logs.redaction import redact
from rotator.ports import Refused, Transient
from rotator.rotation.secret import Secret

_KEPT = 2000  # bytes of output that are kept, from its end
_PIECE = 65536
_LAST_WORDS = 0.2  # seconds for the rest of the output; a background child may hold the pipe open for ever
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MARK = "whsec_"
_SHORTEST = 24  # bytes; the scheme asks for 24 to 64


async def run(command: tuple[str, ...], limit: float, facts: Facts) -> None:
    """Run the command to its end. Raises Transient when it fails or is not done in `limit` seconds, Refused when it
    cannot be started. At the limit its process group is killed; a process that left the group is not found."""
    said = bytearray()
    inward, outward = _Pipe(), _Pipe()
    try:
        process = await _start(command, facts.names, inward.reading, outward.writing)
        inward.close_reading()
        outward.close_writing()
        try:
            with anyio.fail_after(limit):
                code = await _attend(process, inward, outward, facts.body, said)
        except TimeoutError:
            raise Transient(f"{command[0]} was killed after {limit:g} s{_words(said)}") from None
        finally:
            await _end(process)
    finally:
        inward.close()
        outward.close()
    if code:
        how = f"exit status {code}" if code > 0 else f"killed by signal {-code}"
        raise Transient(f"{command[0]}: {how}{_words(said)}")


class _Pipe:
    """A pipe whose ends are closed once, by whoever is first."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def close_reading(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def close_writing(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def close(self) -> None:
        self.close_reading()
        self.close_writing()


async def _start(command: tuple[str, ...], names: Mapping[str, str], reads: int, writes: int) -> Process:
    environ = {"PATH": os.environ.get("PATH", _PATH), "LANG": os.environ.get("LANG", "C.UTF-8"), **names}
    try:
        with children.starting():
            process = await anyio.open_process(
                command,
                stdin=reads,
                stdout=writes,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environ,
                start_new_session=True,
            )
            children.own.add(process.pid)
    except OSError as fault:
        raise Refused(f"{command[0]} cannot be started: {fault.strerror or type(fault).__name__}") from None
    return process


async def _attend(process: Process, inward: _Pipe, outward: _Pipe, body: bytes, said: bytearray) -> int:
    async with anyio.create_task_group() as group:
        group.start_soon(_feed, inward, body)
        heard = anyio.Event()
        group.start_soon(_hear, outward, said, heard)
        code = await process.wait()
        with anyio.move_on_after(_LAST_WORDS):
            await heard.wait()
        group.cancel_scope.cancel()
    return code


async def _feed(pipe: _Pipe, body: bytes) -> None:
    """Write the facts; a command need not read them."""
    os.set_blocking(pipe.writing, False)
    left = memoryview(body)
    with suppress(BrokenPipeError):
        while left:
            await anyio.wait_writable(pipe.writing)
            with suppress(BlockingIOError):
                left = left[os.write(pipe.writing, left) :]
    pipe.close_writing()


async def _hear(pipe: _Pipe, said: bytearray, heard: anyio.Event) -> None:
    """Read all output, so that the command never blocks, and keep the end."""
    os.set_blocking(pipe.reading, False)
    while True:
        await anyio.wait_readable(pipe.reading)
        with suppress(BlockingIOError):
            piece = os.read(pipe.reading, _PIECE)
            if not piece:
                break
            said += piece
            del said[:-_KEPT]
    heard.set()


async def _end(process: Process) -> None:
    """Kill the command's process group if it has not ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with anyio.CancelScope(shield=True):
        await process.wait()
    children.ended(process.pid)


def _words(said: bytearray) -> str:
    text = " ".join(redact(said.decode(errors="replace")).split())
    return f": {text}" if text else ""


def headers(facts: Facts, secret: Secret, at: datetime) -> dict[str, str]:
    """The headers of one attempt. `at`: the time of this attempt; the id is the same for all attempts."""
    stamp = str(int(at.timestamp()))
    signed = b".".join((facts.id.encode(), stamp.encode(), facts.body))
    mac = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": facts.id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def _key(secret: Secret) -> bytes:
    """The signing key: `whsec_` and base64, else the text itself. Raises Refused for bad base64 or a short key."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(_MARK), validate=True) if text.startswith(_MARK) else text.encode()
    except (binascii.Error, ValueError):
        raise Refused(f"the signing secret begins with {_MARK}, but base64 does not follow") from None
    if len(key) < _SHORTEST:
        raise Refused(f"the signing secret is shorter than {_SHORTEST} bytes; make one with: openssl rand -base64 32")
    return key
