"""A small Vault over HTTP, without a server binary: KV version 2, a login, and whatever one may forbid or delay.

It answers as OpenBao 2.7.2 does unless told otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tests.kit.http_server import Heard, HttpServer, Reply
from tests.unit.vault.enterprise import Rule, ruled

EVERYTHING = ("create", "read", "update", "list", "delete")
DENIED = (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
DEAD = (403, {"errors": ["permission denied"]})


@dataclass
class ScriptedVault(HttpServer):
    """`stumbles`: replies to the next requests whose path begins so, one each. `rules`: asked before anything else."""

    documents: dict[str, list[Any]] = field(default_factory=dict)  # mount/path -> versions, None: destroyed
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)  # mount/path -> key settings
    config: dict[str, Any] = field(default_factory=dict)
    stumbles: dict[str, list[Reply]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    mounts: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"secret/": {"type": "kv", "options": {"version": "2"}}}
    )
    grant: dict[str, Any] = field(default_factory=lambda: {"lease_duration": 1800, "renewable": True})
    about: dict[str, Any] = field(default_factory=lambda: {"ttl": 1800, "policies": ["rotator"]})
    secret_id: dict[str, Any] = field(default_factory=dict)
    dates: dict[str, datetime] = field(default_factory=dict)  # when the newest version of a document was written
    deletions: dict[str, datetime] = field(default_factory=dict)  # when Vault will delete it by itself
    writes: int = 0
    indexed: bool = False  # answers carry X-Vault-Index
    dated: bool = True  # answers carry a Date

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        super().__init__()

    def paths(self, method: str = "") -> list[str]:
        return [each.path for each in self.heard if method in ("", each.method)]

    def answer(self, heard: Heard) -> Reply:
        with self._lock:
            status, body, headers = (*self._reply(heard), {})[:3]
        date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)} if self.dated else {}
        return status, body, {**date, **headers}

    def _reply(self, heard: Heard) -> Reply:
        self.heard.append(heard)
        if said := ruled(self.rules, heard):
            return said
        for start, replies in self.stumbles.items():
            if heard.path.startswith(start) and replies:
                return replies.pop(0)
        return self._served(heard)

    def _served(self, heard: Heard) -> Reply:
        match heard.path.split("/"):
            case ["auth", "token", "lookup-self"]:
                return 200, {"data": self.about}
            case ["auth", "token", "renew-self"] | ["auth", _, "login"]:
                return 200, {"auth": {"client_token": "canary-scripted-1d8e3f", **self.grant}}, self._index()
            case ["auth", "token", _]:
                return 204, None
            case ["sys", "capabilities-self"]:
                return 200, {"data": {path: list(EVERYTHING) for path in heard.body["paths"]}}
            case ["sys", "internal", "ui", "mounts", *rest]:
                return self._mount("/".join(rest))
            case [_, "config"]:
                return 200, {"data": {"max_versions": 0, "delete_version_after": "0s", **self.config}}
            case [mount, "data", *rest]:
                return self._document(heard, "/".join((mount, *rest)))
            case [mount, "metadata", *rest]:
                return self._metadata(heard, "/".join((mount, *rest)))
            case [_, "destroy", *_]:
                return 204, None
        return 404, {"errors": [f'no handler for route "{heard.path}"']}

    def _mount(self, path: str) -> Reply:
        fitting = sorted((mount for mount in self.mounts if f"{path}/".startswith(mount)), key=len)
        return (200, {"data": {"path": fitting[-1], **self.mounts[fitting[-1]]}}) if fitting else DENIED

    def _document(self, heard: Heard, place: str) -> Reply:
        path, _, query = place.partition("?version=")
        versions = self.documents.setdefault(path, [])
        if heard.method in ("POST", "PUT"):
            cas = (heard.body.get("options") or {}).get("cas")
            if cas is None and {**self.config, **self.metadata.get(path, {})}.get("cas_required"):
                return 400, {"errors": ["check-and-set parameter required for this call"]}
            if cas is not None and cas != len(versions):
                return 400, {"errors": ["check-and-set parameter did not match the current version"]}
            versions.append(heard.body["data"])
            self.writes += 1
            limited = self.config.get("delete_version_after", "0s") != "0s"
            end = datetime(2999, 1, 1, tzinfo=UTC).isoformat() if limited else ""
            return 200, {"data": {"version": len(versions), "deletion_time": end}}, self._index()
        number = int(query) if query and query != "0" else len(versions)
        if not 0 < number <= len(versions):
            return 404, {"errors": []}
        written = self.dates.get(path, datetime(2026, 3, 1, 12, tzinfo=UTC))
        deleted = self.deletions.get(path)
        meta = {
            "version": number,
            "created_time": written.isoformat(),
            "deletion_time": deleted.isoformat() if deleted else "",
        }
        return 200, {"data": {"data": versions[number - 1], "metadata": meta}}, self._index()

    def _metadata(self, heard: Heard, path: str) -> Reply:
        if heard.method in ("POST", "PUT"):
            self.metadata.setdefault(path, {}).update(heard.body)
            return 204, None
        if heard.method == "LIST" or path.endswith("?list=true"):
            folder = path.partition("?")[0].rstrip("/") + "/"
            names = sorted({p[len(folder) :] for p in self.documents if p.startswith(folder) and self.documents[p]})
            return (200, {"data": {"keys": names}}) if names else (404, {"errors": []})
        if heard.method == "DELETE":
            self.documents.pop(path, None)
            self.metadata.pop(path, None)
            return 204, None
        if not self.documents.get(path) and path not in self.metadata:
            return 404, {"errors": []}
        return 200, {"data": {"max_versions": 0, "delete_version_after": "0s", **self.metadata.get(path, {})}}

    def _index(self) -> Mapping[str, str]:
        return {"X-Vault-Index": f"index-{self.writes}"} if self.indexed else {}


@contextmanager
def scripted_vault(**wishes: Any) -> Iterator[ScriptedVault]:
    with ScriptedVault(**wishes) as server:
        yield server
