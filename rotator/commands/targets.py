"""`rotate targets`: the targets of the settings, and what there is on one of them that settings name by an id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio

from rotator.app.composition import Actor
from rotator.ports import Refused, Transient
from rotator.providers.base import SupportsBrowse, TargetTable
from rotator.providers.http.client import HttpClient
from rotator.settings import Target

_AT_ONCE = 4  # targets at once


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """One target of the settings. `credentials`: how many use it; `trouble`: why it is not reachable, or empty."""

    name: str
    kind: str
    url: str
    credentials: int
    reachable: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class TargetsFound:
    """The targets of the settings; or what is on one of them."""

    targets: list[TargetSummary]
    tables: list[TargetTable]


async def find_targets(actor: Actor, request: Mapping[str, Any]) -> TargetsFound:
    """The answer to `rotate targets`: with a `name`, the tables of that target. Changes nothing.

    Raises Transient, Refused, MinterRefused.
    """
    name = str(request["name"])
    if not name:
        return TargetsFound(await _all(actor), [])
    if name not in actor.settings.targets:
        raise Refused(f"no target is called {name!r}")
    server = actor.target(name)
    if not isinstance(server, SupportsBrowse):
        said = f"a target of the kind {actor.settings.targets[name].kind} has no list that rotator could read"
        return TargetsFound([], [TargetTable(name, said=said)])
    return TargetsFound([], list(await server.browse()))


async def _all(actor: Actor) -> list[TargetSummary]:
    found: dict[str, TargetSummary] = {}
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def one(target: Target) -> None:
        async with places:
            found[target.name] = await _summary(actor, target)

    async with anyio.create_task_group() as group:
        for target in actor.settings.targets.values():
            group.start_soon(one, target)
    return [found[name] for name in actor.settings.targets]


async def _summary(actor: Actor, target: Target) -> TargetSummary:
    """Ask for the target's own address, without a login: whatever answers there is reached."""
    config, trouble = target.config, ""
    http = HttpClient(target.name, config, actor.clock, actor.fetch)
    try:
        await http.request("GET", "")
    except Transient as fault:
        trouble = fault.reason
    except Refused:
        pass  # a page, or a redirect
    finally:
        await http.aclose()
    used = sum(each.target == target.name for each in actor.settings.credentials.values())
    return TargetSummary(target.name, target.kind, config.url, used, not trouble, trouble)
