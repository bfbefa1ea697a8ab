"""The bare loop: the rotator's own calls, replayed by hvac and httpx in eight threads, with nothing around them.

It keeps no promise: no lease, no lost answers, no decisions, no logs. Run as a process: reads its order as JSON from
standard input, writes {"wall", "cpu"} in seconds for the loop alone.
"""

from __future__ import annotations

import json
import resource
import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import hvac
import requests

PATS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"
AT_ONCE = 8
HEADERS = {"Accept": "application/json", "X-Requested-With": "XMLHttpRequest"}


class Loop:
    """One process's connections. `tuned`: a larger pool and no look at the environment per call."""

    def __init__(self, order: dict[str, Any]) -> None:
        session = requests.Session()
        if order["tuned"]:
            session.trust_env = False
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
        self.kv = hvac.Client(url=order["vault"], token=order["token"], session=session).secrets.kv.v2
        self.halo = httpx.Client(base_url=order["halo"], headers=HEADERS, trust_env=not order["tuned"])
        self.minter = {"Authorization": f"Bearer {order['minter']}"}
        self.journal = order["journal"]


class Rotation:
    """One credential's rotation, call by call; the methods are named after the kinds in calls.py."""

    def __init__(self, loop: Loop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.new = f"{name}-{secrets.token_hex(4)}"
        self.document: dict[str, Any] = {}
        self.consumer: dict[str, Any] = {}
        self.old_value = ""
        self.version = {"journal": 0, "consumer": 0, "staged": 0}

    def do(self, kind: str) -> None:
        getattr(self, kind.replace(" ", "_"))()

    def _read(self, path: str, version: int | None = None) -> dict[str, Any]:
        return self.loop.kv.read_secret_version(path, version=version, raise_on_deleted_version=True)["data"]

    def _write(self, path: str, values: dict[str, Any], cas: int) -> int:
        return self.loop.kv.create_or_update_secret(path, values, cas=cas)["data"]["version"]

    def write_request(self) -> None:
        values = {"schema": "1", "id": self.new, "verb": "rotate", "at": "", "by": "", "live": [self.name]}
        self._write(f"rotator/wish/{self.name}/{self.new}", values, 0)

    def list_requests(self) -> None:
        if self.new not in self.loop.kv.list_secrets(f"rotator/wish/{self.name}")["data"]["keys"]:
            raise RuntimeError("the request is not listed")

    def read_request(self) -> None:
        self._read(f"rotator/wish/{self.name}/{self.new}")

    def remove_request(self) -> None:
        self.loop.kv.delete_metadata_and_all_versions(f"rotator/wish/{self.name}/{self.new}")

    def read_journal(self) -> None:
        read = self._read(f"rotator/journal/{self.name}")
        self.document, self.version["journal"] = read["data"], read["metadata"]["version"]
        self.version["staged"] = int(self.document["slot"])

    def write_journal(self) -> None:
        values = {**self.loop.journal, "slot": str(self.version["staged"]), "nonce": secrets.token_urlsafe(16)}
        self.version["journal"] = self._write(f"rotator/journal/{self.name}", values, self.version["journal"])

    def read_consumer(self) -> None:
        read = self._read(f"apps/{self.name}/halo")
        self.consumer, self.version["consumer"] = read["data"], read["metadata"]["version"]

    def read_older(self) -> None:
        self.old_value = self._read(f"apps/{self.name}/halo", self.version["consumer"] - 1)["data"]["token"]

    def write_consumer(self) -> None:
        values = {"token": self.value, "provider_id": self.new, "rotation": "1", "issued_at": "", "expires_at": ""}
        self.old = self.consumer["provider_id"]
        self.version["consumer"] = self._write(f"apps/{self.name}/halo", values, self.version["consumer"])

    def write_staged(self) -> None:
        values = {"token": {"id": self.new}, "value": self.value, "nonce": secrets.token_urlsafe(16)}
        self.version["staged"] = self._write(f"rotator/staged/{self.name}", values, self.version["staged"])

    def read_staged(self) -> None:
        if self._read(f"rotator/staged/{self.name}")["data"]["value"] != self.value:
            raise RuntimeError("the staged value is another")

    def destroy_staged(self) -> None:
        last = self.version["staged"]
        self.loop.kv.destroy_secret_versions(f"rotator/staged/{self.name}", list(range(max(1, last - 9), last + 1)))

    def wish(self) -> dict[str, Any]:
        spec = {"name": self.new, "roles": ["role-template-view-posts"], "expiresAt": "2099-01-01T00:00:00Z"}
        return {"metadata": {"name": self.new}, "spec": spec}

    def minted(self, answer: dict[str, Any]) -> None:
        self.value = answer["metadata"]["annotations"]["security.halo.run/access-token"]

    def mint(self) -> None:
        answer = self.loop.halo.post(PATS, json=self.wish(), headers=self.loop.minter)
        self.minted(answer.raise_for_status().json())

    def accepted(self) -> None:
        self._own(self.new, self.value, 200)

    def refused(self) -> None:
        self._own(self.old, self.old_value, 401)

    def _own(self, name: str, value: str, wanted: int) -> None:
        answer = self.loop.halo.get(f"{PATS}/{name}", headers={"Authorization": f"Bearer {value}"})
        if answer.status_code != wanted:
            raise RuntimeError(f"{wanted} wanted, {answer.status_code} seen")

    def revoke(self) -> None:
        path = f"{PATS}/{self.old}/actions/revocation"
        self.loop.halo.put(path, headers=self.loop.minter).raise_for_status().json()

    def begin(self) -> None:
        """A first value, so that there is a predecessor."""
        self.mint()
        values = {"token": self.value, "provider_id": self.new}
        self._write(f"apps/{self.name}/halo", values, 0)
        self._write(f"rotator/journal/{self.name}", {**self.loop.journal, "slot": "0"}, 0)


def measured(run: Callable[[], object]) -> None:
    """Run, and write down the wall time and the CPU of this process in seconds."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    json.dump({"wall": time.perf_counter() - began, "cpu": cpu}, sys.stdout)


def main() -> None:
    order = json.load(sys.stdin)
    loop = Loop(order)

    def work(name: str) -> None:
        rotation = Rotation(loop, name)
        if order["begin"]:
            rotation.begin()
            return
        for kind in order["calls"]:
            rotation.do(kind)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        measured(lambda: list(pool.map(work, order["names"])))


if __name__ == "__main__":
    main()
