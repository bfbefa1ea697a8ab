"""How times are spoken on the page: two units at most, the exact time beside them for whoever points there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rotator.observe.status.html import Html, el

NOTHING = "–"  # noqa: RUF001 (a dash is meant)
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def span(length: timedelta) -> str:
    """A length of time; from ten of the larger unit on, the smaller one is left out."""
    seconds = int(length.total_seconds())
    for size, unit, smaller, small in _UNITS:
        if seconds >= size:
            count, rest = seconds // size, seconds % size // smaller
            return f"{count} {unit} {rest} {small}" if rest and count < 10 else f"{count} {unit}"
    return f"{seconds} s"


def relative(when: datetime, now: datetime) -> str:
    """How long ago, or how soon."""
    if when > now:
        return f"in {span(when - now)}"
    return f"{span(now - when)} ago" if now - when >= timedelta(seconds=1) else "now"


def exact(when: datetime) -> str:
    """The time itself, UTC."""
    return f"{when.astimezone(UTC):%F %T} UTC"


def moment(when: datetime | None, now: datetime, otherwise: str = NOTHING) -> Html:
    """A time as an element that says it both ways."""
    if when is None:
        return el("span", otherwise, class_="none")
    stamp = when.astimezone(UTC).isoformat(timespec="seconds")
    return el("time", relative(when, now), datetime=stamp, title=exact(when))
