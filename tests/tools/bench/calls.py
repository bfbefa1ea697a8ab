"""The list of calls that one whole rotation makes, in order, taken down while a real one runs in this process.

The bare loop replays this list, so that it can never promise less, or ask for less, than the rotator does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from requests.adapters import HTTPAdapter

from rotator.app.standalone import rotate_alone
from rotator.commands.rotate import RotateCommand
from rotator.settings import load

KINDS = (  # the first that fits names the call
    ("read journal", r"GET \S*/data/rotator/journal/"),
    ("write journal", r"POST \S*/data/rotator/journal/"),
    ("read staged", r"GET \S*/data/rotator/staged/"),
    ("write staged", r"POST \S*/data/rotator/staged/"),
    ("destroy staged", r"POST \S*/destroy/rotator/staged/"),
    ("read older", r"GET \S*/data/apps/\S*version="),
    ("read consumer", r"GET \S*/data/apps/"),
    ("write consumer", r"POST \S*/data/apps/"),
    ("mint", r"POST \S*/personalaccesstokens$"),
    ("revoke", r"PUT \S*/actions/revocation$"),
    ("refused", r"GET \S*/personalaccesstokens/\S* 401$"),
    ("accepted", r"GET \S*/personalaccesstokens/\S* 200$"),
)


def of_one_rotation(settings: Path, name: str) -> tuple[list[str], dict[str, Any]]:
    """The kinds of the calls of one rotation with a predecessor, and the largest journal document among them.

    `name` must have been rotated just before in this world, so that logins and first contacts are over.
    """
    demand = RotateCommand(names=(name,), emergency=True, patient=True)

    async def rotate() -> None:
        async for line in rotate_alone(load(str(settings)), demand):
            if line.get("exit"):
                raise RuntimeError(f"the rotation to be counted failed: {line['verdicts'][0]['said']}")

    with _taken_down() as seen:
        anyio.run(rotate)
    kinds = [kind for said, _ in seen if (kind := _kind(said))]
    first = kinds.index("read journal")
    bodies = [body["data"] for said, body in seen if _kind(said) == "write journal"]
    return kinds[first:], max(bodies, key=lambda each: len(json.dumps(each)))


def _kind(said: str) -> str:
    if "rotator-control" in said:  # the negative control, once per process and target
        return ""
    return next((kind for kind, pattern in KINDS if re.search(pattern, said)), "")


@contextmanager
def _taken_down() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    seen: list[tuple[str, dict[str, Any]]] = []
    to_vault, to_target = HTTPAdapter.send, httpx.AsyncClient.send

    def vault(self: Any, request: Any, **details: Any) -> Any:
        answer = to_vault(self, request, **details)
        body = json.loads(request.body) if request.body and "/journal/" in request.url else {}
        seen.append((f"{request.method} {request.url}", body))
        return answer

    async def target(self: Any, request: Any, **details: Any) -> Any:
        answer = await to_target(self, request, **details)
        status = f" {answer.status_code}" if request.method == "GET" else ""
        seen.append((f"{request.method} {request.url}{status}", {}))
        return answer

    HTTPAdapter.send, httpx.AsyncClient.send = vault, target  # type: ignore[method-assign]  # put back below
    try:
        yield seen
    finally:
        HTTPAdapter.send, httpx.AsyncClient.send = to_vault, to_target  # type: ignore[method-assign]  # as before
