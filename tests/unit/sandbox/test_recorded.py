"""Holds the sandbox against what four real servers answered, exchange by exchange, in the recorded order.

Compared are the status, the recorded header names, the media type, the set of JSON keys (nested ones too, lists by
their first two items) and a few values that carry meaning. Texts are not a contract.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.kit.clock import HandClock
from tests.sandbox.halo_cms import HaloCms
from tests.unit.sandbox.client import TOKEN, Browserless, basic

RECORDED = Path(__file__).parents[2] / "contract" / "recorded"
VERSIONS = ("2.26.0", "2.20.18", "2.20.2", "2.19.3")
# (version, case) -> why the sandbox may answer otherwise. Empty is the aim.
DEVIATIONS: dict[tuple[str, str], str] = {}

COMPARED_HEADERS = ("content-type", "cache-control", "www-authenticate", "location", "set-cookie")
MEANINGFUL = ("kind", "spec.revoked", "spec.roles", "spec.scopes", "spec.disabled", "hasPrevious", "first")
ADMIN, ADMIN_PASSWORD, USER_PASSWORD = "admin", "recorded5", "recorded6"
MINTED_BY_CASE = {
    "mint by Basic, super-role": "pat:super-role",
    "mint chosen name, labels, expiry": "pat:view-posts",
    "mint role-less": "pat:no-roles",
    "self-mint by role-limited PAT same roles": "pat:self-minted",
    "mint by Basic instead": "pat:self-minted",
    "mint expiring in 3 s": "pat-expired",
    "user mints by Basic": "pat:other-user",
}
SECONDS_AFTER_EXPIRY = {"expired 5 s ago": 5, "expired ~52 s ago": 52, "expired ~67 s ago": 67}


@cache
def recording(version: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((RECORDED / f"halo-cms-{version}.json").read_text())["exchanges"])


class Replay:
    """Plays one recording: credentials and generated names of the real run are replaced by ours."""

    def __init__(self, version: str) -> None:
        self.version = version
        start = recording(version)[0]["reply"]["metadata"]["creationTimestamp"]
        self.clock = HandClock(datetime.fromisoformat(start))
        self.tokens: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.expiry = self.clock.now()

    async def play(self) -> dict[str, list[str]]:
        halo = HaloCms(self.version, basic_auth=True, clock=self.clock.now, seed=7)
        async with halo.running(), Browserless(halo.url) as client:
            await set_up(client, self.version)
            return {exchange["case"]: await self.step(client, exchange) for exchange in recording(self.version)}

    async def step(self, client: Browserless, exchange: dict[str, Any]) -> list[str]:
        await self.move_clock(client, exchange)
        body = self.ours(exchange.get("body"))
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {}
        if isinstance(body, str):
            sent = {"content": body, "headers": {"Content-Type": exchange["content_type"]}}
        answer = await client.call(
            exchange["method"],
            self.ours(exchange["path"]),
            self.authorization(exchange),
            xhr=exchange.get("xhr", True),
            **sent,
        )
        self.remember(exchange, answer)
        return differences(exchange, answer)

    async def move_clock(self, client: Browserless, exchange: dict[str, Any]) -> None:
        """As the real run did: a little later each time, and waiting where it waited."""
        case = exchange["case"]
        self.clock.move(0.04)
        if case == "mint expiring in 3 s":
            self.expiry = datetime.fromisoformat(exchange["body"]["spec"]["expiresAt"])
            self.clock.wall = self.expiry - timedelta(seconds=3)
        if case in SECONDS_AFTER_EXPIRY:
            self.clock.wall = self.expiry + timedelta(seconds=SECONDS_AFTER_EXPIRY[case])
        if case == "used after removal":
            deleted = next(each["path"] for each in recording(self.version) if each["case"] == "delete")
            reader = f"Bearer {self.tokens['pat:super-role']}"
            while (await client.call("GET", self.ours(deleted), reader)).status_code == 200:
                self.clock.move(0.1)

    def ours(self, value: Any) -> Any:
        """The same text with our run id, our generated names and our password."""
        text = json.dumps(value)
        for theirs, ours in self.names.items():
            text = text.replace(theirs, ours)
        return json.loads(text.replace("RUN", "7f3a").replace("<secret>", USER_PASSWORD))

    def authorization(self, exchange: dict[str, Any]) -> str | None:
        own, case = self.tokens.get("pat:view-posts", ""), exchange["case"]
        special = {
            "anonymous": None,
            "basic:admin": basic(ADMIN, ADMIN_PASSWORD),
            "basic:user": basic("u7f3a", USER_PASSWORD),
            "basic-wrong": basic(ADMIN, "wrong"),
            "basic:e-mail address": basic("admin@example.com", ADMIN_PASSWORD),
            "pat-broken": f"Bearer {own[:-40]}" + ("A" if own[-40:-39] != "A" else "B") + own[-39:],
            "pat-noprefix": f"Bearer {own.removeprefix('pat_')}",
            "junk": "Bearer junk",
        }
        if case == "truncated token":
            return "Bearer pat_" + own.removeprefix("pat_").partition(".")[0]
        if case == "bearer illegal syntax":
            return "Bearer two words"
        if exchange["caller"] in special:
            return special[exchange["caller"]]
        alias = {"pat-revoked": "pat:self-minted", "pat-deleted": "pat:self-minted"}
        return f"Bearer {self.tokens[alias.get(exchange['caller'], exchange['caller'])]}"

    def remember(self, exchange: dict[str, Any], answer: httpx.Response) -> None:
        reply = exchange["reply"]
        minted = isinstance(reply, dict) and TOKEN in reply.get("metadata", {}).get("annotations", {})
        if not minted or answer.status_code != 200:
            return
        metadata = answer.json()["metadata"]
        if exchange["case"] in MINTED_BY_CASE:
            self.tokens[MINTED_BY_CASE[exchange["case"]]] = metadata["annotations"][TOKEN]
        if "RUN" not in reply["metadata"]["name"] or re.fullmatch(r"pat-\w+-\w{5}", reply["metadata"]["name"]):
            self.names[reply["metadata"]["name"]] = metadata["name"]


async def set_up(client: Browserless, version: str) -> None:
    """The first call to a fresh server, as the real run made it."""
    fields = {"username": ADMIN, "password": ADMIN_PASSWORD, "siteTitle": "t", "email": "admin@example.com"}
    if version == "2.19.3":
        path = "/apis/api.console.halo.run/v1alpha1/system/initialize"
        assert (await client.call("POST", path, json=fields)).json() is True
    else:
        fields["externalUrl"] = "http://127.0.0.1:18090"
        assert (await client.call("POST", "/system/setup", data=fields)).status_code == 204


def differences(exchange: dict[str, Any], answer: httpx.Response) -> list[str]:
    found = []
    if answer.status_code != exchange["status"]:
        found.append(f"status {exchange['status']} recorded, {answer.status_code} here")
    expected = set(exchange["headers"])
    if expected != (ours := {name for name in COMPARED_HEADERS if name in answer.headers}):
        found.append(f"headers {sorted(expected)} recorded, {sorted(ours)} here")
    if media_type(exchange["headers"]) != media_type(answer.headers):
        found.append(f"media type {media_type(exchange['headers'])} recorded, {media_type(answer.headers)} here")
    kinds = ((exchange["headers"].get(name, ""), answer.headers.get(name, "")) for name in COMPARED_HEADERS[2:])
    found += [f"{theirs!r} recorded, another kind here" for theirs, ours in kinds if kind(theirs) != kind(ours)]
    return found + body_differences(exchange["reply"], answer.text)


def body_differences(reply: Any, text: str) -> list[str]:
    if reply == "":
        return ["a body where none was recorded"] if text else []
    ours = json.loads(text) if text else None
    if isinstance(reply, str):  # a long list, recorded as its first 300 characters
        recorded, here = set(re.findall(r'"([\w./-]+)":', reply)), keys(ours[:1])
        missing = {key for key in recorded if not any(path.endswith(f".{key}") for path in here)}
        return [f"list items lack {sorted(missing)}"] if missing else []
    found = []
    if keys(reply) != keys(ours):
        gone, new = sorted(keys(reply) - keys(ours)), sorted(keys(ours) - keys(reply))
        found.append(f"keys {gone} recorded but not here, {new} here but not recorded")
    paths = [*MEANINGFUL, "metadata.version"] if at(reply, "kind") == "PersonalAccessToken" else MEANINGFUL
    values = ((path, at(reply, path), at(ours, path)) for path in paths)
    found += [f"{path}: {theirs} recorded, {here} here" for path, theirs, here in values if theirs != here]
    return found


def keys(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {f"{path}.{key}" for key in value}.union(*(keys(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return set[str]().union(*(keys(item, f"{path}[]") for item in value[:2]))
    return set()


def at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def media_type(headers: Any) -> str:
    return str(headers.get("content-type", "")).partition(";")[0]


def kind(header: str) -> str:
    """What kind of value it is, without descriptions, ids and moments."""
    return re.sub(r"SESSION=[^;]*|; Max-Age=.*|, error_description=.*", "", header)


@cache
def played(version: str) -> dict[str, list[str]]:
    return anyio.run(Replay(version).play)


EVERY_EXCHANGE = [(version, exchange["case"]) for version in VERSIONS for exchange in recording(version)]


@pytest.mark.parametrize(("version", "case"), EVERY_EXCHANGE, ids=[f"{v}: {c}" for v, c in EVERY_EXCHANGE])
def test_the_sandbox_answers_like_the_real_server(version: str, case: str) -> None:
    found = played(version)[case]
    if (version, case) in DEVIATIONS:
        assert found, "the reason for a deviation is outdated"
    else:
        assert found == []


def test_all_exchanges_of_all_four_servers_are_played() -> None:
    assert {version: len(played(version)) for version in VERSIONS} == {
        version: len(recording(version)) for version in VERSIONS
    }
    assert sum(len(recording(version)) for version in VERSIONS) >= 4 * 84
