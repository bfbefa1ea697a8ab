"""/status.json: the same look as the page's, for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from rotator.observe.fleet import Fleet


def document(fleet: Fleet, instance: str, version: str) -> bytes:
    """The fleet as JSON. Times are UTC, ISO 8601."""
    reasons, unwell = fleet.unready(), fleet.unhealthy()
    content = {
        "schema": 1,
        "instance": instance,
        "version": version,
        "at": _plain(fleet.clock.now()),
        "alive": not fleet.alive(),
        "ready": not reasons,
        "unready": reasons,
        "healthy": not unwell,
        "unhealthy": unwell,
        "vault": fleet.vault(),
        "targets": [asdict(each) for each in fleet.targets()],
        "minters": [asdict(each) for each in fleet.minters()],
        "credentials": [asdict(each) for each in fleet.states()],
        "unmanaged": [{**asdict(each), "do": each.end} for each in fleet.unmanaged()],
    }
    return json.dumps(content, default=_plain, indent=1).encode()


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
