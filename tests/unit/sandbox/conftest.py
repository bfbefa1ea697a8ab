"""The fixtures of the sandbox tests."""

from __future__ import annotations

import pytest

from tests.kit.clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
