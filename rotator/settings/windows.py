"""The option `window` of [credentials.NAME], [targets.NAME] and [defaults], and the sections [freezes.NAME]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from rotator.host.time_zones import check_timezone
from rotator.host.windows import DAYS, Span, Weekly
from rotator.rotation.change_calendar import Freeze
from rotator.settings.parsers import WrongValueError, quoted, sort_of, suggest, text, word
from rotator.settings.table_reader import Section

_ALWAYS = "always"
_KEYS = ("days", "from", "to", "timezone")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DAY = 24 * 60  # minutes
_FORM = (
    'write {days = ["mon-fri"], from = "22:00", to = "04:00", timezone = "Europe/Berlin"}, a list of them, or "always"'
)
_LABEL = re.compile(r"[A-Za-z0-9]?[A-Za-z0-9 ._/@:-]{0,63}")
_LONGEST_WHY = 200  # characters

EVERY_HOUR = Weekly((Span(tuple(range(len(DAYS))), 0, _DAY),))


def window(value: object) -> Weekly:
    """A window: one table, a list of them, or "always"."""
    if value == _ALWAYS:
        return EVERY_HOUR
    spans = value if isinstance(value, list) else [value]
    if not spans:
        raise WrongValueError(f"is empty, so nothing would ever begin; {_FORM}")
    return Weekly(tuple(_span(each) for each in spans))


def _span(value: object) -> Span:
    if not isinstance(value, dict):
        raise WrongValueError(f"cannot be {sort_of(value)}; {_FORM}")
    for key in value:
        if key not in _KEYS:
            raise WrongValueError(f"has an unknown key; {suggest(key, _KEYS)}")
    begin, end = _clock(value, "from", "00:00"), _clock(value, "to", "24:00")
    if begin in (end, _DAY):
        raise WrongValueError('`from` and `to` are the same; for whole days write from = "00:00", to = "24:00"')
    try:
        zone = check_timezone(text(value.get("timezone", "UTC")))
    except ValueError as fault:
        raise WrongValueError(f"`timezone`: {fault}") from None
    return Span(_days(value.get("days", list(DAYS))), begin, end if begin < end else end + _DAY, zone)


def _clock(table: Mapping[str, object], key: str, usual: str) -> int:
    found = _CLOCK.fullmatch(text(given)) if isinstance(given := table.get(key, usual), str) else None
    if not found:
        raise WrongValueError(f'`{key}` must be a time such as "22:00", as a string')
    return int(found[1]) * 60 + int(found[2]) if found[1] else _DAY


def _days(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise WrongValueError('`days` must be a list such as ["mon", "wed"] or ["mon-fri"]')
    found: set[int] = set()
    for each in value:
        first, _, last = text(each).partition("-")
        if not {first, last or first} <= set(DAYS):
            raise WrongValueError(f"{quoted(str(each))} is no weekday: write mon, tue, ..., or a range such as mon-fri")
        low, high = DAYS.index(first), DAYS.index(last or first)
        found.update(day % len(DAYS) for day in range(low, high + 1 if low <= high else high + 1 + len(DAYS)))
    return tuple(sorted(found))


def read_freeze(section: Section, name: str) -> Freeze | None:
    """One [freezes.NAME]; None if it is faulty."""
    never = datetime.max.replace(tzinfo=UTC)
    begins = section.need("from", _moment, never, "2026-12-18T18:00:00+01:00")
    until = section.need("until", _moment, never, "2027-01-04T06:00:00+01:00")
    why = section.need("why", _why, "", '"year-end trading", which people read who wait for it')
    labels = section.take("labels", read_labels, {})
    section.finish()
    if section.sound and until <= begins:
        section.fault("until", "is not after `from`")
    return Freeze(name, begins, until, why, labels) if section.sound else None


def _moment(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        at = None
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise WrongValueError("must be a time with its offset from UTC, such as 2026-12-18T18:00:00+01:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise WrongValueError("is beyond what a calendar knows") from None


def _why(value: object) -> str:
    words = text(value)
    if len(words) > _LONGEST_WHY:
        raise WrongValueError(f"must be up to {_LONGEST_WHY} characters: it stands in log lines and on pages")
    return words


def read_labels(value: object) -> dict[str, str]:
    """Labels and their values."""
    if not isinstance(value, dict):
        raise WrongValueError(f'must be a table such as {{team = "web"}}, not {sort_of(value)}')
    for label, given in value.items():
        word(label)
        if not isinstance(given, str) or not _LABEL.fullmatch(given):
            raise WrongValueError(f"`{label}` must be a string of up to 64 letters, digits, blanks and . _ / @ : -")
    return dict(value)
