"""Roles of a Halo CMS: those of the minter, whether one exists, and all of them as a table.

The path of roles is in Halo's generated clients. Whoever has super-role, or may view roles, reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from rotator.ports import MinterRefused, Refused, Transient
from rotator.providers.base import Cell, Remark, TargetTable
from rotator.providers.http.client import MIB, HttpResponse, segment

SUPER = "super-role"  # may hand out any name, even of a role that does not exist (measured on 2.19.3 to 2.26.0)
PATH = "/api/v1alpha1/roles"
_ALL = f"{PATH}?page=1&size=1000"  # the longest page that Halo gives
_CAP = 8 * MIB  # of the list; each role comes with its rules
_OF_EVERYBODY = {"anonymous", "authenticated", SUPER}  # no example of what to hand out


class _Metadata(msgspec.Struct, frozen=True):
    name: str
    annotations: dict[str, str] | None = None


class _Role(msgspec.Struct, frozen=True):
    metadata: _Metadata

    @property
    def title(self) -> str:
        """The name that the console shows, or nothing."""
        return (self.metadata.annotations or {}).get("rbac.authorization.halo.run/display-name", "")


class _Permissions(msgspec.Struct, frozen=True):
    roles: tuple[_Role, ...]


class _Page(msgspec.Struct, frozen=True):
    items: tuple[_Role, ...]


class _Server(Protocol):
    async def as_minter(self, method: str, path: str, json: object = None, cap: int = MIB) -> HttpResponse: ...


def read_held(document: Any) -> set[str]:
    """The names of the roles in an answer about permissions. Raises Transient when it is none."""
    try:
        return {role.metadata.name for role in msgspec.convert(document, _Permissions).roles}
    except msgspec.ValidationError:
        raise Transient("the answer does not tell the minter's roles") from None


async def missing(server: _Server, wanted: Iterable[str]) -> list[Remark]:
    """Those of these roles that do not exist. Raises Transient, Refused, MinterRefused."""
    found = []
    for role in wanted:
        if (await server.as_minter("GET", f"{PATH}/{segment(role)}")).status == 404:
            said = f"there is no role {role}; Halo makes a token with it all the same, which cannot do what it is for"
            remedy = "compare `roles`: `rotate targets` with the target's name lists them"
            found.append(Remark(said, remedy, grave=True))
    return found


async def listed(server: _Server, held: set[str]) -> TargetTable:
    """Every role; where the minter may not list them, those that it holds. Raises Transient, MinterRefused."""
    try:
        answer = await server.as_minter("GET", _ALL, cap=_CAP)
    except MinterRefused:
        raise
    except Refused:
        said = f"these are the minter's own; only {SUPER}, or whoever may view roles, may list the others"
        return TargetTable("roles", tuple({"name": name} for name in sorted(held)), _line(held), said)
    try:
        found = {role.metadata.name: role.title for role in msgspec.convert(answer.document, _Page).items}
    except msgspec.ValidationError:
        raise Transient("the answer is no list of roles") from None
    rows: tuple[dict[str, Cell], ...] = tuple({"name": name, "title": found[name] or None} for name in sorted(found))
    return TargetTable("roles", rows, _line(found))


def _line(names: Iterable[str]) -> str:
    """How a credential names its roles."""
    found = sorted(set(names) - _OF_EVERYBODY)
    name = next((each for each in found if "-view-" in each), found[0] if found else "")
    return f'roles = ["{name}"]' if name else ""
