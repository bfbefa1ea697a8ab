"""How secrets stand in a request: a caller's identity in a header, values in a body. Sending it is client.py's."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

from rotator.ports import Refused
from rotator.providers.http.auth import ApiKey, Auth, Bearer
from rotator.rotation.secret import Secret

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_VISIBLE = re.compile(r"[!-~]+")  # RFC 9110, section 5.5, without blanks


class Unsendable(Refused):
    """The secret cannot stand in a header; nothing was sent."""


def header(auth: Auth) -> tuple[str, str]:
    """The header's name and value. They are checked here because h11 quotes a header that it refuses."""
    if isinstance(auth, Bearer):
        token = auth.secret.reveal()
        if not _TOKEN.fullmatch(token):
            raise Unsendable("the token holds characters that no Authorization header may carry")
        return "Authorization", f"Bearer {token}"
    if isinstance(auth, ApiKey):
        key = auth.secret.reveal()
        if not _VISIBLE.fullmatch(key):
            raise Unsendable("the key holds characters that no header may carry")
        return auth.header, f"{auth.prefix}{key}"
    name, password = auth.username, auth.password.reveal()
    try:
        if auth.quoted:
            name, password = quote_plus(name), quote_plus(password)
        if ":" in name:
            raise Unsendable("a Basic Auth name must not contain a colon")
        return "Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode()
    except UnicodeEncodeError:
        raise Unsendable("the Basic Auth name or password is not text that UTF-8 can hold") from None


def revealed(body: Any) -> Any:
    """A form or a JSON body as it travels."""
    if isinstance(body, Secret):
        return body.reveal()
    if isinstance(body, dict):
        return {name: revealed(each) for name, each in body.items()}
    return [revealed(each) for each in body] if isinstance(body, list) else body
