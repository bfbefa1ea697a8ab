"""Who else may write what the daemon obeys: its settings files, their folder, and the programs of hooks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from rotator.settings.model import Settings


def writable(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each path that others may write, and what that lets them do; the remedy is to close it."""
    for path in _once(settings.files):
        if said := _open_to(path):
            yield str(path), f"{said}: whoever writes it decides what runs as this user (`[hooks]`) and what is rotated"
    for folder in _once(path.parent for path in settings.files):
        if said := _open_to(folder):
            yield str(folder), f"{said}: whoever writes there may put another file of settings in its place"
    for program in _once(Path(hook.command[0]) for hook in settings.hooks.values() if hook.command):
        if said := _open_to(program):
            yield str(program), f"{said}: a hook runs it as this user"


def _once(paths: Iterable[Path]) -> Iterable[Path]:
    return dict.fromkeys(paths)


def _open_to(path: Path) -> str:
    """Who else may write it, or nothing. A sticky folder keeps others from replacing what is not theirs."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ""  # reading it says what is wrong
    mode = status.st_mode
    if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return "anybody may write it"
    if mode & stat.S_IWGRP and status.st_gid != 0:
        return f"the group {status.st_gid} may write it"
    return "" if status.st_uid in (0, os.geteuid()) else f"it belongs to the user {status.st_uid}"
