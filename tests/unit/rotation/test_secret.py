"""A secret shows itself to nobody but the caller of `reveal`."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import threading
from weakref import WeakSet

import pytest

from rotator.rotation.secret import NewSecrets, Secret

CANARY = "canary-3f9c1e"


def test_reveal_gives_the_value_back() -> None:
    assert Secret(CANARY).reveal() == CANARY


@pytest.mark.parametrize("show", [repr, str, lambda secret: f"{[secret]}", lambda secret: f"{secret!s} {secret!r}"])
def test_no_way_of_printing_shows_the_value(show) -> None:
    assert CANARY not in show(Secret(CANARY))


@pytest.mark.parametrize(
    "leak", [lambda x: f"{x}", lambda x: f"{x:>40}", pickle.dumps, copy.copy, copy.deepcopy, json.dumps]
)
def test_formatting_pickling_copying_and_json_are_refused(leak) -> None:
    with pytest.raises(TypeError) as refusal:
        leak(Secret(CANARY))
    assert CANARY not in str(refusal.value)


def test_a_secret_has_no_dictionary_to_look_into() -> None:
    assert not hasattr(Secret(CANARY), "__dict__")


@pytest.mark.parametrize(("value", "fault"), [("", ValueError), (b"bytes", TypeError), (None, TypeError)])
def test_only_non_empty_text_can_be_a_secret(value, fault) -> None:
    with pytest.raises(fault):
        Secret(value)


def test_matching_compares_values_and_equality_does_not() -> None:
    one, same, other = Secret(CANARY), Secret(CANARY), Secret("canary-other")
    assert one.matches(same)
    assert not one.matches(other)
    assert one != same
    assert len({one, same}) == 2


def test_a_fingerprint_depends_on_key_and_value_and_contains_neither() -> None:
    secret = Secret(CANARY)
    mark = secret.fingerprint(b"key")
    assert mark == Secret(CANARY).fingerprint(b"key")
    assert mark != secret.fingerprint(b"other key")
    assert mark != Secret("canary-other").fingerprint(b"key")
    assert len(mark) == 16
    assert CANARY not in mark


def test_living_secrets_are_known_until_nobody_holds_them() -> None:
    secret = Secret(CANARY)
    assert any(x is secret for x in Secret.living())
    mark = id(secret)
    del secret
    gc.collect()
    assert mark not in {id(x) for x in Secret.living()}


def test_each_new_secret_is_found_once_by_everybody_who_looks() -> None:
    before = Secret("made before")
    one, two = NewSecrets(), NewSecrets()
    assert before in one.look()
    after = Secret("made after")
    assert one.look() == [after]
    assert one.look() == []
    assert {before, after} <= set(two.look())


def test_new_secrets_keep_none_alive() -> None:
    new = NewSecrets()
    new.look()
    Secret("dies at once")
    gc.collect()
    assert new.look() == []


def test_no_secret_is_missed_while_threads_make_them_and_one_looks() -> None:
    new, found, made = NewSecrets(), set(), []

    def make() -> None:
        for number in range(2_000):
            made.append(Secret(f"thread-secret-{number}"))
            if not number % 200:
                NewSecrets()  # another begins to look

    threads = [threading.Thread(target=make) for _ in range(3)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        found.update(new.look())
    found.update(new.look())
    assert set(made) <= found


def test_the_last_new_secrets_may_die_while_they_are_looked_at() -> None:
    class AllDied(WeakSet):  # counted, and gone when it is their turn
        def __len__(self) -> int:
            return 1

    new = NewSecrets()
    new.made = AllDied()
    assert new.look() == []


def test_the_living_are_counted_again_when_one_is_made_meanwhile(monkeypatch) -> None:
    kept = Secret("kept")

    class Changing(WeakSet):
        changed = False

        def __iter__(self):
            if not self.changed:
                self.changed = True
                raise RuntimeError("Set changed size during iteration")
            return super().__iter__()

    monkeypatch.setattr(Secret, "_living", Changing([kept]))
    assert Secret.living() == (kept,)


def test_nothing_is_kept_for_one_who_no_longer_looks(monkeypatch) -> None:
    monkeypatch.setattr(Secret, "_counting", [])
    new = NewSecrets()
    assert len(Secret._counting) == 1
    del new
    gc.collect()
    assert Secret._counting == []
    monkeypatch.setattr(Secret, "_counting", [lambda: None])  # it is ended at this very moment
    Secret("made meanwhile")
