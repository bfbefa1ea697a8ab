"""A login waits for Vault as every other call does: for as long as the caller gives, and no longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rotator.app.composition import acting
from rotator.observe.observers import Observers
from rotator.ports import StoreRefused, Transient
from rotator.rotation.secret import Secret
from rotator.settings import Settings, load
from rotator.vault.login import Login, approle
from rotator.vault.session import READ_PATIENCE, Session
from rotator.vault.transport import VaultConnection
from tests.kit.clock import QuickClock
from tests.unit.vault.scripted import ScriptedVault, scripted_vault

pytestmark = pytest.mark.anyio
NO_VERDICTS = {
    "lags (412)": (412, {"errors": ["required index state not present"]}),
    "lags (429)": (429, {"errors": []}),
    "limits": (429, {"errors": ["rate limit quota exceeded"]}),
    "473": (473, {}),
    "500": (500, {"errors": ["internal error"]}),
    "sealed": (503, {"errors": ["Vault is sealed"]}),
}


def way_in() -> Login:
    return approle(lambda: Secret("a-role-id"), lambda: Secret("canary-secret-id-4e1d"))


def settings_for(vault: ScriptedVault, folder: Path) -> Settings:
    (folder / "secret-id").write_text("canary-secret-id-4e1d")
    (folder / "secret-id").chmod(0o600)
    path = folder / "rotator.toml"
    path.write_text(f"""
[vault]
address = "{vault.address}"
[vault.auth]
method = "approle"
role_id = "a-role-id"
secret_id = {{ file = "{folder / "secret-id"}" }}
""")
    return load(str(path))


@pytest.mark.parametrize("said", NO_VERDICTS)
async def test_a_login_without_a_verdict_is_tried_again(said: str) -> None:
    with scripted_vault(stumbles={"auth/approle/login": [NO_VERDICTS[said]] * 2}) as vault:
        session = Session(VaultConnection(vault.address), way_in(), QuickClock())
        await session.open()
        assert vault.paths().count("auth/approle/login") == 3
        await session.close()


async def test_a_login_that_is_refused_is_not_tried_again() -> None:
    refused = (400, {"errors": ["invalid role or secret ID"]})
    with scripted_vault(stumbles={"auth/approle/login": [refused] * 2}) as vault:
        session = Session(VaultConnection(vault.address), way_in(), QuickClock())
        with pytest.raises(StoreRefused):
            await session.open()
        assert vault.paths().count("auth/approle/login") == 1


async def test_a_pause_that_vault_asks_for_is_kept_by_everybody_who_wants_in() -> None:
    slow = (429, {"errors": ["rate limit quota exceeded"]}, {"Retry-After": "2"})
    clock = QuickClock()
    with scripted_vault(stumbles={"auth/approle/login": [slow]}) as vault:
        session = Session(VaultConnection(vault.address), way_in(), clock)
        with pytest.raises(Transient):
            await session.open(patience=0.5)
        with pytest.raises(Transient) as caught:
            await session.ask(lambda client: client.adapter.get("/v1/secret/data/x"))
        assert caught.value.retry_after == pytest.approx(2, abs=0.5)
        assert vault.paths().count("auth/approle/login") == 1
        clock.ahead += 2
        await session.open()


@pytest.mark.parametrize(("sealed", "within"), [(8, 60.0), (8, READ_PATIENCE)])
async def test_a_command_waits_for_a_sealed_vault_as_long_as_its_caller_gives(
    sealed: int, within: float, tmp_path: Path
) -> None:
    """`now`, `due` and `revoke` ended at once with 75, whatever `--within` said."""
    told: list[str] = []
    with scripted_vault(stumbles={"auth/approle/login": [NO_VERDICTS["sealed"]] * sealed}) as vault:
        settings = settings_for(vault, tmp_path)
        opening: Any = acting(settings, Observers(settings), within=within, missed=told.append, clock=QuickClock())
        if within == READ_PATIENCE:
            with pytest.raises(Transient, match="sealed"):
                await opening.__aenter__()
        else:
            async with opening as app:
                assert app.installation.lineage
    assert told == ["Vault is sealed, stopped or overloaded (503)"]
