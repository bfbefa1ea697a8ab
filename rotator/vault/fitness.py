"""Whether the engines and documents of a Vault keep what is written there for as long as it is needed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain

import anyio

from rotator.ports import Fault, StoreRefused, Transient
from rotator.rotation.credential import VaultPath
from rotator.vault.hvac_adapter import VaultResponse
from rotator.vault.kv import Kv, instant, undelete
from rotator.vault.session import READ_PATIENCE, WORKERS, Request, patiently

VERSIONS_NEEDED = 3  # the newest, the predecessor's, and one for a fence or a foreign write in between
VERSIONS_DEFAULT = 10  # versions that KV version 2 keeps by default

Lives = Mapping[VaultPath, timedelta]  # how long a document must last once it is written
NO_LIVES: Lives = {}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class FindingLevel(StrEnum):
    """How serious a finding is. A NOTE is something that we were not allowed to check."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: the subject, what was found, and what to do about it."""

    level: FindingLevel
    subject: str
    text: str
    remedy: str = ""


async def fitness(
    kv: Kv,
    consumers: Sequence[VaultPath],
    needed: timedelta,
    kept: Collection[VaultPath] = (),
    records: Lives = NO_LIVES,
) -> tuple[Finding, ...]:
    """Whether mounts and documents keep what is written there: the short check before each command.

    `kept`: further documents that are written rarely and needed for ever, such as key sets;
    `records`: what each rotation writes anew, with the time that may pass until then. Raises Transient.
    """
    mounts = await fitness_of_mounts(kv, consumers, needed, kept)
    return (*mounts, *await fitness_of_documents(kv, consumers, needed, records))


async def fitness_of_mounts(
    kv: Kv, consumers: Iterable[VaultPath], needed: timedelta, kept: Collection[VaultPath]
) -> list[Finding]:
    """The same of the mounts, and of the documents that all credentials share: a few reads in a fleet of any size."""
    for_ever = {kv.node.mount, *(place.mount for place in kept)}
    found = await _namespaces(kv)
    for mount in sorted(for_ever.union(place.mount for place in consumers)):
        found += await _mount(kv, mount, None if mount in for_ever else needed)
    pauses = VaultPath(kv.node.mount, f"{kv.session.settings.prefix}/fleet")
    return found + await _at_once((pauses, *kept), lambda place: _lasting(kv, place, None))


async def fitness_of_documents(
    kv: Kv, consumers: Sequence[VaultPath], needed: timedelta, records: Lives
) -> list[Finding]:
    """The same of each credential's documents: its record, and its consumer path."""
    found = await _at_once(records, lambda place: _lasting(kv, place, records[place]))
    return found + await _consumers(kv, consumers, needed)


def asked(kv: Kv, request: Request[VaultResponse]) -> Awaitable[VaultResponse]:
    """Ask with the patience of a read: a server may limit rates, or lose its leader just now."""
    return patiently(kv.session.clock, READ_PATIENCE, lambda: kv.session.ask(request))


async def _namespaces(kv: Kv) -> list[Finding]:
    """HashiCorp Vault's free edition ignores a namespace (1.18.5): everything would go into its only one."""
    place = kv.session.settings
    wanted = place.namespace or place.login_namespace
    try:
        health = await asked(kv, lambda client: client.adapter.get(_HEALTH)) if wanted else None
    except Transient:
        raise
    except Fault:  # in a namespace of the Enterprise edition the question is forbidden
        return []
    if health is None or health.body.get("enterprise") is not False:
        return []
    text = f"this server is Vault's free edition, which has none: {wanted!r} would mean the root"
    return [Finding(FindingLevel.REFUSAL, "namespace", text, "take `namespace` out of [vault] and [vault.auth]")]


async def _mount(kv: Kv, mount: str, needed: timedelta | None) -> list[Finding]:
    """Every token with any right below a mount may see its kind (OpenBao 2.7.2); others get a 403. `needed` None: what
    lies there is needed for ever. `cas_required` is welcome: every write of ours can carry check-and-set."""
    subject = f"mount {mount}"
    settings = await _settings(kv, subject, lambda client: client.secrets.kv.v2.read_configuration(mount))
    told = not isinstance(settings, Finding) and "max_versions" in settings.section("data")
    found: list[Finding] = []
    try:
        answer = await asked(kv, lambda client: client.adapter.get(f"/v1/sys/internal/ui/mounts/{mount}"))
        kind, version = answer.section("data").get("type"), answer.section("data", "options").get("version")
    except Transient:
        raise
    except Fault as fault:
        if not told:  # a gateway may block sys/: then the engine's own answer decides
            denied = "it does not exist, or our policy grants nothing in it"
            said, remedy = (denied, POLICY) if isinstance(fault, StoreRefused) else (fault.reason, "")
            return [Finding(FindingLevel.REFUSAL, subject, said, remedy)]
        found.append(Finding(FindingLevel.NOTE, subject, _UNTOLD, _NAMED))
        kind, version = "kv", "2"  # only that has such a configuration
    if kind != "kv" or version != "2":
        seen = (
            "a KV engine of version 1, which ignores check-and-set"
            if kind == "kv"
            else f"a {kind} engine"
            if kind in _KINDS
            else "another engine"
        )
        return [
            Finding(
                FindingLevel.REFUSAL, subject, f"it is {seen}", f"use KV version 2: bao kv enable-versioning {mount}"
            )
        ]
    found.append(Finding(FindingLevel.OK, subject, "KV version 2"))
    if isinstance(settings, Finding):
        return [*found, settings]
    return [*found, *_life(subject, settings, needed)]


