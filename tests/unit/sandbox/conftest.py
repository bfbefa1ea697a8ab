"""The fixtures of the sandbox tests."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.client import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()
