"""Owns settings: TOML files to one frozen, checked value, or every fault at once with file, line and key.

Loading calls nobody and reads no secret; fetching what a reference points to is left to `read_secret` and the app.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rotator.rotation.credential import Credential, Place
from rotator.rotation.reference import SecretRef, Source
from rotator.settings import files
from rotator.settings.arithmetic import clashes, spacing, timeout_clash
from rotator.settings.credentials import Known, check_defaults, read_credential
from rotator.settings.faults import FaultAt, SettingsError, WrongValueError
from rotator.settings.kinds import Kind
from rotator.settings.model import Audit, Daemon, Listen, Method, Minter, Settings, Status, Target, Vault, VaultAuth
from rotator.settings.observing import read_audit, read_status
from rotator.settings.secrets import SecretUnreadableError, read_secret
from rotator.settings.section import Book, Section, dotted
from rotator.settings.service import read_daemon, read_vault
from rotator.settings.targets import read_target
from rotator.settings.values import name as read_name

__all__ = [
    "Audit", "Daemon", "FaultAt", "Kind", "Listen", "Method", "Minter", "SecretRef", "SecretUnreadableError",
    "Settings", "SettingsError", "Source", "Status", "Target", "Vault", "VaultAuth", "load", "read_secret",
]  # fmt: skip


def load(path: str | os.PathLike[str] | None = None, kinds: Mapping[str, Kind] | None = None) -> Settings:
    """Read the settings: `path`, else the file $ROTATOR_CONFIG names, else /etc/rotator/rotator.toml.

    `conf.d/*.toml` beside that file is read too. Raises SettingsError with every fault, and nothing else.
    """
    if kinds is None:
        from rotator.providers import KINDS

        kinds = KINDS
    book = Book()
    joined = files.join(files.main_file(path), book)
    daemon = read_daemon(joined.single.get("daemon") or _absent(joined, book))
    status = read_status(joined.single.get("status") or _absent(joined, book))
    audit = read_audit(joined.single.get("audit") or _absent(joined, book))
    vault = _vault(joined, book)
    _check_names(joined)
    sections = joined.named["targets"]
    targets = {name: read_target(section, name, kinds) for name, section in sections.items()}
    known = {kind.family for kind in kinds.values()}
    families = {name: str(section.table.get("kind")) for name, section in sections.items()}
    families = {name: family for name, family in families.items() if family in known}
    credentials = _credentials(joined, Known(targets, families, kinds, vault.mount), book)
    _check_timeouts(joined, daemon, vault, targets)
    _check_together(joined, daemon, vault, credentials)
    _check_fit(joined, kinds, targets, credentials)
    if book.faults:
        raise SettingsError(book.faults)
    sound = {name: target for name, target in targets.items() if target is not None}
    return Settings(vault, daemon, sound, credentials, joined.files, joined.digest, status, audit)


def _absent(joined: files.Joined, book: Book) -> Section:
    from rotator.settings.section import Source as File

    return Section(File(str(joined.files[0]), "", {}, book), (), {})


def _vault(joined: files.Joined, book: Book) -> Vault:
    section = joined.single.get("vault")
    if section is not None:
        return read_vault(section)
    if not book.partial:
        _absent(joined, book).source.fault(
            (), "the section [vault] is missing; it says where Vault is and how to log in"
        )
    return Vault("", VaultAuth(Method.TOKEN, ""))


def _check_names(joined: files.Joined) -> None:
    for sections in joined.named.values():
        for name, section in sections.items():
            try:
                read_name(name)
            except WrongValueError as wrong:
                section.fault("", str(wrong))


def _credentials(joined: files.Joined, known: Known, book: Book) -> dict[str, Credential]:
    defaults = joined.single.get("defaults")
    if defaults is not None:
        check_defaults(defaults, known.kinds)
    credentials = {}
    for name, section in joined.named["credentials"].items():
        section.under = defaults
        credential = read_credential(section, name, known, defaults)
        if credential is not None:
            credentials[name] = credential
    return credentials


def _check_timeouts(joined: files.Joined, daemon: Daemon, vault: Vault, targets: Mapping[str, Target | None]) -> None:
    home = joined.single.get("vault")
    clash = timeout_clash(vault.connect_timeout + vault.read_timeout, daemon.lease, "connect_timeout + read_timeout")
    if clash and home is not None:
        home.fault("read_timeout", clash)
    for name, target in targets.items():
        timeout = getattr(target.keys, "timeout", None) if target is not None else None
        if timeout is not None and (clash := timeout_clash(timeout, daemon.lease, "timeout")):
            joined.named["targets"][name].fault("timeout", clash)


def _check_fit(
    joined: files.Joined,
    kinds: Mapping[str, Kind],
    targets: Mapping[str, Target | None],
    credentials: Mapping[str, Credential],
) -> None:
    for name, credential in credentials.items():
        target = targets.get(credential.target)
        if target is None:
            continue
        longest = spacing(credential)[1]
        if misfit := kinds[credential.kind].misfits(credential, target.keys, longest):
            joined.named["credentials"][name].fault("lifetime", misfit)


def _check_together(joined: files.Joined, daemon: Daemon, vault: Vault, credentials: Mapping[str, Credential]) -> None:
    sections = joined.named["credentials"]
    owners: dict[Place, str] = {}
    for name, credential in credentials.items():
        section, place = sections[name], credential.place
        first = owners.setdefault(place, name)
        if first is not name:
            other = sections[first]
            section.fault(
                "path",
                f"{place} is already written by {dotted(other.path)}"
                f" ({other.source.file}:{other.source.line((*other.path, 'path'))}); one path, one credential",
            )
        if place.mount == vault.mount and f"{place.path}/".startswith(f"{vault.prefix}/"):
            section.fault("path", f"lies in the daemon's private prefix {vault.mount}/{vault.prefix}; choose another")
        for clash in clashes(credential, daemon):
            section.fault(next(filter(section.knows, clash.keys), ""), clash.text)
