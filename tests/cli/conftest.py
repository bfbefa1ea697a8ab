"""Owns one small world for all commands: a real OpenBao, a sandbox Halo, and two credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rotator.sandbox.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as made:
        made.add("blog-ci", roles=["role-template-view-posts"], labels={"team": "web"})
        made.add("blog-web")
        yield made
