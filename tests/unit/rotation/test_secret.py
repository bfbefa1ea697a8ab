"""A secret shows itself to nobody but the caller of `reveal`."""

from __future__ import annotations

import copy
import gc
import json
import pickle

import pytest

from rotator.rotation.secret import Secret

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
