"""A change that fails everywhere at a target stops there after the first few, until a person has mended it."""

from __future__ import annotations

import signal

import pytest

from tests.sandbox.environment import World
from tests.system.daemon import Daemon, rotate, until
from tests.system.quick import quick
from tests.system.truth import settled

pytestmark = pytest.mark.system
NAMES = [f"ci-{number}" for number in range(12)]
GOOD, BAD = ["role-template-view-posts"], ["role-template-no-such-role"]


def roles(world: World, wanted: list[str]) -> None:
    for name in NAMES:
        world.credentials[name] |= {"roles": wanted, "probe": "/apis/content.halo.run/v1alpha1/posts"}
    quick(world, target={"in_flight": 1})


def test_roles_that_no_token_gets_stop_the_target_and_a_resume_after_the_mend_goes_on(world: World) -> None:
    for name in NAMES:
        world.add(name)
    roles(world, GOOD)
    path = world.folder / "daemon.toml"
    with Daemon(path).ready() as daemon:
        until("published", lambda: all(settled(world, name) for name in NAMES), seconds=60)
        before = {name: world.published(name).reveal() for name in NAMES}
        roles(world, BAD)
        daemon.send(signal.SIGHUP)
        said = daemon.says("target.stopped", seconds=120)
        assert (said["target"], said["kind"]) == ("halo", "halo-pat")
        assert "failed" in said["said"]
        assert {name: world.published(name).reveal() for name in NAMES} == before
        shown = rotate(path, "status")
        assert shown.returncode == 3
        assert shown.stdout.count("stopped since") == len(NAMES)
        refused = rotate(path, "now", "ci-4")
        assert refused.returncode == 3
        assert "rotate resume --target halo" in refused.stdout
        heard = [line["event"] for line in daemon.lines()]
        assert "rotation.requested" not in heard[heard.index("target.stopped") :]
        roles(world, GOOD)
        daemon.send(signal.SIGHUP)
        resumed = rotate(path, "resume", "--target", "halo")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert rotate(path, "now", "--all", "--wait").returncode == 0
        assert rotate(path, "status").returncode == 0
