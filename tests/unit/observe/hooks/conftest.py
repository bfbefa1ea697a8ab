"""The world of the tests that start a daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.environment import World


@pytest.fixture
def world() -> Iterator[World]:
    """A real OpenBao and a sandbox Halo of the test's own."""
    with World() as made:
        yield made
