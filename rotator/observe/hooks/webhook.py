"""Sign a webhook as Standard Webhooks defines it (standardwebhooks.com, version 1).

`webhook-signature` is `v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from rotator.observe.hooks.facts import Facts
from rotator.ports import Refused
from rotator.rotation.secret import Secret

_MARK = "whsec_"
_SHORTEST = 24  # bytes; the scheme asks for 24 to 64


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
