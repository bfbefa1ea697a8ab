"""The systemd unit for given settings: the shipped one, with this installation's program, file and secrets.

rotator.service beside it is a copy of systemd/rotator.service; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings.files import DEFAULT

_START = "ExecStart=/opt/rotator/bin/python -I -m rotator run --log json"
_AGAIN = "ExecReload=/opt/rotator/bin/python -I -m rotator reload"
_STRICT = "ProtectSystem=strict"
_HIDDEN = ("/home", "/root", "/run/user")  # by ProtectHome=yes
_LOAD = "LoadCredential=vault-secret-id:rotator.vault-secret-id"


def unit_text(references: Iterable[SecretRef], python: str, settings: Path, writes: Iterable[str] = ()) -> str:
    """The unit. `references`: every secret that the settings refer to; `python`: the program that runs rotator;
    `writes`: the files that the settings have it write."""
    shipped = (resources.files("rotator.commands.scaffold") / "rotator.service").read_text(encoding="utf-8")
    asked = "" if settings == DEFAULT else f" -c {_word(str(settings))}"
    load = [f"LoadCredential={name}:rotator.{name}" for name in loaded(references)]
    folders = sorted({str(Path(each).parent) for each in writes} - {"/var/lib/rotator"})
    allowed = [f"ReadWritePaths={_word(f'-{each}')}" for each in folders if not each.startswith("/var/lib/rotator/")]
    program = f"{_word(python)} -I -m rotator{asked}"
    lines = {
        _START: [f"ExecStart={program} run --log json"],
        _AGAIN: [f"ExecReload={program} reload"],
        _STRICT: [_STRICT, *allowed],
        _LOAD: load,
    }
    return "\n".join(new for line in shipped.split("\n") for new in lines.get(line, [line]))


def loaded(references: Iterable[SecretRef]) -> tuple[str, ...]:
    """The names of the secrets that systemd is to hand over."""
    return tuple(dict.fromkeys(each.name for each in references if each.source is SecretSource.CREDENTIAL))


def hidden(*paths: str) -> str:
    """The first of these files that the unit cannot see, as ProtectHome hides it; nothing when it sees all."""
    for path in paths:
        for each in (Path(path), Path(path).resolve()):
            if any(each.is_relative_to(home) for home in _HIDDEN):
                return str(each)
    return ""


def _word(text: str) -> str:
    """One word of a command line, as systemd.service(5) reads it: % and $ stand for something else there."""
    escaped = text.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if set(text) & set(" \t'\"\\;") else escaped
