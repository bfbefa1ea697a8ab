"""Names under which the status address may be asked: a page of a stranger, whose name suddenly leads here, has none.

Browsers send the name they looked up (DNS rebinding changes what it leads to, not the name). Addresses and loopback
names cannot be taken over that way.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

_LONGEST = 100  # characters that are repeated


def strange(header: bytes, known: Collection[str]) -> str:
    """The name in a Host header that nobody serves here, as it may be shown; empty when it is one of ours."""
    name = _name(header.decode("ascii", "replace").strip().lower())
    if name == "localhost" or name.endswith(".localhost") or name in known or _numeric(name):
        return ""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in name[:_LONGEST]) or "?"


def _name(host: str) -> str:
    """Without port, brackets and the dot at the end."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _numeric(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
