"""Settings: loading TOML files into one frozen, checked value, or reporting every fault with file, line and key.

Loading makes no network call and reads no secret. `read_secret` and app/secret_resolver.py read what a reference names.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rotator.rotation.call_budget import PlannedCalls
from rotator.rotation.credential import Credential, VaultPath
from rotator.rotation.secret import SecretRef, SecretSource
from rotator.settings import files
from rotator.settings.budget_checks import budget_clash, calls_of_target
from rotator.settings.credentials import Known, check_defaults, read_credential
from rotator.settings.model import (
    Audit,
    DaemonConfig,
    Hook,
    HookMoment,
    Listen,
    Method,
    MetricsBy,
    Minter,
    Ping,
    Settings,
    Status,
    Target,
    Tracing,
    VaultAuth,
    VaultConfig,
)  # fmt: skip
from rotator.settings.parsers import FaultAt, SettingsError, WrongValueError
from rotator.settings.parsers import name as read_name
from rotator.settings.secret_files import SecretUnreadableError, read_secret
from rotator.settings.sections import (
    read_audit,
    read_daemon,
    read_hook,
    read_ping,
    read_status,
    read_tracing,
    read_vault,
)  # fmt: skip
from rotator.settings.table_reader import FaultList, Section, dotted
from rotator.settings.targets import KindDescription, read_target
from rotator.settings.timing_checks import clashes, spacing, timeout_clash
from rotator.settings.windows import read_freeze

__all__ = [
    "Audit",
    "DaemonConfig",
    "FaultAt",
    "Hook",
    "HookMoment",
    "KindDescription",
    "Listen",
    "Method",
    "MetricsBy",
    "Minter",
    "Ping",
    "SecretRef",
    "SecretSource",
    "SecretUnreadableError",
    "Settings",
    "SettingsError",
    "Status",
    "Target",
    "Tracing",
    "VaultAuth",
    "VaultConfig",
    "load",
    "read_secret",
]  # fmt: skip


def load(
    path: str | os.PathLike[str] | None = None,
    kinds: Mapping[str, KindDescription] | None = None,
    *,
    vaultless: bool = False,
    credentials: bool = True,
) -> Settings:
    """Read the settings: `path`, else the file $ROTATOR_CONFIG names, else /etc/rotator/rotator.toml.

    `conf.d/*.toml` beside that file is read too. `vaultless`: [vault] may be missing, as no Vault is called.
    `credentials` false: theirs and [defaults] are left out, whatever stands there. Raises SettingsError with every
    fault, and nothing else.
    """
    with _uncollected():
        return _load(path, kinds, vaultless=vaultless, credentials=credentials)


def planned_calls_of(settings: Settings) -> dict[str, PlannedCalls]:
    """The calls that each target gets in an hour, by its name."""
    from rotator.providers import kind_of

    kinds = {each.kind: kind_of(each.kind) for each in settings.credentials.values()}
    return {
        name: calls_of_target(target, _on(name, settings.credentials), kinds, settings.daemon)
        for name, target in settings.targets.items()
    }


def _on(target: str, credentials: Mapping[str, Credential]) -> list[Credential]:
    return [each for each in credentials.values() if each.target == target]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the garbage collector out: of a load nearly all stays, and it would look for a third of its time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _load(
    path: str | os.PathLike[str] | None,
    kinds: Mapping[str, KindDescription] | None,
    *,
    vaultless: bool,
    credentials: bool,
) -> Settings:
    fault_list = FaultList()
    joined = files.join(files.main_file(path), fault_list)
    kinds, troubles = _kinds(joined) if kinds is None else (kinds, {})
    daemon = read_daemon(joined.single.get("daemon") or _absent(joined, fault_list))
    status = read_status(joined.single.get("status") or _absent(joined, fault_list))
    audit = read_audit(joined.single.get("audit") or _absent(joined, fault_list))
    vault = _vault(joined, fault_list, vaultless)
    _check_names(joined)
    sections = joined.named["targets"]
    targets = {name: read_target(section, name, kinds, troubles) for name, section in sections.items()}
    known = {kind.family for kind in kinds.values()}
    families = {name: str(section.table.get("kind")) for name, section in sections.items()}
    families = {name: family for name, family in families.items() if family in known}
    freezes = [read_freeze(section, name) for name, section in joined.named["freezes"].items()]
    covering = tuple(each for each in freezes if each)
    known_ones = Known(targets, families, kinds, vault.mount, troubles, covering)
    found = _credentials(joined, known_ones, fault_list) if credentials else {}
    _check_timeouts(joined, daemon, vault, targets)
    _check_together(joined, daemon, vault, kinds, found)
    _check_fit(joined, kinds, targets, found)
    if not fault_list.faults:
        _check_budgets(joined, kinds, targets, found, daemon)
    hooks = {
        name: read_hook(section, name, joined.named["credentials"]) for name, section in joined.named["hooks"].items()
    }
    ping, tracing = joined.single.get("ping"), joined.single.get("tracing")
    heard = (hooks, read_ping(ping) if ping else None, read_tracing(tracing) if tracing else None)
    if fault_list.faults:
        raise SettingsError(fault_list.faults)
    sound = {name: target for name, target in targets.items() if target is not None}
    return Settings(vault, daemon, sound, found, joined.files, joined.digest, status, audit, *heard, covering)


def _absent(joined: files.Joined, fault_list: FaultList) -> Section:
    from rotator.settings.table_reader import SettingsFile as File

    return Section(File(str(joined.files[0]), "", {}, fault_list), (), {})


def _kinds(joined: files.Joined) -> tuple[Mapping[str, KindDescription], Mapping[str, str]]:
    """The built-in kinds and the installed ones that these files name; and why some of them cannot be used."""
    from rotator.providers import KINDS, load_outside

    sections = [*joined.named["targets"].values(), *joined.named["credentials"].values()]
    sections += [joined.single["defaults"]] if "defaults" in joined.single else []
    named = (section.table.get("kind") for section in sections)
    found, troubles = load_outside(name for name in named if isinstance(name, str))
    return {**KINDS, **found}, troubles


def _vault(joined: files.Joined, fault_list: FaultList, vaultless: bool) -> VaultConfig:
    section = joined.single.get("vault")
    if section is not None:
        return read_vault(section)
    if not (fault_list.partial or vaultless):
        _absent(joined, fault_list).source.fault(
            (), "the section [vault] is missing; it says where Vault is and how to log in"
        )
    return VaultConfig("", VaultAuth(Method.TOKEN, ""))


def _check_names(joined: files.Joined) -> None:
    for sections in joined.named.values():
        for name, section in sections.items():
            try:
                read_name(name)
            except WrongValueError as wrong:
                section.fault("", str(wrong))


def _credentials(joined: files.Joined, known: Known, fault_list: FaultList) -> dict[str, Credential]:
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


def _check_timeouts(
    joined: files.Joined, daemon: DaemonConfig, vault: VaultConfig, targets: Mapping[str, Target | None]
) -> None:
    home = joined.single.get("vault")
    clash = timeout_clash(vault.connect_timeout + vault.read_timeout, daemon.lease, "connect_timeout + read_timeout")
    if clash and home is not None:
        home.fault("read_timeout", clash)
    for name, target in targets.items():
        timeout = getattr(target.config, "timeout", None) if target is not None else None
        if timeout is not None and (clash := timeout_clash(timeout, daemon.lease, "timeout")):
            joined.named["targets"][name].fault("timeout", clash)


def _check_fit(
    joined: files.Joined,
    kinds: Mapping[str, KindDescription],
    targets: Mapping[str, Target | None],
    credentials: Mapping[str, Credential],
) -> None:
    for name, credential in credentials.items():
        target = targets.get(credential.target)
        if target is None:
            continue
        longest = spacing(credential)[1]
        if misfit := kinds[credential.kind].validate(credential, target.config, longest):
            section = joined.named["credentials"][name]
            named = [key for key in re.findall(r"`(\w+)`", misfit) if section.knows(key)]
            section.fault(named[0] if named else "lifetime", misfit)


def _check_budgets(
    joined: files.Joined,
    kinds: Mapping[str, KindDescription],
    targets: Mapping[str, Target | None],
    credentials: Mapping[str, Credential],
    daemon: DaemonConfig,
) -> None:
    for name, target in targets.items():
        if target and (clash := budget_clash(calls_of_target(target, _on(name, credentials), kinds, daemon))):
            joined.named["targets"][name].fault("calls", clash)


def _claim(joined: files.Joined, claims: frozenset[str], name: str, claimed: dict[str, str]) -> None:
    for claim in sorted(claims):
        if (first := claimed.setdefault(claim, name)) != name:
            section, other = joined.named["credentials"][name], joined.named["credentials"][first]
            text = f"{claim} is already rotated by {dotted(other.path)}; one slot, one credential"
            section.fault("client_id", text)
            return


def _check_together(
    joined: files.Joined,
    daemon: DaemonConfig,
    vault: VaultConfig,
    kinds: Mapping[str, KindDescription],
    credentials: Mapping[str, Credential],
) -> None:
    sections = joined.named["credentials"]
    owners: dict[VaultPath, str] = {}
    claimed: dict[str, str] = {}
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
        _claim(joined, kinds[credential.kind].exclusive_resources(credential), name, claimed)
        for clash in clashes(credential, daemon):
            section.fault(next(filter(section.knows, clash.keys), ""), clash.text)
