"""Owns what the viewer is told of the daemon's log lines: plain sentences, and which lines are worth one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotator.rotation.names import parse

_BEGINS = {
    "missing": "",  # five times the same at the start; that a value is published says enough
    "aged": "due by its schedule: rotation {rotation} begins",
    "asked": "asked for: rotation {rotation} begins",
}
_ALWAYS = {
    "value.published": "published as version {version}: consumers read it from now on",
    "predecessor.retired": "predecessor revoked; Halo refuses its value: proven dead",
    "rotation.escalated": "rotation {rotation} is an emergency now: no grace",
    "mint.lost": "found on Halo by its name; its value died with the daemon",
    "mint.missed": "looked on Halo by its name: it was never minted",
    "attempt.burned": "lost token revoked; attempt {next_attempt} begins",
}
_CLOSE_UP = {
    "candidate.staged": "minted {token} on Halo; the value lies in a private slot of Vault",
    "candidate.verified": "read back from Vault and proven: Halo accepts it",
    "predecessor.condemned": "published value proven once more: the predecessor may go",
    "rotation.settled": "settled: one living token, nothing in flight",
}


def told(event: Mapping[str, Any], *, close_up: bool) -> str:
    """The sentence for a log line about a credential; empty when the viewer need not hear of it."""
    name = event.get("event", "")
    if name == "rotation.requested":
        sentence = _BEGINS.get(str(event.get("why")), "rotation {rotation} begins: {detail}")
    else:
        sentence = _ALWAYS.get(name) or (_CLOSE_UP.get(name, "") if close_up else "")
    if not sentence and event.get("level") in ("warning", "error"):
        sentence = "{said}"
    # After a burned attempt the record already counts the next one.
    around = {"token": short(str(event.get("candidate", ""))), "next_attempt": event.get("attempt", "")}
    return sentence.format_map({**event, **around})


def short(name: str) -> str:
    """A mint name, shortly: its rotation and attempt."""
    parsed = parse(name)
    return f"r{parsed.rotation}-a{parsed.attempt}" if parsed else name
