"""Builds settings files for tests: a sound base, and ways to break it."""

from __future__ import annotations

from pathlib import Path

from rotator.settings import FaultAt, SettingsError, load

SOUND = """\
[vault]
address = "https://vault.example:8200"
[vault.auth]
method = "approle"
role_id = "5b1d"
secret_id = {credential = "vault-secret-id"}
[targets.blog]
kind = "halo-cms"
url = "https://blog.example"
minter = {pat = {vault = "secret/minters/blog#token"}}
[credentials.web]
target = "blog"
path = "apps/web/halo"
"""


def write(directory: Path, text: str, name: str = "rotator.toml") -> Path:
    """Write one settings file."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> tuple[FaultAt, ...]:
    """The faults of loading this file; none when it is sound."""
    try:
        load(path)
    except SettingsError as error:
        return error.faults
    return ()


def line_of(text: str, start: str) -> int:
    """The number of the first line that starts so."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))
