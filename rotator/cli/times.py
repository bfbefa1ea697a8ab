"""Times as options of commands: written as in settings, `90s` or `1h30m`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from rotator.settings.errors import WrongValueError
from rotator.settings.parsers import span

_DAY = timedelta(days=1)


class Length(click.ParamType[timedelta]):
    """A length of time from `low` to `high`."""

    name = "duration"

    def __init__(self, low: timedelta = timedelta(seconds=1), high: timedelta = _DAY) -> None:
        self.low, self.high = low, high

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See click. Fails with the words that settings have for it."""
        if isinstance(value, timedelta):
            return value
        try:
            return span(self.low, self.high)(value)
        except WrongValueError as fault:
            self.fail(f"{value!r} {fault}", param, ctx)


class FutureTime(click.ParamType[datetime]):
    """A moment to come, ISO 8601; UTC unless it says otherwise."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See click."""
        if isinstance(value, datetime):
            return value
        try:
            told = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f'{value!r} is no moment: write it as "2026-12-31" or "2026-12-31T18:00Z"', param, ctx)
        moment = told if told.tzinfo else told.replace(tzinfo=UTC)
        if moment <= datetime.now(UTC):
            self.fail(f"{value!r} is over already (UTC, unless it names another zone)", param, ctx)
        return moment


def written(length: timedelta) -> str:
    """A length as a request says it."""
    return f"{round(length.total_seconds())}s"
