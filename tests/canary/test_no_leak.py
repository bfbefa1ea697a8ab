from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rotator.sandbox.world import World
from tests.canary.search import Search
from tests.canary.story import Story

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with World() as world:
        told = Story(world)
        told.run()
        yield told


def test_the_story_went_through_every_kind_of_trouble(story: Story) -> None:
    events = {
        json.loads(line)["event"]
        for name, text in story.sinks()
        if (name.endswith(".log") and name.startswith("file control")) or "rotator-" in name
        for line in text.splitlines()
        if line.startswith("{") and "event" in line
    }
    assert {"value.published", "predecessor.retired", "mint.lost", "attempt.burned", "step.faulted"} <= events
    assert "credential.held" in events
    assert len(story.secrets) > 20


def test_no_secret_is_in_any_sink(story: Story) -> None:
    search = Search(story.secrets)
    sinks = dict(story.sinks())
    assert [hit for name, text in sinks.items() for hit in search.hits(name, text)] == []
    print(f"\n{len(search)} secrets, {len(sinks)} sinks, {sum(map(len, sinks.values()))} characters: 0 hits")  # noqa: T201 - the figures are for the reader of the test run


def test_a_leak_planted_in_any_sink_is_found(story: Story) -> None:
    search = Search(story.secrets)
    secret = max(story.secrets, key=len)
    missed = [name for name, text in story.sinks() if not search.hits(name, text[:50] + secret + text[50:])]
    assert missed == []


def test_every_sort_of_sink_is_searched(story: Story) -> None:
    names = [name for name, _ in story.sinks()]
    sorts = ("output of rotate", "control socket", "cmdline of", "environ of", "file ", "log of OpenBao")
    more = (
        "status page /metrics",
        "file receipts.jsonl",
        "access log of Halo",
        "names and descriptions",
        "journal ",
        "metadata of",
        "heartbeat",
    )
    assert [sort for sort in (*sorts, *more) if not any(name.startswith(sort) for name in names)] == []
