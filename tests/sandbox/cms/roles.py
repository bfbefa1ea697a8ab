"""The role catalogue of the sandbox and what each role brings with it.

Which call needs which role is left to `routes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SUPER = "super-role"
ANONYMOUS = "anonymous"
AUTHENTICATED = "authenticated"
VIEW_POSTS = "role-template-view-posts"
VIEW_PLUGINS = "role-template-view-plugins"
MANAGE_USERS = "role-template-manage-users"
ACTUATOR = "role-template-actuator"


@dataclass(frozen=True, slots=True)
class Role:
    """One role: what it implies, and how the console shows it."""

    name: str
    title: str
    module: str = ""
    implies: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    group: str = ""
    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list")


_POSTS = "content.halo.run"
_EVERYTHING = ("*",)
CATALOGUE = {
    role.name: role
    for role in (
        Role(SUPER, "Super Administrator", "", (), _EVERYTHING, "*", _EVERYTHING, _EVERYTHING),
        Role(ANONYMOUS, "Anonymous"),
        Role(AUTHENTICATED, "Authenticated", "", ("role-template-manage-own-pat",)),
        Role("role-template-manage-own-pat", "Own tokens", "Users", (), (), "uc.api.security.halo.run", _EVERYTHING),
        Role("role-template-view-tags", "Tags", "Posts", (), (), _POSTS, ("tags",)),
        Role("role-template-view-categories", "Categories", "Posts", (), (), _POSTS, ("categories",)),
        Role("role-template-view-snapshots", "Snapshots", "Posts", (), (), _POSTS, ("snapshots",)),
        Role(
            VIEW_POSTS,
            "View posts",
            "Posts",
            ("role-template-view-snapshots", "role-template-view-tags", "role-template-view-categories"),
            ("system:posts:view",),
            _POSTS,
            ("posts",),
        ),
        Role(
            "role-template-manage-posts",
            "Manage posts",
            "Posts",
            (VIEW_POSTS,),
            ("system:posts:manage",),
            _POSTS,
            ("posts",),
            _EVERYTHING,
        ),
        Role(VIEW_PLUGINS, "View plugins", "Plugins", (), ("system:plugins:view",), "plugin.halo.run", ("plugins",)),
        Role(
            "role-template-manage-plugins",
            "Manage plugins",
            "Plugins",
            (VIEW_PLUGINS,),
            ("system:plugins:manage",),
            "plugin.halo.run",
            ("plugins",),
            _EVERYTHING,
        ),
        Role(MANAGE_USERS, "Manage users", "Users", (), ("system:users:manage",), "", ("users",), _EVERYTHING),
        Role(ACTUATOR, "Actuator", "Actuator", (), ("system:actuator:manage",)),
    )
}


def find(name: str) -> Role | None:
    """A role of the catalogue."""
    return CATALOGUE.get(name)


def closure(names: Iterable[str]) -> frozenset[str]:
    """The known roles among `names`, with everything they imply."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found and (role := find(name)):
            found.add(name)
            pending.extend(role.implies)
    return frozenset(found)


def suffice(held: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether a caller with `held` may hand out `wanted`; a super-role may hand out names that mean nothing."""
    holding = closure(held)
    return SUPER in holding or set(wanted) <= holding
