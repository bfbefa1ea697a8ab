"""Find the settings files, join their sections, and tell which of them others may write."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rotator.host.files import opened
from rotator.settings.model import Settings
from rotator.settings.parsers import FaultAt, sort_of, suggest
from rotator.settings.table_reader import FaultList, Section, SettingsFile, dotted

DEFAULT = Path("/etc/rotator/rotator.toml")
SINGLE = ("vault", "daemon", "defaults", "status", "audit", "ping", "tracing")
NAMED = ("targets", "credentials", "hooks", "freezes")
_LARGEST = 8 * 1024 * 1024  # bytes: ten thousand credentials are less than one million
_DEEPEST = 32  # parts of a key or header; reading one of thousands takes tomllib a time that grows with their square
_PIECE = re.compile(
    r'''"""(?:[^\\]|\\.)*?(?:"{3,5}|\Z)|\'\'\'.*?(?:'{3,5}|\Z)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\#[^\n]*|'''
    r"(?P<dot>\.)|[=,{}\[\]\n]",
    re.DOTALL,
)
_AT = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass
class Joined:
    """The sections of all files together."""

    single: dict[str, Section] = field(default_factory=dict)
    named: dict[str, dict[str, Section]] = field(default_factory=lambda: {kind: {} for kind in NAMED})
    files: tuple[Path, ...] = ()
    digest: str = ""


def main_file(path: str | os.PathLike[str] | None) -> Path:
    """The file asked for, else the one $ROTATOR_CONFIG names, else /etc/rotator/rotator.toml."""
    return Path(path or os.environ.get("ROTATOR_CONFIG") or DEFAULT)


def join(main: Path, fault_list: FaultList) -> Joined:
    """Read the main file and `conf.d/*.toml` beside it, in the order of their names."""
    files = (main, *_beside(main, fault_list))
    joined, whole = Joined(files=files), hashlib.sha256()
    for path in files:
        content = _read(path, fault_list)
        whole.update(_digest(path, content))
        source = _parse(path, content, fault_list) if content is not None else None
        if source is None:
            fault_list.partial = True
        else:
            _add(joined, source)
    joined.digest = whole.hexdigest()
    return joined


def digest(main: Path) -> str:
    """The digest that `join` would give these files now, parsed or not. Raises nothing."""
    whole = hashlib.sha256()
    for path in (main, *_beside(main, FaultList())):
        whole.update(_digest(path, _read(path, FaultList())))
    return whole.hexdigest()


def _digest(path: Path, content: bytes | None) -> bytes:
    name = str(path).encode("utf-8", "surrogateescape")
    return hashlib.sha256(name).digest() + hashlib.sha256(content or b"").digest()


_DAEMON = re.compile(r"^[ \t]*\[[ \t]*daemon[ \t]*\][^\n]*\n((?:(?![ \t]*\[).*(?:\n|\Z))*)", re.MULTILINE)
_SOCKET = re.compile(r"""^[ \t]*socket[ \t]*=[ \t]*(["'])([^"'\n]+)\1""", re.MULTILINE)


def socket_in(main: Path) -> str:
    """The path of the daemon's socket, read even from faulty files; empty: not named."""
    fault_list = FaultList()
    for path in (main, *_beside(main, fault_list)):
        text = (_read(path, fault_list) or b"").decode(errors="replace").replace("\r\n", "\n")
        for section in _DAEMON.findall(text):
            if found := _SOCKET.search(section):
                return found[2]
    return ""


def _beside(main: Path, fault_list: FaultList) -> list[Path]:
    directory = main.parent / "conf.d"
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as fault:
        fault_list.partial = True
        fault_list.faults.append(FaultAt(str(directory), 0, "", f"cannot be listed: {_reason(fault)}"))
        return []


