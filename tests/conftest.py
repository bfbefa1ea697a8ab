"""What every test may ask for: the event loop's kind, and one real OpenBao for the whole run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from rotator.observe.logs.redaction import Redactor, redact
from tests.hostile.canary.plugin import pytest_configure, pytest_runtest_makereport
from tests.kit.clock import HandClock
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBao

__all__ = ["pytest_configure", "pytest_runtest_makereport"]  # hooks: every test is watched for leaks
pytest_plugins = ["pytester"]

_numbers = itertools.count(1)


def pytest_runtest_setup() -> None:
    """Let the redactor forget the dead secrets of earlier tests: what they looked like would be redacted here."""
    Redactor.__init__(redact)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    """A real server in memory, unsealed; each test takes a mount of its own."""
    with OpenBao() as server:
        yield server


@pytest.fixture
def mount(openbao: OpenBao) -> str:
    """A fresh KV version 2 engine."""
    return openbao.enable_kv(f"kv-{next(_numbers)}")


@pytest.fixture
def world() -> Iterator[World]:
    """A real OpenBao and a sandbox Halo of the test's own."""
    with World() as made:
        yield made


@pytest.fixture
def clock() -> HandClock:
    """Time by hand."""
    return HandClock()
