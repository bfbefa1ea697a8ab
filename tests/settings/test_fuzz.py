"""Whatever stands in the files, loading ends in settings or in a SettingsError."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.settings import SettingsError, load
from tests.settings.files import SOUND

WORDS = st.sampled_from(
    [
        *(
            "vault",
            "daemon",
            "targets",
            "credentials",
            "defaults",
            "auth",
            "blog",
            "web",
            "address",
            "method",
            "role_id",
        ),
        *("secret_id", "token", "mount", "prefix", "kind", "url", "minter", "pat", "self", "username", "password"),
        *("every", "cron", "fraction", "timezone", "jitter", "lifetime", "retire", "after", "quiet", "deadline"),
        *("labels", "limits", "roles", "probe", "path", "key", "target", "on_foreign", "tick", "lease", "in_flight"),
        *("timeout", "settle", "calls", "period", "keep", "version"),
    ]
)
TEXTS = st.sampled_from(
    [
        *("30s", "5m", "9999999999w", "0s", "none", "halo-cms", "halo-pat", "blog", "https://x.example", "http://["),
        *("https://a:b@c", "token", "approle", "jwt", "cert", "hold", "revoke", "UTC", "Europe", "/../etc", "/etc/x"),
        *("a/b#c", "\x00", "é", "💥", "1h1h", "99999999999999999999", "0 3 * * 1", "*/7 * * * 0-7/3", "", " "),
    ]
)
PLAIN = st.one_of(TEXTS, st.text(max_size=12), st.integers(), st.floats(), st.booleans())
TREES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12
)


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return str(value)


def _loads(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rotator.toml"
        path.write_bytes(content)
        try:
            load(path)
        except SettingsError as error:
            found = error.faults
        else:
            return
    assert found
    assert all(fault.text and 0 <= fault.line <= content.count(b"\n") + 1 for fault in found)


@given(st.dictionaries(WORDS, TREES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_tree_of_known_words(tree: dict[str, object]) -> None:
    _loads("\n".join(f"{key} = {_toml(value)}" for key, value in tree.items()).encode("utf-8", "surrogatepass"))


KEYS = st.sampled_from([line.partition(" = ")[0] for line in SOUND.splitlines() if " = " in line])


@given(KEYS, TREES, st.dictionaries(WORDS, TREES, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_sound_file_with_one_value_replaced_and_some_keys_more(
    key: str, value: object, more: dict[str, object]
) -> None:
    lines = [f"{key} = {_toml(value)}" if line.startswith(f"{key} = ") else line for line in SOUND.splitlines()]
    lines += [f"{word} = {_toml(tree)}" for word, tree in more.items() if word not in ("target", "path")]
    _loads("\n".join(lines).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes(content: bytes) -> None:
    _loads(content)


@given(st.integers(0, len(SOUND)), st.integers(0, 40), st.text(max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_sound_file_with_a_piece_cut_out(start: int, length: int, instead: str) -> None:
    _loads((SOUND[:start] + instead + SOUND[start + length :]).encode("utf-8", "surrogatepass"))
