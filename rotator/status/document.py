"""Owns /status.json: the same look as the page's, for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rotator.fleet import Fleet, Row


def document(fleet: Fleet, instance: str, version: str) -> bytes:
    """The fleet as JSON. Times are UTC, ISO 8601."""
    reasons = fleet.unready()
    content = {
        "schema": 1,
        "instance": instance,
        "version": version,
        "at": _plain(fleet.clock.now()),
        "alive": not fleet.alive(),
        "ready": not reasons,
        "unready": reasons,
        "vault": fleet.vault(),
        "targets": [asdict(each) for each in fleet.targets()],
        "minters": [asdict(each) for each in fleet.minters()],
        "credentials": [_credential(row) for row in fleet.rows()],
    }
    return json.dumps(content, default=_plain, indent=1).encode()


def _credential(row: Row) -> dict[str, Any]:
    said = {name: value for name, value in asdict(row.summary).items() if name not in ("trouble", "holder")}
    more = {
        "mark": row.mark.value,
        "word": row.word,
        "said": row.said,
        "due_since": row.due_since,
        "revoke_by": row.revoke_by,
        "predecessors": row.predecessors,
        "failures": row.failures,
        "paused": row.paused,
        "accepted_at": row.accepted_at,
    }
    return said | more


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
