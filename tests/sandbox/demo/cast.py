"""Who plays: the credentials on both targets, how often each rotates, and the settings that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.sandbox.environment import World
from tests.sandbox.itsm_process import Desk

APPLICATIONS = ("crm", "chatbot", "importer", "portal-keys")
TOKEN_LIFE = 40.0  # seconds for which the desk's access tokens live
LEASE = 9  # seconds: the shortest that settings accept for a Vault that answers within a second
GRACE = 2  # seconds

BLOG: dict[str, dict[str, Any]] = {  # what the blog's machines need: tokens of Halo CMS
    "newsletter": {"roles": ["role-template-view-posts"]},
    "search-index": {"roles": ["role-template-view-posts"]},
    "deploy-bot": {"lifetime": "30d"},
    "backup": {"lifetime": "30d"},
}
RENEWED, ONE_SLOT, OVERLAPPING, KEY_SET = "crm-token", "import-secret", "chatbot-key", "portal-key"
DESK = (RENEWED, ONE_SLOT, OVERLAPPING, KEY_SET)
NAMES = (*BLOG, *DESK)

LIVELY: dict[str, dict[str, Any]] = {"newsletter": {"fraction": 0.105}, "search-index": {"fraction": 0.115}}
LIVELY[RENEWED] = {"fraction": 0.5}
CALM: dict[str, dict[str, Any]] = {"newsletter": {"every": "1m"}, "search-index": {"every": "1m"}}
CALM[RENEWED] = {"fraction": 0.85}


def write_settings(world: World, schedules: dict[str, dict[str, Any]]) -> Path:
    """The daemon's settings; whoever has no schedule of its own rotates once a day."""
    roles = {**BLOG, **_on_the_desk(world.desk)} if world.desk else BLOG
    for name, own in roles.items():
        world.add(name, **own, **schedules.get(name, {"every": "1d"}))
    quick = {"settle": "1s", "timeout": "1s", "deadline": "2s", "in_flight": 4}
    return world.write_settings(
        daemon={"lease": f"{LEASE}s"},
        vault={"connect_timeout": "1s", "read_timeout": "1s"},
        target=quick,
        desk=quick,
        defaults={
            "lifetime": "3m",
            "jitter": 0.0,
            "retire": {"after": f"{GRACE}s"},
            "limits": {"mints_per_day": 10000},
        },
    )


def _on_the_desk(desk: Desk) -> dict[str, dict[str, Any]]:
    """What the service desk's clients need: one of each kind that rotates without a person."""

    def managed(name: str) -> dict[str, Any]:
        return {"application": desk.numbers[name], "client_id": desk.clients[name]}

    key_set = {"jwks_file": str(desk.jwks("portal-keys")), "jwks_cache": "1s", "assertion_life": "1s", "bits": 2048}
    kinds: dict[str, dict[str, Any]] = {
        RENEWED: {"kind": "oauth-token", **desk.client("crm")},
        ONE_SLOT: {"kind": "halo-client-secret", **managed("importer"), "scopes": ["all"]},
        OVERLAPPING: {"kind": "halo-api-key", **managed("chatbot"), "lifetime": "30d"},
        KEY_SET: {"kind": "assertion-key", **desk.client("portal-keys"), **key_set},
    }
    return {name: {"target": "desk", "probe": "/api/Status", **own} for name, own in kinds.items()}
