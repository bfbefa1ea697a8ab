"""Owns what must be true at the end of the show, checked with calls of the show's own, and the evidence it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotator.demo.watch import View
from rotator.demo.words import short
from rotator.logs import BLOT, redact
from rotator.rotation.secret import Secret

if TYPE_CHECKING:
    from rotator.demo.stage import Stage

_PATS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"


@dataclass(frozen=True, slots=True)
class Killed:
    """Whose mint was cut off by the kill, under which name, in which rotation."""

    name: str
    token: str
    rotation: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that must be true, in words, with the figures that were found."""

    text: str
    held: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """What Halo answers to the newest value on a consumer path, and to the one before it. Versions and statuses."""

    newest: int
    says: int
    before: int
    said: int


def ask(stage: Stage, name: str) -> Answers:
    """Present both values of a consumer path to Halo."""
    newest, value = _value(stage, name)
    before, old = _value(stage, name, newest - 1)
    call = stage.world.halo.call
    return Answers(newest, call("GET", _PATS, token=value)[0], before, call("GET", _PATS, token=old)[0])


def _value(stage: Stage, name: str, version: int = 0) -> tuple[int, Secret]:
    document = _consumer_document(stage, name, "data", f"?version={version}" if version else "")
    return document["metadata"]["version"], Secret(document["data"]["token"])


def _consumer_document(stage: Stage, name: str, part: str, query: str = "") -> dict[str, Any]:
    path = stage.world.credentials[name]["path"]
    return dict(stage.world.bao.call("GET", f"{stage.world.mount}/{part}/{path}{query}")["data"])


def evidence(stage: Stage, view: View, killed: Killed) -> Iterator[str]:
    """What was seen, line by line: answers, versions in Vault, a journal document."""
    yield _line("CREDENTIAL", "NEWEST VALUE", "VALUE BEFORE IT", "ITS TOKENS ON HALO")
    for name in view.entries:
        seen, stem = ask(stage, name), view.record(name).stem
        listed, alive = sum(token.stem == stem for token in view.tokens), view.alive(name)
        newest, before = f"version {seen.newest}: {seen.says}", f"version {seen.before}: {seen.said}"
        yield _line(name, newest, before, f"{alive} alive, {listed - alive} revoked")
    yield ""
    versions = _consumer_document(stage, killed.name, "metadata")["versions"]
    times = ", ".join(f"{number} at {each['created_time'][11:19]}" for number, each in versions.items())
    yield f"Vault keeps the versions of {view.record(killed.name).place}: {times}"
    yield f"The journal of {killed.name} (version {view.entries[killed.name].version}), in part:"
    for key, said in _journal_extract(stage, killed.name):
        yield f"   {key:<10} {said}"


def _line(*cells: str) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, (15, 18, 18, 0), strict=True))


def _journal_extract(stage: Stage, name: str) -> Iterator[tuple[str, str]]:
    document = stage.watch.journal(name)["data"]
    for key in ("phase", "rotation", "attempt", "lease"):
        yield key, json.dumps(document.get(key))
    current = document["current"]
    yield "current", json.dumps({"token": current["token"]["id"], "fingerprint": current["fingerprint"]})
    for number, part in enumerate(document.get("evidence", "").split("; ")):
        yield "" if number else "evidence", part


def claims(stage: Stage, view: View, killed: Killed) -> Iterator[Claim]:
    """Every promise that this show can check."""
    answers = [ask(stage, name) for name in view.entries]
    good, dead = (sum(a.says == 200 for a in answers), sum(a.said == 401 for a in answers))
    yield Claim(f"{good} of {len(answers)} newest values are accepted by Halo (200)", good == len(answers))
    yield Claim(f"{dead} of {len(answers)} predecessors are dead (401)", dead == len(answers))
    yield _one_each(view)
    yield _no_stray(view, killed)
    consumer = stage.consumer
    yield Claim(
        f"an independent consumer used its secrets {consumer.probes} times: {consumer.refused} refused, "
        f"{consumer.unread} not readable",
        consumer.probes > 0 and not consumer.refused and not consumer.unread,
    )
    yield _versions(stage, view)
    yield _no_secret(stage, view)


def _one_each(view: View) -> Claim:
    alive = {token.name for token in view.tokens if token.alive}
    current = {record.current.token.name for name in view.entries if (record := view.record(name)).current}
    text = f"{len(alive)} tokens of ours live on Halo, exactly one for each of {len(current)} credentials: no stray"
    return Claim(text, alive == current and len(current) == len(view.entries))


def _no_stray(view: View, killed: Killed) -> Claim:
    lost = [token for token in view.tokens if token.name == killed.token]
    record = view.record(killed.name)
    recovered = bool(record.current) and record.rotation == killed.rotation and record.attempt > 1
    lost_name = f"{short(killed.token)} of {killed.name}"
    text = f"the token lost in the kill ({lost_name}) is revoked; attempt {record.attempt} took its place"
    return Claim(text, len(lost) == 1 and not lost[0].alive and recovered)


def _versions(stage: Stage, view: View) -> Claim:
    """Rotation numbers on each path, oldest first, as far as Vault still keeps them."""
    rising = True
    for name in view.entries:
        kept = sorted(map(int, _consumer_document(stage, name, "metadata")["versions"]))
        documents = [_consumer_document(stage, name, "data", f"?version={version}") for version in kept]
        rotations = [int(document["data"]["rotation"]) for document in documents]
        rising = rising and rotations == sorted(set(rotations))
    return Claim("rotation numbers on the consumer paths only rise", rising)


def _no_secret(stage: Stage, view: View) -> Claim:
    """Looks for every value that this process knows, in every usual encoding, and for everything shaped like one."""
    known = [_value(stage, name)[1] for name in view.entries]  # living, so that the redactor knows them
    texts = [json.dumps(stage.watch.journal(name)) for name in view.entries]
    lines = stage.daemon.lines
    leaks = sum(redact(text) != text or BLOT in text for text in (*texts, *lines))
    text = f"no secret in {len(texts)} journal documents and {len(lines)} log lines"
    return Claim(
        text if not leaks else f"{leaks} of the documents and log lines hold a secret", bool(known) and not leaks
    )
