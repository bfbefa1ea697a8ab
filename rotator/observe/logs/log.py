"""The few ways in which the house speaks to its log; how lines look is the package's own."""

from __future__ import annotations

from typing import Any

import structlog

_log = structlog.get_logger("rotator")


def say(event: str, **fields: Any) -> None:
    """Something happened, as it should."""
    _log.info(event, **fields)


def warn(event: str, **fields: Any) -> None:
    """Something a person should look at some day."""
    _log.warning(event, **fields)


def tell(event: str, severity: str, **fields: Any) -> None:
    """Something happened, as bad as `severity` says: info, warning or error."""
    getattr(_log, severity)(event, **fields)


_advised: set[str] = set()


def advise(text: str) -> None:
    """Advice about a secret's whereabouts: once, as some are read with each call."""
    if text not in _advised:
        _advised.add(text)
        _log.warning("secret.exposed", said=text)


def open_to_others(path: str, text: str) -> None:
    """A file that the daemon obeys may be written by others."""
    _log.warning("settings.exposed", file=path, said=text)


def unforeseen(credential: str, bug: BaseException) -> None:
    """A bug ended a visit. The trace has no local variables."""
    _log.error("visit.failed", credential=credential, exc_info=bug)
