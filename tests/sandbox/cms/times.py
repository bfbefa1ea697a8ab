"""How the sandbox reads and writes instants: ISO 8601 in UTC, as a JVM prints and parses them.

What the time is is left to the injected clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)")


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """An instant set by the server: nine digits of fraction, so that nobody relies on six."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "431Z"


def instant(moment: datetime) -> str:
    """An instant sent by a client, echoed with no, three or six digits of fraction."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not moment.microsecond:
        return f"{text}Z"
    return f"{text}.{f'{moment.microsecond:06d}'.removesuffix('000')}Z"


def parsed(text: str) -> datetime:
    """Read a client's instant. Raises ValueError when it is none or has no offset."""
    if not _INSTANT.fullmatch(text):
        raise ValueError("not an instant")
    return datetime.fromisoformat(text).astimezone(UTC)
