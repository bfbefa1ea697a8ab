"""The bare loop in the rotator's own manner: async httpx, and hvac in worker threads, eight rotations at once.

Beside bare.py it tells what async costs from what the rotator's own layers cost. Same order, same answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import httpx

from tests.tools.bench.bare import AT_ONCE, HEADERS, PATS, Loop, Rotation, measured

_AT_TARGET = ("mint", "accepted", "refused", "revoke")


class Target:
    """Calls to Halo as the rotator makes them: bounded as a whole, the answer read piece by piece."""

    def __init__(self, loop: Loop) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self._client = httpx.AsyncClient(
            base_url=loop.halo.base_url, headers=HEADERS, trust_env=False, limits=limits, verify=False
        )
        self._minter = loop.minter["Authorization"]

    async def do(self, kind: str, rotation: Rotation) -> None:
        if kind == "mint":
            rotation.minted(await self._call(200, "POST", PATS, self._minter, rotation.wish()))
        elif kind == "revoke":
            await self._call(200, "PUT", f"{PATS}/{rotation.old}/actions/revocation", self._minter)
        elif kind == "accepted":
            await self._call(200, "GET", f"{PATS}/{rotation.new}", f"Bearer {rotation.value}")
        else:
            await self._call(401, "GET", f"{PATS}/{rotation.old}", f"Bearer {rotation.old_value}")

    async def _call(self, wanted: int, method: str, path: str, auth: str, json_body: Any = None) -> Any:
        request = self._client.build_request(method, path, headers={"Authorization": auth}, json=json_body)
        with anyio.fail_after(30):
            response = await self._client.send(request, stream=True)
            body = b"".join([chunk async for chunk in response.aiter_raw()])
            await response.aclose()
        if response.status_code != wanted:
            raise RuntimeError(f"{wanted} wanted, {response.status_code} seen")
        return json.loads(body) if wanted == 200 else None


async def rotate(loop: Loop, order: dict[str, Any]) -> None:
    target, limiter, names = Target(loop), anyio.CapacityLimiter(AT_ONCE), iter(order["names"])

    async def work(names: Iterator[str]) -> None:
        for name in names:
            rotation = Rotation(loop, name)
            for kind in order["calls"]:
                if kind in _AT_TARGET:
                    await target.do(kind, rotation)
                else:
                    await anyio.to_thread.run_sync(rotation.do, kind, limiter=limiter)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(work, names)


def main() -> None:
    order = json.load(sys.stdin)
    loop = Loop(order)
    measured(partial(anyio.run, rotate, loop, order))


if __name__ == "__main__":
    main()
