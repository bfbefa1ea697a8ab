"""A raft cluster of three on loopback, and what may befall it. When what befalls it, is raft.py's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from tests.sandbox.openbao import AppRole, OpenBao, OpenBaoError, Storage
from tests.system.raft_wires import Wires
from tests.system.wire import Wire

NODES = 3
RETURN = 60.0  # seconds in which a cluster without faults must have a leader again
HASTE = {"server_stabilization_time": "1s"}  # until a node that joined has a vote; ten seconds by default
POLICY = 'path "kv/*" { capabilities = ["create", "read", "update", "list"] }\n' + "".join(
    f'path "auth/token/{verb}-self" {{ capabilities = ["{right}"] }}\n'
    for verb, right in (("lookup", "read"), ("renew", "update"), ("revoke", "update"))
)


@dataclass
class Cluster:
    """Three nodes, mount `kv`, and a role to log in with. One trouble at a time: each verb ends healed."""

    nodes: list[OpenBao]
    wires: Wires
    role: AppRole

    async def leader(self) -> int:
        """Which node leads, by its own word and the others'. Raises TimeoutError."""
        with anyio.fail_after(RETURN):
            while True:
                words = [await to_thread.run_sync(_leads, node) for node in self.nodes]
                if words.count(True) == 1 and None not in words:
                    return words.index(True)
                await anyio.sleep(0.05)

    async def whole(self) -> None:
        """Until every node has a vote: a node that has just joined has none, and a leader lost now is lost for good."""
        with anyio.fail_after(RETURN):
            while await to_thread.run_sync(_votes, self.nodes[0]) < NODES:  # noqa: ASYNC110 (a server rings for nobody)
                await anyio.sleep(0.1)

    async def kill(self, node: int, down: float) -> None:
        """kill -9, and a start `down` seconds later."""
        await to_thread.run_sync(self.nodes[node].kill)
        await anyio.sleep(down)
        await self._wake(node)

    async def restart(self, node: int) -> None:
        """A polite stop, and a start."""
        await to_thread.run_sync(self.nodes[node].stop)
        await self._wake(node)

    async def step_down(self, node: int) -> None:
        """The leader gives up its office."""
        await self._tell(node, "sys/step-down")

    async def seal(self, node: int, down: float) -> None:
        """A leader is sealed; a standby cannot be."""
        await self._tell(node, "sys/seal")
        await anyio.sleep(down)
        with suppress(OpenBaoError):  # it had lost its office in that moment, and refused
            await to_thread.run_sync(self.nodes[node].unseal)

    async def stop(self, node: int, down: float) -> None:
        """It stands still: neither clients nor other nodes hear of it."""
        pid = self.nodes[node].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await anyio.sleep(down)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def cut(self, node: int, down: float) -> None:
        """The other nodes and it do not hear of each other; clients still reach all of them."""
        self.wires.cut.add(node)
        try:
            await anyio.sleep(down)
        finally:
            self.wires.cut.discard(node)

    async def _tell(self, node: int, path: str) -> None:
        with suppress(OpenBaoError):  # the answer is often lost: so is the office
            await to_thread.run_sync(self.nodes[node].call, "PUT", path)

    async def _wake(self, node: int) -> None:
        """A node's port may be taken for a moment by a caller that knocks at it: so more than one try."""
        bao = self.nodes[node]
        for left in (2, 1, 0):
            try:
                await to_thread.run_sync(bao.start)
                await to_thread.run_sync(bao.unseal)
                return
            except OpenBaoError:
                if not left:
                    raise
                await to_thread.run_sync(bao.kill)
                await anyio.sleep(1)


def _leads(bao: OpenBao) -> bool | None:
    """None: it does not answer, or is sealed, or knows of no leader."""
    with suppress(OpenBaoError):
        about = bao.call("GET", "sys/leader")
        return bool(about["is_self"]) if about.get("leader_address") else None
    return None


def _votes(bao: OpenBao) -> int:
    servers = bao.call("GET", "sys/storage/raft/configuration")["data"]["config"]["servers"]
    return sum(bool(each["voter"]) for each in servers)


@contextmanager
def reader(bao: OpenBao) -> Iterator[Any]:
    """A quick plain GET below /v1/kv/ as root: an auditor's eyes, none of our own client in them."""
    wire = Wire(bao.address)

    def get(path: str) -> Mapping[str, Any]:
        found = wire.ask("GET", f"/v1/kv/{path}", {"X-Vault-Token": bao.root.reveal()})[1]
        return dict(json.loads(found or b"{}").get("data") or {})

    try:
        yield get
    finally:
        wire.close()


@asynccontextmanager
async def cluster(versions: int) -> AsyncIterator[Cluster]:
    """A cluster at work, ended by its pids. `versions`: how many of each document are kept."""
    nodes: list[OpenBao] = []
    wires = Wires(lambda: _pids(nodes))
    try:
        for number in range(NODES):
            node = OpenBao(Storage.RAFT, leader=nodes[0] if nodes else None)
            node.advertised = await wires.open(number, node.cluster_port)
            nodes.append(node)
            await to_thread.run_sync(node.__enter__)
            if node is nodes[0]:
                await to_thread.run_sync(node.call, "POST", "sys/storage/raft/autopilot/configuration", HASTE)
        await to_thread.run_sync(partial(nodes[0].enable_kv, "kv", max_versions=versions))
        role = await to_thread.run_sync(partial(nodes[0].approle, "writer", POLICY))
        for node in nodes:
            await to_thread.run_sync(node.await_kv, "kv")
        made = Cluster(nodes, wires, role)
        await made.whole()
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            for node in nodes:
                await to_thread.run_sync(node.kill)
                node.close()
            await wires.close()


def _pids(nodes: list[OpenBao]) -> dict[int, int]:
    found = {}
    for number, node in enumerate(nodes):
        with suppress(OpenBaoError):  # it is down
            found[number] = node.pid
    return found
