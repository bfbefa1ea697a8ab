"""Settings for a hurry: the shortest times that are accepted, so that a lost lease is over in eleven seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from pathlib import Path
from typing import Any

from tests.sandbox.environment import World

LEASE = 9.0  # seconds; the shortest that goes with timeouts of 1 s
TAKEN_OVER = LEASE * 1.25  # seconds until another daemon may go on with what a dead one held

DEFAULTS: dict[str, dict[str, Any]] = {
    "daemon": {"lease": f"{LEASE:g}s"},
    "vault": {"connect_timeout": "1s", "read_timeout": "1s"},
    "target": {"settle": "1s", "timeout": "1s", "deadline": "2s", "calls": 6000},
    "defaults": {"every": "1d", "lifetime": "30d", "retire": {"after": "1s"}, "limits": {"mints_per_day": 100}},
}


def quick(
    world: World,
    name: str = "daemon",
    *,
    only: Iterable[str] = (),
    vault: str = "",
    halo: str = "",
    desk: str | Mapping[str, Any] = "",
    revokes: bool = False,
    **sections: Any,
) -> Path:
    """Settings of one daemon, with instance and socket called `name`; `only` these credentials, or all there are.

    `vault`, `halo` and `desk` are the addresses it is told, should it meet proxies there; consumers know the desk by
    its own. Instead of an address, `desk` may be further options of its section. Sections add to the quick defaults.
    `revokes`: access tokens are revoked at the desk.
    """
    wanted = {key: {**values, **sections.pop(key, {})} for key, values in DEFAULTS.items()}
    wanted["daemon"] = {"instance": name, "socket": str(world.folder / f"{name}.sock"), **wanted["daemon"]}
    if not isinstance(desk, str):
        sections["desk"] = desk
    elif desk and world.desk:
        times = {key: wanted["target"][key] for key in ("settle", "timeout", "deadline")}
        sections["desk"] = {"url": desk, "audience": f"{world.desk.url}/auth/token", **times}
        sections["desk"] |= {"revocation_url": f"{desk}/auth/revoke"} if revokes else {}
    seen = copy(world)  # many daemons at once are told different things of the same world
    seen.credentials = {key: world.credentials[key] for key in only or world.credentials}
    seen.vault_address, seen.halo_url = vault or world.vault_address, halo or world.halo_url
    return seen.write_settings(file={"name": f"{name}.toml"}, **wanted, **sections)
