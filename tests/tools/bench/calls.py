"""The list of calls that one whole rotation makes, in order, taken down while a real one runs in this process.

The bare loop replays this list, so that it can never promise less, or ask for less, than the rotator does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from requests.adapters import HTTPAdapter

from rotator.app.standalone import working
from rotator.commands.rotate import RotateCommand, follow
from rotator.settings import load

KINDS = (  # the first that fits names the call
    ("write request", r"POST \S*/data/rotator/wish/"),
    ("list requests", r"LIST \S*/metadata/rotator/wish/"),
    ("read request", r"GET \S*/data/rotator/wish/"),
    ("remove request", r"DELETE \S*/metadata/rotator/wish/"),
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

    The actor rotates it twice, and the second time is taken down: first contacts are over, as in a daemon.
    """
    demand = RotateCommand(names=(name,), emergency=True, patient=True)

    async def rotate() -> list[tuple[str, dict[str, Any]]]:
        async with working(load(str(settings)), demand.within) as (app, transitions):
            for _ in range(2):
                with _taken_down() as seen:
                    async with aclosing(follow(app, (name,), demand, transitions)) as lines:
                        async for line in lines:
                            if line.get("exit"):
                                raise RuntimeError(f"the rotation to be counted failed: {line['verdicts'][0]['said']}")
            return seen

    seen = anyio.run(rotate)
    kinds = [kind for said, _ in seen if (kind := _kind(said))]
    bodies = [body["data"] for said, body in seen if _kind(said) == "write journal"]
    return kinds, max(bodies, key=lambda each: len(json.dumps(each)))


def _kind(said: str) -> str:
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
