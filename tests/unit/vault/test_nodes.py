"""Documents of processes: one for all commands, one per daemon, and none for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from rotator.app.composition import acting
from rotator.commands.snapshot import Selection
from rotator.commands.status import look
from rotator.observe.observers import Observers
from rotator.ports import Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.replica_share import Heartbeat
from rotator.rotation.secret import Secret
from rotator.vault.kv import Kv
from rotator.vault.login import token
from rotator.vault.session import Session
from rotator.vault.shared_documents import COMMANDS, GONE, heartbeats, remove_gone
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.unit.vault.scripted import ScriptedVault, scripted_vault
from tests.unit.vault.test_patience import settings_for, way_in

pytestmark = pytest.mark.anyio
NODE = "secret/rotator/node"
META = {"schema": "1", "lineage": "abc123", "fingerprint_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}


def nodes(vault: ScriptedVault) -> list[str]:
    return sorted(path for path, versions in vault.documents.items() if path.startswith(NODE) and versions)


@pytest.mark.parametrize("indexed", [False, True])
async def test_a_look_writes_nothing_whatever_the_server(indexed: bool, tmp_path: Path) -> None:
    """`rotate status` left a document for every pod that ever ran it."""
    with scripted_vault(indexed=indexed, documents={"secret/rotator/meta": [META]}) as vault:
        await look(settings_for(vault, tmp_path), Selection())
        assert nodes(vault) == []
        reads = [each for each in vault.heard if each.path.startswith("secret/data/rotator/meta")]
        assert [each.headers.get("X-Vault-Index") for each in reads] == (["index-0"] if indexed else [None])


@pytest.mark.parametrize(("indexed", "left"), [(False, []), (True, [f"{NODE}/{COMMANDS}"])])
async def test_commands_that_act_share_one_document_and_only_where_standbys_lag(
    indexed: bool, left: list[str], tmp_path: Path
) -> None:
    with scripted_vault(indexed=indexed) as vault:
        settings = settings_for(vault, tmp_path)
        for _ in range(2):
            async with acting(settings, Observers(settings)):
                pass
        assert nodes(vault) == left


async def test_a_token_that_we_were_given_tells_nothing_of_the_server_so_it_is_asked() -> None:
    with scripted_vault(indexed=True) as vault:
        place = VaultConnection(vault.address, instance=COMMANDS, reading=True)
        kv = Kv(Session(place, token(lambda: Secret("canary-given-8d2c")), QuickClock()))
        await kv.read(VaultPath("secret", "apps/x"), strong=True)
        assert nodes(vault) == [f"{NODE}/{COMMANDS}"]


async def test_daemons_that_are_gone_for_a_day_are_removed_by_any_other() -> None:
    now = datetime.now(UTC)
    dates = {
        "long-gone": now - GONE - timedelta(minutes=1),
        "late": now - GONE + timedelta(minutes=1),
        COMMANDS: now - 9 * GONE,
        "me": now - 9 * GONE,
    }
    with scripted_vault(documents={f"{NODE}/{name}": [{"seen": "x"}] for name in dates}) as vault:
        vault.dates = {f"{NODE}/{name}": date for name, date in dates.items()}
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        assert await remove_gone(kv) == ("long-gone",)
        assert nodes(vault) == sorted(f"{NODE}/{name}" for name in dates if name != "long-gone")


async def test_a_heartbeat_says_what_its_daemon_tells() -> None:
    with scripted_vault() as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        kv.tells["work"] = lambda: {"in_flight": ["bot"]}
        await kv.beat()
        (document,) = vault.documents[f"{NODE}/me"]
        assert document["in_flight"] == ["bot"]
        assert datetime.fromisoformat(document["seen"])


STRICT: list[dict[str, Any]] = [
    {"config": {"cas_required": True}},
    {"metadata": {f"{NODE}/me": {"cas_required": True}}},
]


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("strict", STRICT, ids=["mount", "key"])
async def test_a_heartbeat_carries_check_and_set_where_it_is_demanded(indexed: bool, strict: dict[str, Any]) -> None:
    """A mount with `cas_required` was refused, although every other write carries it anyway."""
    with scripted_vault(indexed=indexed, documents={f"{NODE}/me": [{"seen": "x"}]}, **strict) as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        for _ in range(3):
            await kv.beat()
        assert len(vault.documents[f"{NODE}/me"]) == 4
        beats = [each.body for each in vault.heard if each.path.endswith("node/me") and each.body]
        sent = [(body.get("options") or {}).get("cas") for body in beats]
        assert sent == [None, 0, 1, 2, 3]
        assert (await kv.read(VaultPath("secret", "apps/x"), strong=True)).version == 0


async def test_commands_that_beat_at_once_where_check_and_set_is_demanded_all_get_through() -> None:
    with scripted_vault(indexed=True, config={"cas_required": True}) as vault:
        place = VaultConnection(vault.address, instance=COMMANDS)
        commands = [Kv(Session(place, way_in(), QuickClock())) for _ in range(4)]
        async with anyio.create_task_group() as group:
            for kv in commands:
                group.start_soon(kv.barrier)
        assert len(vault.documents[f"{NODE}/{COMMANDS}"]) == 4


async def test_a_heartbeat_that_never_gets_its_turn_says_so() -> None:
    lost = (400, {"errors": ["check-and-set parameter did not match the current version"]})
    with scripted_vault(
        config={"cas_required": True}, rules=[lambda heard: lost if "/node/" in heard.path and heard.body else None]
    ) as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        with pytest.raises(Transient, match="rotator/node/me is written by others all the time"):
            await kv.beat()


@pytest.mark.parametrize("strict", [False, True])
async def test_a_heartbeat_that_lands_in_an_older_vault_is_noticed(strict: bool) -> None:
    with scripted_vault(config={"cas_required": strict}) as vault:
        place = VaultConnection(vault.address, instance="host-a")
        kv, told = Kv(Session(place, token(lambda: Secret("canary-given-8d2d")), QuickClock())), []
        kv.went_back = lambda: told.append(len(vault.documents[f"{NODE}/host-a"]))
        for _ in range(3):
            await kv.beat()
        assert told == []
        del vault.documents[f"{NODE}/host-a"][1:]
        for _ in range(3):
            await kv.beat()
        assert told == [2]


async def test_a_daemon_reads_what_the_others_told() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    told = {
        "busy": {"in_flight": ["bot", 7], "only_looks": "true"},
        "idle": {"seen": "x", "in_flight": "no list"},
        COMMANDS: {"seen": "x"},
    }
    with scripted_vault(documents={f"{NODE}/{name}": [values] for name, values in told.items()}) as vault:
        vault.dates = {f"{NODE}/{name}": now for name in told}
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        found, at = await heartbeats(kv)
        assert sorted(found, key=lambda each: each.instance) == [
            Heartbeat("busy", now, ("bot",), only_looks=True),
            Heartbeat("idle", now),
        ]
        assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
