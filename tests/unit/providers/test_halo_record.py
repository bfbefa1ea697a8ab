"""The tests of what a Halo record and a token's value say about themselves."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest

from rotator.providers.halo_cms.client import PatRecord, is_pat, is_value_of, read
from rotator.rotation.record import Token
from rotator.rotation.secret import Secret

TOKEN = Token("blog-r1-a1", "blog-r1-a1", "t-1")


def value(**claims: Any) -> Secret:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"pat_canaryhead.{payload}.canarysignature")


@pytest.mark.parametrize(
    ("claims", "ours"),
    [
        ({"pat_name": "blog-r1-a1", "jti": "t-1"}, True),
        ({"pat_name": "blog-r1-a1", "jti": "t-2"}, False),
        ({"pat_name": "blog-r2-a1", "jti": "t-1"}, False),
        ({"sub": "minter"}, True),
        ({"pat_name": 5, "jti": None}, True),
    ],
    ids=["both", "another id", "another name", "says neither", "says nonsense"],
)
def test_a_value_that_says_whose_it_is_is_believed(claims: dict[str, Any], ours: bool) -> None:
    assert is_value_of(value(**claims), TOKEN) is ours


def test_a_handle_without_a_serial_goes_by_the_name() -> None:
    adopted = Token("blog-r1-a1")
    assert is_value_of(value(pat_name="blog-r1-a1", jti="t-9"), adopted)
    assert not is_value_of(value(pat_name="other", jti="t-9"), adopted)


@pytest.mark.parametrize("text", ["pat_opaque", "pat_a.b", "pat_a.!!.c", "pat_a.bnVsbA.c", "pat_é.é.é", "pat_a..c"])
def test_an_opaque_value_may_be_anyones(text: str) -> None:
    assert is_value_of(Secret(text), TOKEN)


@pytest.mark.parametrize(
    ("text", "form"),
    [("pat_a.b-c_d", True), ("pat_a==", True), ("pat_", False), ("PAT_a", False), ("pat_a\n", False), ("a", False)],
)
def test_the_form_of_a_token(text: str, form: bool) -> None:
    assert is_pat(Secret(text)) is form


def record(description: str | None) -> PatRecord:
    return read({"metadata": {"name": "pat-admin-XyZ"}, "spec": {"tokenId": "t", "description": description}})


@pytest.mark.parametrize(
    ("description", "mark"),
    [
        ("rotator:blog-r1-a1", "blog-r1-a1"),
        ("nightly build rotator:blog-r1-a1", "blog-r1-a1"),
        ("rotator:blog-r1-a1 copied by hand", ""),
        ("my rotator", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_mark_is_the_last_word_of_the_description(description: str | None, mark: str) -> None:
    assert record(description).mark == mark


def test_nanoseconds_are_read_and_a_time_without_a_zone_is_not() -> None:
    spec = {"tokenId": "t", "lastUsed": "2026-11-22T16:12:51.294191231Z"}
    assert read({"metadata": {"name": "x"}, "spec": spec}).spec.last_used.microsecond == 294191
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"metadata": {"name": "x"}, "spec": {**spec, "lastUsed": "2026-11-22T16:12:51"}}, PatRecord)