def _read(path: Path, fault_list: FaultList) -> bytes | None:
    try:
        with opened(path) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as fault:
        fault_list.faults.append(FaultAt(str(path), 0, "", f"cannot be read: {_reason(fault)}{_remedy(path, fault)}"))
        return None
    if len(content) > _LARGEST:
        fault_list.faults.append(FaultAt(str(path), 0, "", f"is larger than {_LARGEST >> 20} MiB"))
        return None
    return content


def _remedy(path: Path, fault: OSError | ValueError) -> str:
    if not isinstance(fault, FileNotFoundError):
        return ""
    if path.is_symlink():
        return f"; it is a link to {path.readlink()}, where nothing is: mend or remove it"
    return "; name another with --config or $ROTATOR_CONFIG"


def _reason(fault: OSError | ValueError) -> str:
    return fault.strerror or "input error" if isinstance(fault, OSError) else "not a usable path"


def _parse(path: Path, content: bytes, fault_list: FaultList) -> SettingsFile | None:
    def broken(line: int, text: str) -> None:
        fault_list.faults.append(FaultAt(str(path), line, "", text))

    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        broken(content.count(b"\n", 0, fault.start) + 1, "is not UTF-8 text; save the file as UTF-8")
        return None
    if deep := _too_deep(text):
        line = text.count("\n", 0, deep) + 1
        broken(line, f"holds a key of more than {_DEEPEST} parts; none that rotator knows has six")
        return None
    try:
        table = tomllib.loads(text)
    except RecursionError:
        broken(0, "is not usable TOML: arrays or tables are nested too deeply")
    except ValueError as fault:
        at = _AT.search(str(fault))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1 if at else 0
        column = f" (column {at[2]})" if at and at[2] else ""
        broken(line, f"is not valid TOML: {_AT.sub('', str(fault))}{column}; strings need quotes, one key per line")
    else:
        return SettingsFile(str(path), text, table, fault_list)
    return None


def _too_deep(text: str) -> int:
    """The line of a key or header with too many parts, outside of strings and comments; 0: none."""
    parts = 0
    for piece in _PIECE.finditer(text):
        if piece["dot"]:
            parts += 1
        elif piece[0][0] not in "\"'#":
            parts = 0
        if parts >= _DEEPEST:
            return piece.start()
    return 0


def _add(joined: Joined, source: SettingsFile) -> None:
    for name, table in source.table.items():
        if name not in SINGLE + NAMED:
            source.fault((name,), f"unknown section; {suggest(name, SINGLE + NAMED)}")
        elif not isinstance(table, dict):
            source.fault((name,), f"must be a table, not {sort_of(table)}: write [{name}]")
        elif name in SINGLE:
            _put(joined.single, name, Section(source, (name,), table))
        else:
            for inner, entry in table.items():
                if isinstance(entry, dict):
                    _put(joined.named[name], inner, Section(source, (name, inner), entry))
                else:
                    hint = f"write [{name}.NAME] and the keys below it"
                    source.fault((name, inner), f"must be a table, not {sort_of(entry)}: {hint}")


def _put(sections: dict[str, Section], name: str, section: Section) -> None:
    if (first := sections.setdefault(name, section)) is not section:
        where = f"{first.source.file}:{first.source.line(first.path)}"
        section.fault("", f"{dotted(section.path)} is already defined in {where}; keep one of the two")


def writable(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each path that others may write, and what they could do with it."""
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
    """The others who may write it, in words, or "". In a sticky folder, others cannot replace files of this user.

    A config map's folder has the mode 0777, but the kubelet mounts it read-only, from where only root gets.
    """
    try:
        status = path.stat()
        if (path / "..data").is_symlink() and os.statvfs(path).f_flag & os.ST_RDONLY:
            return ""
    except (OSError, ValueError):
        return ""  # reading it says what is wrong
    mode = status.st_mode
    if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return "anybody may write it"
    if mode & stat.S_IWGRP and status.st_gid != 0:
        return f"the group {status.st_gid} may write it"
    return "" if status.st_uid in (0, os.geteuid()) else f"it belongs to the user {status.st_uid}"
