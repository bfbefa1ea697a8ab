"""The reading of request bodies: JSON in, a `InstallationPlan` out, with the refusals of a real server.

Whether the wish is granted is left to `model`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.sandbox.cms.model import Wish
from tests.sandbox.cms.refusals import Refused, bad_request, server_error
from tests.sandbox.cms.times import parsed
from tests.sandbox.messages import Request


def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises Refused: 415 for another media type, 400 for anything unreadable."""
    media_type = request.media_type
    if not (media_type in ("application/json", "application/x-ndjson") or media_type.endswith("+json")):
        raise Refused(415, "Unsupported Media Type", "Send JSON.")
    if not request.body:
        raise bad_request("The body is missing.")
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(document, dict):
        raise _unreadable()
    return document


def mint_wish(document: dict[str, Any]) -> Wish:
    """Read a mint request. Fields a client may not choose are ignored; finalizers are honoured, to its misfortune.

    Raises Refused: 400 for unreadable fields or a missing `spec.name`, 500 for a `spec` of null (measured on all
    four versions).
    """
    spec = _part(document, "spec", dict, {})
    if spec is None:
        raise server_error()
    label = _part(spec, "name", str, None)
    if label is None:
        raise bad_request("spec.name is required.", "Schema Violation")
    metadata = _part(document, "metadata", dict, {}) or {}
    return Wish(
        label=label,
        name=_part(metadata, "name", str, "") or "",
        generate_name=_part(metadata, "generateName", str, "") or "",
        expires_at=_expiry(spec),
        description=_part(spec, "description", str, None),
        roles=texts(spec, "roles"),
        scopes=texts(spec, "scopes"),
        labels=_marks(metadata, "labels"),
        annotations=_marks(metadata, "annotations"),
        finalizers=texts(metadata, "finalizers"),
    )


def _unreadable() -> Refused:
    return bad_request("The body cannot be read.")


def _part(document: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = document.get(name, default)
    if value is not None and not isinstance(value, kind):
        raise _unreadable()
    return value


def texts(document: dict[str, Any], name: str) -> list[str] | None:
    """A list of texts, if sent. Raises Refused (400) for anything else."""
    values = _part(document, name, list, None)
    if values is not None and not all(isinstance(value, str) for value in values):
        raise _unreadable()
    return values  # type: ignore[no-any-return]  # checked just above


def _marks(document: dict[str, Any], name: str) -> dict[str, str] | None:
    values = _part(document, name, dict, None)
    if values is not None and not all(isinstance(value, str) for value in values.values()):
        raise _unreadable()
    return values  # type: ignore[no-any-return]  # checked just above


def _expiry(spec: dict[str, Any]) -> datetime | None:
    text = _part(spec, "expiresAt", str, None)
    if not text:
        return None
    try:
        return parsed(text)
    except (ValueError, OverflowError):
        raise _unreadable() from None
