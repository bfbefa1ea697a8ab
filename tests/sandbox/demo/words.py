"""What the viewer is told of the daemon's log lines: plain sentences, and which lines are worth one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotator.rotation.token_names import parse

WHERE = {"halo": "Halo", "desk": "the desk"}  # by the target's name in the settings

_BEGINS = {
    "missing": "",  # five times the same at the start; that a value is published says enough
    "aged": "due by its schedule: rotation {rotation} begins",
    "asked": "asked for: rotation {rotation} begins",
}
_ALWAYS = {
    "value.published": "published as version {version}: consumers read it from now on",
    "predecessor.left": "nobody can revoke the token before it: it ends by its own date",
    "predecessor.reopened": "an emergency revokes once more what was left to its date",
    "predecessor.retired": "predecessor {ended}; {where} refuses its value: proven dead",
    "rotation.escalated": "rotation {rotation} is an emergency now: no grace",
    "mint.lost": "found on Halo by its name; its value died with the daemon",
    "mint.missed": "looked on Halo by its name: it was never minted",
    "attempt.burned": "lost token revoked; attempt {next_attempt} begins",
}
_CLOSE_UP = {
    "candidate.staged": "{minted} lies in a private slot of Vault",
    "candidate.installed": "{where} was told of it: {beside}",
    "candidate.verified": "read back from Vault and proven: {where} accepts it",
    "predecessor.condemned": "published value proven once more: the predecessor may go",
    "rotation.settled": "settled: one living value, nothing in flight",
}


def told(event: Mapping[str, Any], *, close_up: bool) -> str:
    """The sentence for a log line about a credential; empty when the viewer need not hear of it."""
    name = event.get("event", "")
    if name == "rotation.requested":
        sentence = _BEGINS.get(str(event.get("why")), "rotation {rotation} begins: {detail}")
    elif event.get("disagreed_seconds") and event.get("version") != 1:  # before the first, nobody had anything to use
        sentence = "published as version {version}; Vault and desk disagreed for {disagreed_seconds:.2g} s"
    elif name == "predecessor.retired" and "expired" in str(event.get("proof")):
        sentence = "predecessor has expired"
    else:
        sentence = _ALWAYS.get(name) or (_CLOSE_UP.get(name, "") if close_up else "")
    if not sentence and event.get("level") in ("warning", "error"):
        sentence = "{said}"
    return sentence.format_map({**event, **_around(event)})


def _around(event: Mapping[str, Any]) -> dict[str, str]:
    """What the sentences say besides the event's own fields. After a burned attempt the record counts the next one."""
    blog = event.get("target") != "desk"
    return {
        "where": WHERE.get(str(event.get("target")), "Halo"),
        "minted": f"minted {short(str(event.get('candidate', '')))} on Halo; the value"
        if blog
        else "a new value is made; it",
        "beside": "from now on it refuses the published value" if event.get("cut_over_at") else "the old one lives on",
        "ended": "revoked" if blog else "ended",
        "next_attempt": str(event.get("attempt", "")),
    }


def short(name: str) -> str:
    """A mint name, shortly: its rotation and attempt."""
    parsed = parse(name)
    return f"r{parsed.rotation}-a{parsed.attempt}" if parsed else name
