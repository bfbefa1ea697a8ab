"""Which daemon looks first: the same answer for all, an even share, and few names move when one comes or goes."""

from __future__ import annotations

from collections import Counter

import pytest

from rotator.rotation.replica_share import Heartbeat, first_replica, living, names_digest
from tests.unit.rotation.builders import MINUTE, NOW, SECOND

NAMES = [f"svc-{number}" for number in range(3000)]
ONE, TWO, THREE = "host-a", "host-b", "host-c"


def test_the_order_in_which_replicas_are_named_does_not_matter() -> None:
    assert [first_replica(name, (ONE, TWO, THREE)) for name in NAMES] == [
        first_replica(name, {THREE, TWO, ONE}) for name in NAMES
    ]


def test_each_has_its_share() -> None:
    shares = Counter(first_replica(name, (ONE, TWO, THREE)) for name in NAMES)
    assert set(shares) == {ONE, TWO, THREE}
    assert min(shares.values()) > 850  # of 1,000


def test_when_one_goes_only_its_names_move() -> None:
    before = {name: first_replica(name, (ONE, TWO, THREE)) for name in NAMES}
    after = {name: first_replica(name, (ONE, TWO)) for name in NAMES}
    assert {before[name] for name in NAMES if before[name] != after[name]} == {THREE}


def test_nobody_is_first_where_nobody_lives() -> None:
    assert first_replica("svc-1", ()) == ""


@pytest.mark.parametrize(("age", "alive"), [(0, True), (42, True), (43, False)])
def test_a_daemon_lives_while_it_beats(age: int, alive: bool) -> None:
    beats = [Heartbeat(ONE, NOW - age * SECOND)]
    assert living(beats, NOW, MINUTE / 2) == ({ONE} if alive else set())


def test_a_daemon_that_only_looks_is_first_nowhere() -> None:
    assert living([Heartbeat(ONE, NOW, only_looks=True), Heartbeat(TWO, NOW)], NOW, MINUTE) == {TWO}


def test_the_digest_of_names_knows_no_order() -> None:
    assert names_digest(["b", "a"]) == names_digest({"a", "b"}) != names_digest(["a"])
