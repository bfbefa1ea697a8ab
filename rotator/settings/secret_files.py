"""References to secrets, and reading the secrets that are kept in files or systemd credentials."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from rotator.host.files import opened
from rotator.rotation.secret import Secret, SecretRef, SecretSource
from rotator.settings.parsers import WrongValueError, quoted, sort_of, suggest, text, word
from rotator.settings.parsers import file as file_path

_HOW = 'refer to it: {file = "/path"}, {credential = "name"} (systemd) or {vault = "mount/path#key"}'
_VAULT = re.compile(r"(?P<path>[^#\s/]+(?:/[^#\s/]+)+)#(?P<key>[^#\s]+)")
_CLOSE = "chmod 0400 it"
_LARGEST = 64 * 1024  # bytes; a private key is far below
# systemd keeps the credentials of rotator.service here: so root can type `rotate` without further set-up.
_SYSTEMD = ("/run/credentials/rotator.service/{}", "/etc/credstore/rotator.{}")


class SecretUnreadableError(Exception):
    """A secret that cannot be read. The text names its place, never its content."""


def secret_ref(value: object) -> SecretRef:
    """Read a reference. Raises WrongValueError without repeating the value: it may be the secret itself."""
    if isinstance(value, str):
        raise WrongValueError(
            f"a secret must not stand in this file; {_HOW}. If this was a real secret, replace it now"
        )
    if not isinstance(value, dict):
        raise WrongValueError(f"must refer to a secret, not be {sort_of(value)}; {_HOW}")
    if len(value) != 1:
        raise WrongValueError(f"must name exactly one place; {_HOW}")
    source, where = next(iter(value.items()))
    if source not in tuple(SecretSource):
        raise WrongValueError(f"{quoted(source)} keeps no secrets, {suggest(source, tuple(SecretSource))}; {_HOW}")
    return _READ[SecretSource(source)](where)


def local_secret_ref(value: object) -> SecretRef:
    """A reference that can be read before there is a Vault login."""
    ref = secret_ref(value)
    if ref.source is SecretSource.VAULT:
        raise WrongValueError(
            "the login to Vault cannot itself be kept in Vault: use {file = ...} or {credential = ...}"
        )
    return ref


def proxy_secret_ref(value: object) -> SecretRef:
    """A reference to a proxy's password, where that proxy is needed before Vault can be reached."""
    ref = secret_ref(value)
    if ref.source is SecretSource.VAULT:
        raise WrongValueError(
            "what this proxy is asked with is needed before Vault can be reached, so it cannot be kept there:"
            " use {file = ...} or {credential = ...}"
        )
    return ref


def _in_vault(where: object) -> SecretRef:
    found = _VAULT.fullmatch(text(where))
    if not found:
        raise WrongValueError('write {vault = "mount/path#key"}, such as {vault = "secret/minters/blog#token"}')
    return SecretRef(SecretSource.VAULT, found["path"], found["key"])


_READ: Mapping[SecretSource, Callable[[object], SecretRef]] = {
    SecretSource.FILE: lambda where: SecretRef(SecretSource.FILE, file_path(where)),
    SecretSource.CREDENTIAL: lambda where: SecretRef(SecretSource.CREDENTIAL, word(where)),
    SecretSource.VAULT: _in_vault,
}


def read_secret(ref: SecretRef, warn: Callable[[str], None] = lambda text: None, *, blanks: bool = True) -> Secret:
    """The secret a file or systemd credential holds, without its closing line ends.

    `warn` is told when others may read the file. Raises SecretUnreadableError: absent, too large, empty, or not text
    that can travel in a header (printable ASCII; a PEM block may have lines; `blanks`: a password may have some).
    """
    path = _path(ref)
    try:
        with opened(path) as file:
            status = os.fstat(file.fileno())
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else "not a usable path"
        at = f" at {path}" if str(path) != ref.name else ""
        raise SecretUnreadableError(f"{ref} cannot be read{at}: {reason}") from None
    # systemd guards its credentials by their directory, so the bits of the file say nothing.
    if ref.source is SecretSource.FILE and stat.S_IMODE(status.st_mode) & 0o077:
        warn(f"{ref} may be read by others than its owner; {_CLOSE}")
    value = _clean(ref, content)
    if " " in value and not blanks:
        raise SecretUnreadableError(f"{ref} holds a blank, which no token has: is it all that the file should hold?")
    return Secret(value)


def _path(ref: SecretRef) -> Path:
    if ref.source is SecretSource.FILE:
        return Path(ref.name)
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if ref.source is SecretSource.CREDENTIAL and directory:
        return Path(directory) / ref.name
    kept = [place.format(ref.name) for place in _SYSTEMD]
    readable = [place for place in kept if os.access(place, os.R_OK)]
    if ref.source is not SecretSource.CREDENTIAL or not readable:
        raise SecretUnreadableError(
            f"{ref} cannot be read: systemd hands this process none ($CREDENTIALS_DIRECTORY is not set), and of the"
            f" service's own, which root may read, there is neither {kept[0]} nor {kept[1]}"
        )
    return Path(readable[0])


def exposed(ref: SecretRef) -> bool:
    """Whether others than its owner may read the file that a reference names."""
    if ref.source is not SecretSource.FILE:
        return False
    try:
        return bool(stat.S_IMODE(Path(ref.name).stat().st_mode) & 0o077)
    except (OSError, ValueError):
        return False  # reading it says what is wrong


def _clean(ref: SecretRef, content: bytes) -> str:
    if len(content) > _LARGEST:
        raise SecretUnreadableError(f"{ref} is larger than {_LARGEST // 1024} KiB")
    value = content.rstrip(b"\r\n")
    if not value:
        raise SecretUnreadableError(f"{ref} is empty")
    lines = value.splitlines() if b"-----BEGIN " in value else [value]
    if not all(0x20 <= byte < 0x7F for line in lines for byte in line):
        raise SecretUnreadableError(f"{ref} holds something else than printable ASCII on one line (or one PEM block)")
    if value != value.strip():
        raise SecretUnreadableError(f"{ref} starts or ends with a blank")
    return value.decode("ascii")
