"""Limits of mounts and keys that let documents vanish: refused before any work, and outlived where that can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner

from rotator.cli import rotate
from rotator.ports import Entry, Lease, Refused, Transient
from rotator.rotation.credential import Pause, VaultPath
from rotator.rotation.pause import FleetPause
from rotator.rotation.record import Phase, Record
from rotator.vault.fitness import FindingLevel, fitness
from rotator.vault.journal import VaultJournal
from rotator.vault.kv import Kv
from rotator.vault.session import Session
from rotator.vault.shared_documents import VaultFleet
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.unit.engine.world import World
from tests.unit.vault.scripted import ScriptedVault, scripted_vault
from tests.unit.vault.test_nodes import META
from tests.unit.vault.test_patience import settings_for, way_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RECORD = "secret/rotator/journal/bot"
CREDENTIAL = """
[targets.blog]
kind = "halo-cms"
url = "http://127.0.0.1:9"
minter = {pat = {vault = "secret/minters/blog#token"}}
username = "somebody"
[credentials.bot]
target = "blog"
path = "apps/bot"
every = "1d"
lifetime = "30d"
"""


def run(vault: ScriptedVault, folder: Path, *words: str, more: str = "") -> tuple[int, str]:
    path = settings_for(vault, folder).files[0]
    path.write_text(path.read_text() + CREDENTIAL + more)
    ended = CliRunner().invoke(rotate, ["-c", str(path), *words])
    return ended.exit_code, ended.output


@pytest.mark.parametrize("words", [("now", "bot"), ("due",)])
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"delete_version_after": "8760h0m0s"}, "written once and needed for ever"),
        ({"delete_version_after": "20s"}, "written once and needed for ever"),
        ({"max_versions": 1}, "only 1 version(s) are kept"),
    ],
)
def test_a_command_does_not_begin_on_a_mount_that_cannot_hold_it(
    words: tuple[str, ...], limits: dict[str, object], said: str, tmp_path: Path
) -> None:
    """Consumers got 404 after 25 seconds, and after a year nothing started again; `now` ended with 0."""
    with scripted_vault(config=limits) as vault:
        vault.documents["secret/apps/bot"] = [{"token": "x"}]
        code, told = run(vault, tmp_path, *words)
        assert code == 1
        assert "Vault is not fit" in told
        assert said in told
        assert not [path for path in vault.documents if "journal" in path and vault.documents[path]]


def journal_on(vault: ScriptedVault) -> VaultJournal:
    kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
    return VaultJournal(kv, "secret", "rotator")


@pytest.mark.anyio
async def test_an_installation_that_would_vanish_is_refused_with_the_way_to_keep_it() -> None:
    with scripted_vault(documents={"secret/rotator/meta": [META]}) as vault:
        vault.deletions["secret/rotator/meta"] = NOW + HOUR
        with pytest.raises(
            Refused, match=r"vanishes at 2026-03-01 13:00:00Z.*bao kv undelete -mount=secret -versions=1"
        ):
            await journal_on(vault).meta()


@pytest.mark.parametrize("words", [("now", "bot"), ("due",), ("check",)])
def test_a_value_must_not_vanish_before_it_ends(words: tuple[str, ...], tmp_path: Path) -> None:
    """A day for a value that is rotated daily and lives for thirty: each hour without its target was a 404."""
    with scripted_vault(documents={"secret/rotator/meta": [META]}) as vault:
        vault.metadata["secret/apps/bot"] = {"delete_version_after": "719h0m0s"}
        code, told = run(vault, tmp_path, *words)
        assert code == 1
        assert "719h0m0s (delete_version_after), before they may: 30 days, 0:00:00 is needed" in " ".join(told.split())


def newest(written: datetime, life: timedelta) -> dict[str, object]:
    """A key whose second version has an end."""
    told = {"created_time": written.isoformat(), "deletion_time": (written + life).isoformat(), "destroyed": False}
    return {"current_version": 2, "versions": {"1": {}, "2": told}}


@pytest.mark.parametrize("words", [("now", "bot"), ("due",), ("check",)])
def test_a_published_version_that_vanishes_too_early_is_refused_though_its_mount_was_mended(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    """A limit of a minute that somebody had set for an hour: `check` was content, and consumers got 404."""
    with scripted_vault(documents={"secret/rotator/meta": [META]}) as vault:
        vault.metadata["secret/apps/bot"] = newest(datetime.now(UTC), timedelta(days=29))
        code, told = run(vault, tmp_path, *words)
        assert code == 1
        assert "path secret/apps/bot: it vanishes at" in told
        assert "bao kv undelete -mount=secret -versions=2 apps/bot" in " ".join(told.split())


@pytest.mark.anyio
@pytest.mark.parametrize("life", [timedelta(), timedelta(days=31)], ids=["it is gone already", "it lasts long enough"])
async def test_a_published_version_that_was_deleted_or_lasts_is_none_that_vanishes_too_early(life: timedelta) -> None:
    with scripted_vault() as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        vault.metadata["secret/apps/bot"] = newest(kv.session.clock.now(), life)
        found = await fitness(kv, [VaultPath("secret", "apps/bot")], timedelta(days=30))
        assert not [each for each in found if each.level is FindingLevel.REFUSAL]


@pytest.mark.anyio
async def test_a_heartbeat_that_vanishes_shows_that_the_mount_was_limited() -> None:
    with scripted_vault() as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        await kv.beat()
        assert not kv.vanishing
        vault.config = {"delete_version_after": "1h0m0s"}
        await kv.beat()
        assert kv.vanishing


KEYS = """
[targets.crm]
kind = "oauth"
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
[credentials.pair]
kind = "assertion-key"
target = "crm"
client_id = "c"
path = "apps/pair"
every = "1d"
jwks = "secret/keys/pair"
jwks_cache = "1h"
"""


@pytest.mark.parametrize("words", [("now", "bot"), ("due",), ("check",)])
@pytest.mark.parametrize("path", ["rotator/fleet", "keys/pair"])
def test_a_document_that_its_own_key_would_let_vanish_stops_every_command(
    words: tuple[str, ...], path: str, tmp_path: Path
) -> None:
    """A key set, or a pause of the whole installation, was gone some day, without an event."""
    with scripted_vault(documents={"secret/rotator/meta": [META], f"secret/{path}": [{"schema": "1"}]}) as vault:
        vault.deletions[f"secret/{path}"] = NOW + HOUR
        code, told = run(vault, tmp_path, *words, more=KEYS)
        assert code == 1
        assert f"path secret/{path}" in told
        assert "2026-03-01 13:00:00Z" in told
        assert f"bao kv undelete -mount=secret -versions=1 {path}" in " ".join(told.split())


@pytest.mark.parametrize("words", [("now", "bot"), ("due",), ("check",)])
@pytest.mark.parametrize(
    ("written_for", "refused"), [(timedelta(days=29), True), (timedelta(days=30), False), (timedelta(days=60), False)]
)
def test_a_record_must_not_vanish_before_the_next_rotation_writes_it(
    written_for: timedelta, refused: bool, words: tuple[str, ...], tmp_path: Path
) -> None:
    """A daemon writes it anew in time; with timers alone it was gone, and `check` said nothing."""
    with scripted_vault(documents={"secret/rotator/meta": [META], RECORD: [{"schema": "1"}]}) as vault:
        vault.deletions[RECORD] = NOW + written_for
        code, told = run(vault, tmp_path, *words)
        told = " ".join(told.split())
        assert (f"path {RECORD}" in told and "needed for 30 days, 0:00:00 from when it is written" in told) is refused
        assert ("bao kv undelete -mount=secret -versions=1 rotator/journal/bot" in told) is refused
        assert code == 1 or not refused


@pytest.mark.anyio
async def test_a_record_that_vault_does_not_answer_for_says_nothing_of_its_limits() -> None:
    with scripted_vault(
        documents={RECORD: [{"schema": "1"}]}, stumbles={"secret/data/rotator/journal/": [(503, {"errors": []})] * 99}
    ) as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        with pytest.raises(Transient):
            await fitness(kv, [], HOUR, records={VaultPath("secret", "rotator/journal/bot"): HOUR})


@pytest.mark.anyio
async def test_looks_at_many_documents_leave_room_for_others_who_ask_vault() -> None:
    records = {VaultPath("secret", f"rotator/journal/{number}"): HOUR for number in range(300)}
    with scripted_vault() as vault:
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(fitness, kv, [], HOUR, records=records))
            while len(vault.heard) < 20:  # noqa: ASYNC110 (it listens in a thread)
                await anyio.sleep(0.001)
            await kv.read(VaultPath("secret", "apps/bot"))
            assert len(vault.heard) < 150
            group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_pause_of_all_that_would_end_by_itself_is_told_to_who_asked_for_it() -> None:
    with scripted_vault() as vault:
        vault.deletions["secret/rotator/fleet"] = NOW + HOUR
        kv = Kv(Session(VaultConnection(vault.address, instance="me"), way_in(), QuickClock()))
        fleet = VaultFleet(kv, "secret", "rotator")
        short = (FleetPause(Pause("me", NOW, until=NOW + HOUR / 2)),)
        assert await fleet.change(lambda _: short) == short
        paused = (FleetPause(Pause("me", NOW)),)
        with pytest.raises(Refused, match=r"done, but secret/rotator/fleet vanishes at 2026-03-01 13:00:00Z"):
            await fleet.change(lambda _: paused)
        assert await fleet.pauses() == paused
        assert await fleet.change(lambda _: ()) == ()


@pytest.mark.parametrize(
    ("written", "vanishes", "fading"),
    [(None, None, False), (HOUR, None, False), (HOUR, 2 * HOUR, False), (2 * HOUR, HOUR, True)],
)
def test_a_record_is_written_anew_when_half_of_its_time_is_over(
    written: timedelta | None, vanishes: timedelta | None, fading: bool
) -> None:
    entry = Entry(
        "bot",
        3,
        Record("l1"),
        written_at=NOW - written if written else None,
        vanishes_at=NOW + vanishes if vanishes else None,
    )
    assert entry.is_fading(NOW) is fading


@pytest.mark.anyio
async def test_a_settled_record_that_vault_would_delete_outlives_that() -> None:
    world = World()
    actor = world.actor()
    await actor.reconcile()
    before = await world.entry()
    assert before.record
    assert before.record.phase is Phase.SETTLED
    load = actor.journal.load

    async def limited(name: str) -> Entry:
        found, now = await load(name), world.clock.now()
        return Entry(name, found.version, found.record, found.lease, written_at=now - 2 * HOUR, vanishes_at=now + HOUR)

    actor.reconciler.journal.load = limited
    await actor.reconcile()
    after = await world.entry()
    assert after.version == before.version + 1
    assert after.record == before.record
    assert after.lease.holder == Lease().holder
