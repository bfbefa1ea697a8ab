"""One small world for all commands: a real OpenBao, a sandbox Halo, and two credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.environment import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as made:
        yield _peopled(made)


@pytest.fixture(scope="module")
def untouched() -> Iterator[World]:
    """A world like the other, in which nothing is ever done."""
    with World() as made:
        yield _peopled(made)


def _peopled(made: World) -> World:
    made.add("blog-ci", roles=["role-template-view-posts"], labels={"team": "web"})
    made.add("blog-web")
    return made
