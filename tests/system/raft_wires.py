"""The wires between raft nodes: all they say to each other passes here, and a node can be cut off from the rest.

A node that is cut off stays alive and goes on answering its clients. What was said meanwhile arrives late, not never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 1 << 16  # bytes
LOOK = 0.05  # seconds between looks whether a wire is whole again


@dataclass
class Wires:
    """Doors in front of cluster ports. `pids` tells whose process is at the other end; `cut` holds who is cut off."""

    pids: Callable[[], Mapping[int, int]]
    cut: set[int] = field(default_factory=set)
    _doors: list[asyncio.Server] = field(default_factory=list)
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, node: int, port: int) -> int:
        """A door to this node's cluster port; returns the door's own port."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.current_task()
            assert talk is not None
            self._talks.add(talk)
            try:
                with suppress(asyncio.CancelledError):  # by `close`; asyncio 3.11 would tell of each with a trace
                    await self._carry(node, port, reader, writer)
            finally:
                self._talks.discard(talk)
                writer.close()

        door = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._doors.append(door)
        return int(door.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up everything."""
        for door in self._doors:
            door.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _carry(self, node: int, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {node, self._caller(writer.get_extra_info("peername")[1])}
        with suppress(OSError):  # a node that was killed
            await self._whole(ends)
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                ways = [self._pump(ends, reader, behind_writer), self._pump(ends, behind_reader, writer)]
                _, left = await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
                for way in left:
                    way.cancel()
                await asyncio.gather(*left, return_exceptions=True)
            finally:
                behind_writer.close()

    async def _pump(self, ends: set[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while said := await reader.read(CHUNK):
                await self._whole(ends)
                writer.write(said)
                await writer.drain()

    async def _whole(self, ends: set[int]) -> None:
        while ends & self.cut:  # noqa: ASYNC110 (whoever heals a wire rings for nobody)
            await asyncio.sleep(LOOK)

    def _caller(self, port: int) -> int:
        """Which node has this port at its end; -1 when none has. All of them live on one address, so the system's
        table of sockets is asked."""
        inode = next((row[9] for row in _sockets() if row[1].endswith(f":{port:04X}")), "")
        return next((node for node, pid in self.pids().items() if inode and _holds(pid, inode)), -1)


def _sockets() -> list[list[str]]:
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def _holds(pid: int, inode: str) -> bool:
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(each.readlink()) == f"socket:[{inode}]":
                    return True
    return False
