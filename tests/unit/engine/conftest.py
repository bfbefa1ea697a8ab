"""The fixtures of the engine's tests."""

from __future__ import annotations

import pytest

from tests.unit.engine.world import World


@pytest.fixture
def world() -> World:
    return World()
