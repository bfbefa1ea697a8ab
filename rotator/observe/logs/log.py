"""Functions that write log lines; logs/__init__.py configures how they look."""

from __future__ import annotations

from typing import Any

import structlog

_log = structlog.get_logger("rotator")


def say(event: str, **fields: Any) -> None:
    """Log an expected event."""
    _log.info(event, **fields)


def warn(event: str, **fields: Any) -> None:
    """Log an event that a person should look at some day."""
    _log.warning(event, **fields)


def tell(event: str, severity: str, **fields: Any) -> None:
    """Log an event with this severity: info, warning or error."""
    getattr(_log, severity)(event, **fields)


_advised: set[str] = set()


def advise(text: str) -> None:
    """Log advice about where a secret is kept: once, as some secrets are read with each call."""
    if text not in _advised:
        _advised.add(text)
        _log.warning("secret.exposed", said=text)


def open_to_others(path: str, text: str) -> None:
    """Log that others may write a file that the daemon obeys."""
    _log.warning("settings.exposed", file=path, said=text)


def unforeseen(credential: str, bug: BaseException) -> None:
    """Log a bug that ended a reconcile. The trace has no local variables."""
    _log.error("visit.failed", credential=credential, exc_info=bug)
