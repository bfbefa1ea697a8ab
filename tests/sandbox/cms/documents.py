"""How records, users and roles look as JSON; fields that were never set are left out.

What they mean is left to the files that own them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.sandbox.cms import roles
from tests.sandbox.cms.records import Record
from tests.sandbox.cms.times import instant, stamp
from tests.sandbox.cms.users import User
from tests.sandbox.cms.versions import Traits

TOKEN_ANNOTATION = "security.halo.run/access-token"
_ROLE_NAMES = "rbac.authorization.halo.run/role-names"
_PROTECTION = ["user-protection"]

Document = dict[str, Any]


def without_none(**fields: Any) -> Document:
    """A document of the fields that are set."""
    return {name: value for name, value in fields.items() if value is not None}


def _stamped(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None


def token_record(record: Record, token: str | None = None) -> Document:
    """A PAT record; `token` is shown in the answer of its mint and never again."""
    annotations = record.annotations
    if token is not None:
        annotations = {**(annotations or {}), TOKEN_ANNOTATION: token}
    return {
        "apiVersion": "security.halo.run/v1alpha1",
        "kind": "PersonalAccessToken",
        "metadata": without_none(
            annotations=annotations,
            creationTimestamp=stamp(record.created),
            deletionTimestamp=_stamped(record.deleted_at),
            finalizers=record.finalizers,
            generateName=record.generate_name,
            labels=record.labels,
            name=record.name,
            version=record.version,
        ),
        "spec": without_none(
            description=record.description,
            expiresAt=instant(record.expires_at) if record.expires_at else None,
            lastUsed=_stamped(record.last_used),
            name=record.label,
            revoked=record.revoked,
            revokesAt=_stamped(record.revoked_at),
            roles=record.roles,
            scopes=record.scopes,
            tokenId=record.token_id,
            username=record.owner,
        ),
    }


def user(one: User, traits: Traits) -> Document:
    """A user as the console shows it, with its password hash: the reason never to call this from a daemon."""
    annotations = {_ROLE_NAMES: json.dumps(list(one.roles))}
    if not (one.administrator or traits.quiet_creation):
        annotations["halo.run/request-to-update"] = stamp(one.created)
    document = new_user(one)
    document["metadata"].update(annotations=annotations, finalizers=_PROTECTION, version=one.version)
    document["status"] = {"permalink": f"/authors/{one.name}"}
    if one.administrator:
        document["spec"].update(registeredAt=stamp(one.created), twoFactorAuthEnabled=False)
    return document


def new_user(one: User) -> Document:
    """A user in the moment of its creation, before the server's own bookkeeping."""
    return {
        "apiVersion": "v1alpha1",
        "kind": "User",
        "metadata": {
            "annotations": {"halo.run/request-to-update": stamp(one.created)},
            "creationTimestamp": stamp(one.created),
            "name": one.name,
            "version": one.version,
        },
        "spec": without_none(
            disabled=one.disabled,
            displayName=one.display_name,
            email=one.email,
            emailVerified=one.email_verified,
            password="{sandbox}",
        ),
        "status": {},
    }


def anonymous_user(since: datetime) -> Document:
    """The user that an unauthenticated who-am-i is told to be."""
    return {
        "apiVersion": "v1alpha1",
        "kind": "User",
        "metadata": {
            "annotations": {_ROLE_NAMES: "[]"},
            "creationTimestamp": stamp(since),
            "finalizers": [*_PROTECTION, "system-protection"],
            "labels": {"halo.run/hidden-user": "true"},
            "name": "anonymousUser",
            "version": 1,
        },
        "spec": {
            "disabled": True,
            "displayName": "Anonymous User",
            "email": "anonymous@example.com",
            "emailVerified": False,
        },
        "status": {},
    }


def role_list(names: Sequence[str], since: datetime) -> list[Document]:
    """The known roles among `names`."""
    return [_role(found, since) for name in names if (found := roles.find(name))]


def ui_permissions(names: Sequence[str]) -> list[str]:
    """What the console's menus would show."""
    return sorted({permission for name in names if (found := roles.find(name)) for permission in found.permissions})


def _role(role: roles.Role, since: datetime) -> Document:
    rbac = "rbac.authorization.halo.run"
    return {
        "apiVersion": "v1alpha1",
        "kind": "Role",
        "metadata": {
            "annotations": {
                f"{rbac}/dependencies": json.dumps(role.implies),
                f"{rbac}/module": role.module,
                f"{rbac}/display-name": role.title,
                f"{rbac}/ui-permissions": json.dumps(role.permissions),
                f"{rbac}/dependency-rules": "[]",
                f"{rbac}/ui-permissions-aggregated": "[]",
            },
            "creationTimestamp": stamp(since),
            "labels": {"halo.run/role-template": "true"},
            "name": role.name,
            "version": 1,
        },
        "rules": [
            {
                "apiGroups": [group],
                "nonResourceURLs": [],
                "resourceNames": [],
                "resources": list(role.resources),
                "verbs": list(role.verbs),
            }
            for group in (role.group, "api.console.halo.run")
        ],
    }


def page(items: Sequence[Document], number: int, size: int) -> Document:
    """One page of a list, in the envelope of the extension endpoints."""
    total = len(items)
    pages = -(-total // size) if size else 1
    start = (number - 1) * size if size else 0
    return {
        "page": number,
        "size": size,
        "total": total,
        "items": list(items[start : start + size] if size else items),
        "first": number <= 1,
        "last": number >= pages,
        "hasNext": number < pages,
        "hasPrevious": number > 1,
        "totalPages": pages,
    }
