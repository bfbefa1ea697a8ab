"""What is really so: the journal, the consumer path and the tokens, asked of the servers with other keys.

What is true of one kind only is kinds.py's.
"""

from __future__ import annotations

import json
from typing import Any

from rotator.rotation.secret import Secret
from tests.sandbox.environment import World
from tests.sandbox.openbao import OpenBaoError
from tests.system.kinds import NOTHING_HEARD, PATS, Heard, ask, kind_of
from tests.system.wire import Wire

__all__ = ["PATS", "faults_of", "journal", "living", "settled", "staged_remains"]


def journal(world: World, name: str) -> dict[str, Any]:
    """The record and lease in the journal; empty when there is none."""
    try:
        return dict(world.bao.call("GET", f"{world.mount}/data/rotator/journal/{name}")["data"]["data"])
    except OpenBaoError as fault:
        if fault.status != 404:
            raise
        return {}


def settled(world: World, name: str, rotation: int = 1) -> bool:
    """Whether nothing is in flight and the slot is swept, at this rotation or a later one."""
    record = journal(world, name)
    return (
        record.get("phase") == "settled"
        and int(record["rotation"]) >= rotation
        and record["slot_full"] == "false"
        and ("predecessor" not in record or "ends_at" in record)  # by its own date, where nobody can end it
        and "current" in record
    )


def living(world: World, stem: str) -> list[str]:
    """The names of our unrevoked tokens whose mint name begins with `stem`."""
    specs = [(x["metadata"]["name"], x["spec"], x["metadata"].get("deletionTimestamp")) for x in world.halo.tokens()]
    return [name for name, spec, gone in specs if name.startswith(f"{stem}-r") and not spec.get("revoked") and not gone]


def staged_remains(world: World, name: str) -> list[str]:
    """The versions in the staged slot that are not destroyed."""
    try:
        versions = world.bao.call("GET", f"{world.mount}/metadata/rotator/staged/{name}")["data"]["versions"]
    except OpenBaoError as fault:
        if fault.status != 404:
            raise
        return []
    return [number for number, version in versions.items() if not version["destroyed"]]


def faults_of(world: World, name: str, heard: Heard = NOTHING_HEARD) -> list[str]:
    """What is wrong after convergence; empty when all is as promised. `heard`: what was said on the way."""
    kind, record = kind_of(world, name), journal(world, name)
    document = world.bao.call("GET", f"{world.mount}/data/{world.credentials[name]['path']}")["data"]["data"]
    published, secret = document["provider_id"], Secret(document[kind.document_field])
    target = Wire(world.desk.url if world.desk and kind.applications else world.halo.url)
    status, _ = ask(target, kind.use(world.desk, name, document))
    target.close()
    checks = {
        f"the published value is answered {status}": status == 200,
        f"the journal says {record['phase']}": record["phase"] == "settled",
        f"the journal's current is {record['current']['token']['id']}": record["current"]["token"]["id"] == published,
        f"the staged slot keeps versions {staged_remains(world, name)}": not staged_remains(world, name),
        "the journal holds the value": secret.reveal() not in json.dumps(record),
    }
    if kind.name == "halo-pat":
        alive = living(world, record["stem"])
        checks[f"living tokens are {alive}, published is {published}"] = alive == [published]
    wrong = [text for text, fine in checks.items() if not fine] + kind.faults(world, name, document, heard)
    return [f"{name}: {text}" for text in wrong]
