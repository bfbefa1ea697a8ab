"""Checks of Vault before any work: the engine is the right one, keeps what we need, and the policy suffices.

They change nothing but our own heartbeat. The caller decides whether a refusal stops the start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from rotator.ports import Fault, StoreRefused, Transient
from rotator.rotation.credential import VaultPath
from rotator.vault.fitness import (
    NO_LIVES,
    POLICY,
    Finding,
    FindingLevel,
    Lives,
    asked,
    fitness_of_documents,
    fitness_of_mounts,
)
from rotator.vault.hvac_adapter import VaultResponse
from rotator.vault.kv import Kv
from rotator.vault.session import READ_PATIENCE, patiently

SKEW_ALLOWED = timedelta(seconds=30)
BATCH = 100  # paths in one request for capabilities

Rights = Mapping[str, frozenset[str]]  # capabilities by path
_NO_RIGHTS: Rights = {}


async def preflight(
    kv: Kv,
    consumers: Sequence[VaultPath],
    needed: timedelta,
    rights: Rights = _NO_RIGHTS,
    kept: Collection[VaultPath] = (),
    referred: Rights = _NO_RIGHTS,
    records: Lives = NO_LIVES,
    *,
    documents: bool = True,
) -> tuple[Finding, ...]:
    """Every finding, in order; without `documents` those of each credential's documents are left out.

    `needed`: how long a version must last (longest interval and grace);
    `rights`: what else the policy must grant, in Transit for example; `kept`, `records`: see `fitness`;
    `referred`: what only some targets need, so that it stops nobody else.

    A failed login is a refusal and ends the checks; other faults become findings of their own subject.
    Raises Transient when Vault does not answer about the engine or the heartbeat: that says nothing of its set-up.
    """
    try:
        await kv.session.open()
    except Fault as fault:
        return (Finding(FindingLevel.REFUSAL, "login", fault.reason, "see [vault] and its `auth`"),)
    found = [
        Finding(FindingLevel.OK, "login", "logged in"),
        *await _token(kv),
        *await fitness_of_mounts(kv, consumers, needed, kept),
        *(await fitness_of_documents(kv, consumers, needed, records) if documents else ()),
    ]
    found += await _heartbeat(kv)
    found += await _capabilities(kv, consumers, rights, referred)
    return tuple(found)


async def _token(kv: Kv) -> list[Finding]:
    try:
        await patiently(kv.session.clock, READ_PATIENCE, kv.session.look_up)
    except Transient:
        raise
    except Fault:
        text = "it may not look itself up: whether it is dead or lacks a right, a new login has to tell"
        return [Finding(FindingLevel.NOTE, "token", text, POLICY)]
    return []


async def _heartbeat(kv: Kv) -> list[Finding]:
    """Write our heartbeat. It is the first barrier, and shows whether this server has standbys that may lag."""
    try:
        index = (await kv.beat()).headers.get("X-Vault-Index")
    except Transient:
        raise
    except Fault as fault:
        remedy = POLICY if isinstance(fault, StoreRefused) else ""
        return [Finding(FindingLevel.REFUSAL, "heartbeat", f"{kv.node} cannot be written: {fault.reason}", remedy)]
    found = [Finding(FindingLevel.OK, "heartbeat", "written" + await _consistency(kv, index))]
    told = kv.session.server_time
    skew = abs(told - kv.session.clock.now()) if told else timedelta(0)
    if skew > SKEW_ALLOWED:
        text = f"our clock and Vault's differ by {skew.total_seconds():.0f} s"
        found.append(Finding(FindingLevel.WARNING, "clock", text, "synchronise the clocks: tokens are dated with ours"))
    return found


async def _consistency(kv: Kv, index: str | None) -> str:
    """Find out, by a read, how this server makes reads see earlier writes."""
    if not index:
        return "; the server sends no storage index: none of its nodes answers from an older state"
    with suppress(Fault):
        await kv.read(kv.node, strong=True)
    if kv.session.forwards:
        return "; reads carry the storage index, and a node that lags behind it forwards them"
    return "; reads carry the storage index, and wait for a node that lags behind: it may not forward for clients"


async def _capabilities(kv: Kv, consumers: Sequence[VaultPath], rights: Rights, referred: Rights) -> list[Finding]:
    published = ((f"{place.mount}/data/{place.path}", _WRITE) for place in consumers)
    needed = dict(chain(_own(kv), published, rights.items()))
    wanted = {**referred, **_of_token(kv), **needed}
    paths, found = list(wanted), list[Finding]()
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        try:
            answer = await asked(kv, partial(_list_capabilities, batch))
        except StoreRefused:
            return [
                Finding(FindingLevel.NOTE, "policy", "capabilities cannot be listed with this policy, so not checked")
            ]
        except Fault as fault:
            return [Finding(FindingLevel.NOTE, "policy", f"capabilities could not be listed: {fault.reason}")]
        granted = answer.section("data")
        if any("root" in _words(granted.get(path)) for path in batch):
            text = "our login is a root token: who reads it has all of Vault, and it never ends"
            return [
                Finding(
                    FindingLevel.WARNING, "policy", text, "log in by a role with the policy that `rotate policy` prints"
                )
            ]
        for path in batch:
            grave = FindingLevel.REFUSAL if path in needed else FindingLevel.WARNING
            found.append(_missing(path, _words(granted.get(path)), wanted[path], grave))
    lacking = [finding for finding in found if finding.level is not FindingLevel.OK]
    return lacking or [Finding(FindingLevel.OK, "policy", f"grants all that is needed on {len(paths)} paths")]


def _words(value: Any) -> set[str]:
    return {word for word in value if isinstance(word, str)} if isinstance(value, list) else set()


def _list_capabilities(paths: list[str], client: Any) -> VaultResponse:
    answer: VaultResponse = client.adapter.post("/v1/sys/capabilities-self", json={"paths": paths})
    return answer


def _own(kv: Kv) -> Iterable[tuple[str, frozenset[str]]]:
    mount, prefix = kv.node.mount, kv.session.settings.prefix
    yield f"{mount}/data/{prefix}/journal/any", _WRITE
    yield f"{mount}/metadata/{prefix}/journal/", frozenset({"list"})
    yield f"{mount}/data/{prefix}/staged/any", _WRITE
    yield f"{mount}/destroy/{prefix}/staged/any", frozenset({"update"})
    yield f"{mount}/data/{prefix}/wish/any", _WRITE
    yield f"{mount}/data/{prefix}/fleet", _WRITE
    yield f"{mount}/metadata/{prefix}/wish/", frozenset({"list"})
    yield f"{mount}/metadata/{prefix}/wish/any", frozenset({"delete"})
    yield f"{mount}/data/{kv.node.path}", _WRITE
    yield f"{mount}/metadata/{prefix}/node/", frozenset({"list"})
    yield f"{mount}/metadata/{prefix}/node/any", frozenset({"delete"})
    yield f"{mount}/data/{prefix}/meta", _WRITE - {"update"}


def _of_token(kv: Kv) -> Rights:
    """The rights that we need on our own token, if it lives in the namespace in which we ask."""
    place = kv.session.settings
    return _OWN_TOKEN if place.login_namespace == place.namespace else {}


def _missing(path: str, granted: set[str], wanted: frozenset[str], grave: FindingLevel) -> Finding:
    lacking = wanted - granted
    if not lacking:
        return Finding(FindingLevel.OK, path, "granted")
    return Finding(grave, path, f"our policy lacks {', '.join(sorted(lacking))}", POLICY)


_WRITE = frozenset({"create", "update", "read"})
_OWN_TOKEN = {f"auth/token/{verb}-self": frozenset({"update"}) for verb in ("renew", "revoke")}
