"""What must be true at the end of the show, checked with calls of the show's own, and the evidence it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotator.observe.logs import BLOT, redact
from rotator.rotation.secret import Secret
from tests.sandbox.demo.cast import BLOG, KEY_SET, NAMES, ONE_SLOT
from tests.sandbox.demo.watch import View
from tests.sandbox.demo.words import short

if TYPE_CHECKING:
    from tests.sandbox.demo.stage import Stage


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
class Published:
    """One version on a consumer path, and the status with which its target answers to it now."""

    document: Mapping[str, Any] = field(repr=False)
    status: int


History = Mapping[str, Mapping[int, Published]]  # by credential and version, oldest first


def ask(stage: Stage) -> History:
    """Use every value that was ever published, as far as Vault keeps it, on its target."""
    return {name: dict(_kept(stage, name)) for name in NAMES}


def _kept(stage: Stage, name: str) -> Iterator[tuple[int, Published]]:
    for version in sorted(map(int, _consumer_document(stage, name, "metadata")["versions"])):
        document = _consumer_document(stage, name, "data", f"?version={version}")["data"]
        yield version, Published(document, stage.world.answers(document))


def _consumer_document(stage: Stage, name: str, part: str, query: str = "") -> dict[str, Any]:
    path = stage.world.credentials[name]["path"]
    return dict(stage.world.bao.call("GET", f"{stage.world.mount}/{part}/{path}{query}")["data"])


def evidence(stage: Stage, view: View, history: History, killed: Killed) -> Iterator[str]:
    """What was seen, line by line: answers, versions in Vault, a journal document."""
    yield _line("CREDENTIAL", "NEWEST VALUE", "VALUE BEFORE IT", "ON ITS TARGET")
    for name, kept in history.items():
        cells = [f"version {version}: {each.status}" for version, each in kept.items()]
        yield _line(name, cells[-1], cells[-2] if len(cells) > 1 else "none", _on_target(view, name, kept))
    yield ""
    versions = _consumer_document(stage, killed.name, "metadata")["versions"]
    times = ", ".join(f"{number} at {each['created_time'][11:19]}" for number, each in versions.items())
    yield f"Vault keeps the versions of {view.record(killed.name).place}: {times}"
    yield f"The journal of {killed.name} (version {view.entries[killed.name].version}), in part:"
    for key, said in _journal_extract(stage, killed.name):
        yield f"   {key:<10} {said}"


def _line(*cells: str) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, (15, 18, 18, 0), strict=True))


def _on_target(view: View, name: str, kept: Mapping[int, Published]) -> str:
    """Halo CMS lists its tokens; the desk lists nothing, so all that was published is tried."""
    if name not in BLOG:
        return f"{view.alive(name)} of {len(kept)} values accepted"
    listed, alive = sum(token.stem == view.record(name).stem for token in view.tokens), view.alive(name)
    return f"{alive} alive, {listed - alive} revoked"


def _journal_extract(stage: Stage, name: str) -> Iterator[tuple[str, str]]:
    document = stage.watch.journal(name)["data"]
    for key in ("phase", "rotation", "attempt", "lease"):
        yield key, json.dumps(document.get(key))
    current = document["current"]
    yield "current", json.dumps({"token": current["token"]["id"], "fingerprint": current["fingerprint"]})
    for number, part in enumerate(document.get("evidence", "").split("; ")):
        yield "" if number else "evidence", part


def claims(stage: Stage, view: View, history: History, killed: Killed) -> Iterator[Claim]:
    """Every promise that this show can check."""
    newest = [[*kept.values()][-1].status for kept in history.values()]
    former = [each.status for kept in history.values() for each in [*kept.values()][:-1]]
    good, dead = newest.count(200), former.count(401)
    yield Claim(
        f"{good} of {len(newest)} newest values are accepted, on the blog and the desk (200)",
        newest == [200] * len(NAMES),
    )
    yield Claim(
        f"{dead} of {len(former)} values published before them are dead (401)", dead == len(former) >= len(NAMES)
    )
    yield _one_each(view)
    yield _key_set(stage, history)
    yield _no_stray(view, killed)
    consumer = stage.consumer
    yield Claim(
        f"an independent consumer used its secrets {consumer.probes} times: {consumer.refused} refused, "
        f"{consumer.unread} not readable",
        consumer.probes > 0 and not consumer.refused and not consumer.unread,
    )
    yield _cut_over(stage)
    yield _versions(history)
    yield _no_secret(stage, view, history)


def _one_each(view: View) -> Claim:
    alive = {token.name for token in view.tokens if token.alive}
    current = {record.current.token.name for name in BLOG if (record := view.record(name)).current}
    text = f"{len(alive)} tokens of ours live on Halo, exactly one for each of {len(current)} credentials: no stray"
    return Claim(text, alive == current and len(current) == len(BLOG))


def _key_set(stage: Stage, history: History) -> Claim:
    desk, published = stage.desk, [*history[KEY_SET].values()][-1].document["kid"]
    kids = [key["kid"] for key in json.loads(desk.jwks("portal-keys").read_text())["keys"]]
    return Claim(f"the key set that the desk reads holds {len(kids)} key: the published one's", kids == [published])


def _cut_over(stage: Stage) -> Claim:
    """The daemon's figure spans more than any consumer can have seen."""
    seen, said = stage.consumer, stage.disagreed.get(ONE_SLOT, 0.0)
    text = (
        f"the one hard cut-over, {ONE_SLOT}: {len(seen.cut_off)} refused within {seen.apart * 1000:.0f} ms; "
        f"the daemon said {said * 1000:.0f} ms"
    )
    return Claim(text, said > 0 and seen.apart <= said)


def _no_stray(view: View, killed: Killed) -> Claim:
    lost = [token for token in view.tokens if token.name == killed.token]
    record = view.record(killed.name)
    recovered = bool(record.current) and record.rotation == killed.rotation and record.attempt > 1
    lost_name = f"{short(killed.token)} of {killed.name}"
    text = f"the token lost in the kill ({lost_name}) is revoked; attempt {record.attempt} took its place"
    return Claim(text, len(lost) == 1 and not lost[0].alive and recovered)


def _versions(history: History) -> Claim:
    """Rotation numbers on each path, oldest first, as far as Vault still keeps them."""
    rotations = [[int(each.document["rotation"]) for each in kept.values()] for kept in history.values()]
    rising = all(numbers == sorted(set(numbers)) for numbers in rotations)
    return Claim("rotation numbers on the consumer paths only rise", rising)


def _no_secret(stage: Stage, view: View, history: History) -> Claim:
    """Looks for every value that this process knows, in every usual encoding, and for everything shaped like one."""
    keys = {name: each.key for name, each in stage.watch.settings.credentials.items()}
    known = [Secret(each.document[keys[name]]) for name, kept in history.items() for each in kept.values()]
    texts = [json.dumps(stage.watch.journal(name)) for name in view.entries]
    lines = stage.daemon.lines
    leaks = sum(redact(text) != text or BLOT in text for text in (*texts, *lines))
    text = f"no secret in {len(texts)} journal documents and {len(lines)} log lines"
    return Claim(
        text if not leaks else f"{leaks} of the documents and log lines hold a secret", bool(known) and not leaks
    )
