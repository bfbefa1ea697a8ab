"""Log lines of a test go to a string, and the process's own logging is put back afterwards."""

from __future__ import annotations

import io
import logging
import secrets
import sys
import threading
from collections.abc import Iterator
from weakref import WeakSet

import pytest
import structlog

from rotator.observe import logs
from rotator.rotation.secret import Secret


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """The JSON lines written during the test."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    logs.configure("debug", json=True, stream=stream)
    yield stream
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = before
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    structlog.reset_defaults()


@pytest.fixture
def no_other_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that other tests keep, a key made once per run for example, are not counted: some are thousands long."""
    monkeypatch.setattr(Secret, "_living", WeakSet())


@pytest.fixture
def canary() -> Secret:
    """A secret that no other test has seen."""
    return Secret("cnry-" + secrets.token_urlsafe(30) + "/+")
