from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.hostile.canary.cast import APPLICATIONS, DESK
from tests.hostile.canary.harvest import pieces
from tests.hostile.canary.search import Search
from tests.hostile.canary.story import Story
from tests.sandbox.environment import World
from tests.system.kinds import KINDS

KEYS = {kind.document_field for kind in KINDS.values()}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with World(applications=APPLICATIONS) as world:
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
    assert len(story.secrets) > 200
    published = {kind for kind in (*DESK, "renewed", "by-itself", "brought") if _published(story, kind)}
    assert published == {*DESK, "renewed", "by-itself", "brought"}


def _published(story: Story, name: str) -> bool:
    place = f"{story.world.mount}/metadata/{story.world.credentials[name]['path']}"
    return int(story.world.bao.call("GET", place)["data"]["current_version"]) > 0


def test_the_secrets_of_every_sort_of_value_are_among_those_that_are_searched(story: Story) -> None:
    """What the consumers hold at the end stands for all that was rotated before."""
    world, missed = story.world, []
    for name in world.credentials:
        document = world.bao.call("GET", f"{world.mount}/data/{world.credentials[name]['path']}")["data"]["data"]
        values = [document[key] for key in document if key in KEYS or key.startswith("client_assertion_")]
        values = [value for value in values if value != ASSERTION_TYPE]
        missed += [name for value in values if not set(pieces(value)) <= story.secrets]
        assert values, name
    assert missed == []
    kept = world.bao.call("GET", f"{world.mount}/data/renewals/registration")["data"]["data"]
    assert kept["token"] in story.secrets
    assert kept["token"] != world.desk.registrations["by-itself-registered"].reveal()


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
    print(f"\n{len(dict(story.sinks()))} of {len(dict(story.sinks()))} planted leaks found")  # noqa: T201 - the figures are for the reader of the test run


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
        "public keys /jwks/",
        "file told-to-a-program",
        "file desk.log",
        "file assertion-key-keys.jwks",
        "told to /hook",
        "told to /v1/traces",
        "limits of",
    )
    assert [sort for sort in (*sorts, *more) if not any(name.startswith(sort) for name in names)] == []
