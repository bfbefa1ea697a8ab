"""A look at whether hooks and the ping could be called, for `rotate check`; it calls nobody and runs nothing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from rotator.observe.hooks import webhook
from rotator.observe.hooks.dispatch import Fetch, whereabouts
from rotator.observe.hooks.facts import Facts
from rotator.ports import Fault, Refused
from rotator.settings import Hook, Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def look(settings: Settings, fetch: Fetch) -> AsyncIterator[tuple[str, str]]:
    """Each hook, and the ping, with what is wrong with it; an empty text when nothing is."""
    for hook in settings.hooks.values():
        yield f"hook {hook.name}", await _fault_of(hook, fetch)
    if ping := settings.ping:
        try:
            await whereabouts(ping, fetch)
        except Fault as fault:
            yield "ping", fault.reason
        else:
            yield "ping", ""


async def _fault_of(hook: Hook, fetch: Fetch) -> str:
    try:
        if hook.command:
            _startable(hook.command[0])
        elif hook.secret:
            await whereabouts(hook, fetch)
            webhook.headers(Facts("", "", hook.on[0], b""), await fetch(hook.secret), _EPOCH)
    except Fault as fault:
        return fault.reason
    return ""


def _startable(program: str) -> None:
    if not Path(program).is_file():
        raise Refused(f"{program} is no file here")
    if not os.access(program, os.X_OK):
        raise Refused(f"{program} may not be executed by us")
