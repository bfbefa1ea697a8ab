"""The fuzzing of settings files: whatever stands in them, loading ends in settings or in faults with a place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from rotator.settings import SettingsError, load
from tests.unit.settings.files import SOUND

CONFIG = Path(__file__).parents[3] / "config"
EXAMPLES = [CONFIG / "rotator.toml", *sorted((CONFIG / "examples").glob("*.toml"))]

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
        *("a" * 2049, "/" + "x/" * 40_000, "https://x.example/" + "a" * 70_000, "🔑" * 5000),
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


def loads(content: bytes) -> None:
    """Settings, or faults, each with its words and its line."""
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
    assert all(len(str(fault)) < 8000 and str(fault).isprintable() for fault in found)
    assert all(fault.text and 0 <= fault.line <= content.count(b"\n") + 1 for fault in found)


def _encoded(lines: list[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogatepass")


KEYS = st.sampled_from([line.partition(" = ")[0] for line in SOUND.splitlines() if " = " in line])


@st.composite
def trees(draw: st.DrawFn) -> bytes:
    """Known words in any order."""
    tree = draw(st.dictionaries(WORDS, TREES, max_size=6))
    return _encoded([f"{key} = {_toml(value)}" for key, value in tree.items()])


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A sound file with one value replaced, and some keys more."""
    key, value, more = draw(KEYS), draw(TREES), draw(st.dictionaries(WORDS, TREES, max_size=4))
    lines = [f"{key} = {_toml(value)}" if line.startswith(f"{key} = ") else line for line in SOUND.splitlines()]
    return _encoded(
        lines + [f"{word} = {_toml(tree)}" for word, tree in more.items() if word not in ("target", "path")]
    )


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    """A sound file with a piece cut out."""
    start, length = draw(st.integers(0, len(SOUND))), draw(st.integers(0, 40))
    return (SOUND[:start] + draw(st.text(max_size=5)) + SOUND[start + length :]).encode("utf-8", "surrogatepass")


@cache
def example(path: Path) -> list[str]:
    """An example's lines, without its comments: there the commented-out keys come to life, too."""
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines()]
    return [line for line in lines if line.startswith("[") or " = " in line]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A shipped example with lines lost, doubled, swapped, mixed with another's, or given another value."""
    lines = list(example(draw(st.sampled_from(EXAMPLES))))
    other = example(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        deed = draw(st.sampled_from(["lose", "double", "swap", "mix", "value"]))
        if deed == "lose" and len(lines) > 1:
            del lines[at]
        elif deed == "double":
            lines.insert(at, lines[at])
        elif deed == "swap":
            lines[at], lines[0] = lines[0], lines[at]
        elif deed == "mix":
            lines.insert(at, draw(st.sampled_from(other)))
        else:
            lines[at] = f"{lines[at].partition(' = ')[0]} = {_toml(draw(TREES))}"
    return _encoded(lines)


FILES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "settings of known words": (trees(), loads),
    "settings with a value replaced": (replaced(), loads),
    "settings with a piece cut out": (cut(), loads),
    "settings of any bytes": (st.binary(max_size=200), loads),
    "a shipped example, mutated": (mutated(), loads),
}
