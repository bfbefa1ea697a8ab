"""What of the traffic is secret: tokens in headers, values in answers and forms, private keys without their shell.

Where they must not turn up is story.py's, in which shapes search.py's.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.kit.http_server import Heard
from tests.system.proxy import Proxy

PAT = re.compile(rb"pat_eyJ[\w.-]+")
_NAMES = re.compile(
    r"token|value|secret|client_secret|clientSecret|api_key|new_apikey[12]|private_key|access_token|refresh_token|registration_access_token"
    r"|client_token|client_assertion|client_assertion_\d+|secret_id|password"
)
_SHORTEST = 20  # characters: what is shorter is a word


class Ear(Proxy):
    """A proxy that notes every secret that passes."""

    heard: set[str]

    def forward(self, heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        """See `Proxy.forward`."""
        for name, value in heard.headers.items():
            if name.lower() in ("x-vault-token", "authorization"):
                self.heard.add(value.removeprefix("Bearer ").removeprefix("Basic "))
        answer = super().forward(heard)
        for text in (heard.raw, answer[1]):
            self.heard |= {found.decode() for found in PAT.findall(text)}
            self.heard |= {piece for value in said(text) for piece in pieces(value)}
        return answer


def said(text: bytes) -> Iterator[str]:
    """The secrets in a JSON document or a form, by their names."""
    try:
        yield from _within(json.loads(text))
    except ValueError:
        form = parse_qsl(text.decode(errors="replace"))
        yield from (value for name, value in form if _NAMES.fullmatch(name) and len(value) >= _SHORTEST)


def _within(document: object, *, private: bool = False) -> Iterator[str]:
    if isinstance(document, list):
        for each in document:
            yield from _within(each)
    if not isinstance(document, dict):
        return
    for name, value in document.items():
        if isinstance(value, str):
            if (private or _NAMES.fullmatch(name)) and len(value) >= _SHORTEST:
                yield value
        else:
            yield from _within(value, private=name in ("private", "secrets"))


def pieces(value: str) -> Iterator[str]:
    """What of a value is secret: of a private key, neither the armour nor the half that is public."""
    if "PRIVATE KEY" not in value:
        yield value
        return
    key = load_pem_private_key(value.encode(), None)
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    public = 2 * key.key_size // 8  # base64 characters that surely hold the modulus, which everybody may know
    lines = [line for line in value.splitlines() if "-----" not in line][public // 64 :]
    yield from lines
    yield "\n".join(lines)
    yield "".join(lines)
    for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
        raw = number.to_bytes((number.bit_length() + 7) // 8)
        yield urlsafe_b64encode(raw).decode().rstrip("=")
        yield b64encode(raw).decode()
        yield raw.hex()
        yield str(number)