async def _lasting(kv: Kv, place: VaultPath, needed: timedelta | None) -> list[Finding]:
    """Find a document of ours that its own key's limit would delete before it is written again."""
    try:
        read = await kv.read(place)
    except Transient:
        raise
    except Fault:  # the check of our rights reports it
        return []
    if not read.vanishes_at:
        return []
    since = read.written_at or kv.session.clock.now()
    if needed is not None and read.vanishes_at - since >= needed:
        return []
    return [_vanishing(place, read.version, read.vanishes_at, needed)]


def _vanishing(place: VaultPath, version: int, at: datetime, needed: timedelta | None) -> Finding:
    wanted = "for ever" if needed is None else f"for {needed} from when it is written"
    text = f"it vanishes at {at:%F %T}Z (delete_version_after of its key), and is needed {wanted}"
    remedy = f"set delete_version_after to 0s there, then keep what it holds: {undelete(place, version)}"
    return Finding(FindingLevel.REFUSAL, f"path {place}", text, remedy)


async def _consumers(kv: Kv, places: Sequence[VaultPath], needed: timedelta) -> list[Finding]:
    kept = {mount: await _kept_by(kv, mount) for mount in {place.mount for place in places}}
    return await _at_once(places, lambda place: _consumer(kv, place, needed, kept[place.mount]))


async def _at_once(
    places: Collection[VaultPath], look_at: Callable[[VaultPath], Awaitable[list[Finding]]]
) -> list[Finding]:
    """As many looks at once as there are threads for Vault: others who ask it meanwhile wait for a few, not for all.
    Found in the order of the places. Raises Transient.
    """
    found: dict[VaultPath, list[Finding]] = {place: [] for place in places}
    left, unanswered = iter(tuple(found)), list[Transient]()

    async def look() -> None:
        try:
            for place in left:
                found[place] = await look_at(place)
        except Transient as fault:
            unanswered.append(fault)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(look)
    if unanswered:
        raise unanswered[0]
    return list(chain.from_iterable(found.values()))


async def _kept_by(kv: Kv, mount: str) -> int | None:
    """The mount's max_versions; None when it has none or does not tell."""
    read = await _settings(kv, f"mount {mount}", lambda client: client.secrets.kv.v2.read_configuration(mount))
    return None if isinstance(read, Finding) else read.section("data").get("max_versions")


async def _consumer(kv: Kv, place: VaultPath, needed: timedelta, by_mount: int | None) -> list[Finding]:
    subject = f"path {place}"
    settings = await _settings(
        kv, subject, lambda client: client.secrets.kv.v2.read_secret_metadata(place.path, mount_point=place.mount)
    )
    if isinstance(settings, Finding):
        return [settings]
    limits = (settings.section("data").get("max_versions"), by_mount)
    kept = max((limit for limit in limits if isinstance(limit, int) and limit > 0), default=VERSIONS_DEFAULT)
    found = [*_life(subject, settings, needed), *_published(kv, place, settings, needed)]
    if kept < VERSIONS_NEEDED:
        text = f"only {kept} version(s) are kept, {VERSIONS_NEEDED} are needed to take a rotation back"
        found.append(Finding(FindingLevel.REFUSAL, subject, text, f"set max_versions to {VERSIONS_NEEDED} or more"))
    return found or [Finding(FindingLevel.OK, subject, f"keeps {kept} versions")]


def _published(kv: Kv, place: VaultPath, settings: VaultResponse, needed: timedelta) -> list[Finding]:
    """The newest version keeps the end that it got when it was written, whatever mount and key say since."""
    told = settings.section("data", "versions", str(settings.section("data").get("current_version")))
    written, vanishes = instant(told.get("created_time")), instant(told.get("deletion_time"))
    now = kv.session.clock.now()
    if vanishes is None or vanishes <= now or vanishes - (written or now) >= needed:
        return []
    version = int(settings.section("data")["current_version"])
    return [_vanishing(place, version, vanishes, needed)]


async def _settings(kv: Kv, subject: str, request: Request[VaultResponse]) -> VaultResponse | Finding:
    """The settings of a mount or a key; a key that does not exist yet has none."""
    try:
        return await asked(kv, request)
    except StoreRefused:
        text = "its max_versions and delete_version_after cannot be read with this policy, so they are not checked"
        return Finding(FindingLevel.NOTE, subject, text, "let somebody look whose policy may read it")
    except Fault as fault:
        return Finding(FindingLevel.NOTE, subject, f"its settings could not be read: {fault.reason}")


def _life(subject: str, settings: VaultResponse, needed: timedelta | None) -> list[Finding]:
    """`delete_version_after` deletes versions at their time (404), without any event. A key cannot last longer than its
    mount allows."""
    text = str(settings.section("data").get("delete_version_after") or "0s")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    if text.startswith("-") or seconds == 0 or (needed is not None and seconds >= needed.total_seconds()):
        return []
    words = f"versions vanish after {text} (delete_version_after), before they may: "
    if needed is None:
        words += "some of our documents are written once and needed for ever"
        return [
            Finding(
                FindingLevel.REFUSAL, subject, words, "set delete_version_after to 0s, or give us a mount of our own"
            )
        ]
    words += f"{needed} is needed"
    return [Finding(FindingLevel.REFUSAL, subject, words, "set delete_version_after to 0s, or longer")]


_HEALTH = "/v1/sys/health?standbyok=true&perfstandbyok=true"
_UNTOLD = "sys/internal/ui/mounts is kept from us: which mount serves a path is not told"
_NAMED = "name in [vault] mounts each mount with a slash in its name"
_KINDS = ("cubbyhole", "database", "identity", "pki", "ssh", "system", "totp", "transit")  # no word of theirs is told
POLICY = "give the token the policy that `rotate policy` prints"
