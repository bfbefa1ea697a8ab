"""What the pre-flight sees on a real OpenBao."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from rotator.host.cron import SystemClock
from rotator.rotation.credential import VaultPath
from rotator.rotation.secret import Secret
from rotator.vault.fitness import Finding, FindingLevel
from rotator.vault.kv import Kv
from rotator.vault.login import approle
from rotator.vault.preflight import preflight
from tests.sandbox.openbao import OpenBao
from tests.unit.vault.worlds import canary, kv_on, session_on

pytestmark = [pytest.mark.anyio, pytest.mark.system]
POLICY = (Path(__file__).parents[3] / "config" / "vault" / "rotator.hcl").read_text()
MONTH = timedelta(days=31)


async def look(kv: Kv, *consumers: VaultPath, needed: timedelta = MONTH) -> tuple[Finding, ...]:
    found = await preflight(kv, consumers, needed)
    await kv.session.close()
    return found


def refusals(found: tuple[Finding, ...]) -> list[str]:
    return [f"{finding.subject}: {finding.text}" for finding in found if finding.level is FindingLevel.REFUSAL]


async def test_a_sound_vault_has_nothing_but_ok(openbao: OpenBao, mount: str) -> None:
    openbao.call("POST", f"{mount}/data/apps/blog/halo", {"data": {"token": canary("pre")}})
    found = await look(kv_on(openbao, mount), VaultPath(mount, "apps/blog/halo"))
    assert [(each.level, each.subject) for each in found if each.level is not FindingLevel.OK] == [
        (FindingLevel.WARNING, "policy")
    ]
    assert any("root token" in each.text for each in found)
    assert {finding.subject for finding in found} == {
        "login", f"mount {mount}", "heartbeat", f"path {mount}/apps/blog/halo", "policy",
    }  # fmt: skip


async def test_the_shipped_policy_leaves_nothing_unchecked(openbao: OpenBao, mount: str) -> None:
    role = openbao.approle(f"preflight-{mount}", POLICY.replace('"secret/', f'"{mount}/'))
    session = session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id))
    found = await look(Kv(session), VaultPath(mount, "apps/blog/halo"))
    assert {finding.level for finding in found} == {FindingLevel.OK}


async def test_a_leaner_policy_leaves_notes_and_no_refusals(openbao: OpenBao, mount: str) -> None:
    beyond = ("secret/config", "secret/metadata/apps", "sys/capabilities-self")
    lean = "\n".join(line for line in POLICY.splitlines() if not any(path in line for path in beyond))
    role = openbao.approle(f"preflight-{mount}", lean.replace('"secret/', f'"{mount}/'))
    session = session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id))
    found = await look(Kv(session), VaultPath(mount, "apps/blog/halo"))
    assert refusals(found) == []
    notes = [finding for finding in found if finding.level is FindingLevel.NOTE]
    assert {finding.subject for finding in notes} == {f"mount {mount}", f"path {mount}/apps/blog/halo", "policy"}
    assert all("with this policy" in finding.text for finding in notes)


async def test_a_login_that_fails_is_the_only_finding(openbao: OpenBao) -> None:
    found = await look(kv_on(openbao, "secret", login=approle(lambda: canary("role"), lambda: canary("id"))))
    assert [(finding.level, finding.subject) for finding in found] == [(FindingLevel.REFUSAL, "login")]


async def test_a_version_1_engine_is_refused_with_its_remedy(openbao: OpenBao) -> None:
    mount = openbao.enable_kv("pre-one", version=1)
    found = await look(kv_on(openbao, mount))
    assert "version 1" in refusals(found)[0]
    assert any("enable-versioning" in finding.remedy for finding in found)


async def test_a_mount_that_is_missing_and_one_of_another_kind_are_refused(openbao: OpenBao, mount: str) -> None:
    found = await look(kv_on(openbao, mount), VaultPath("nowhere", "a"), VaultPath("cubbyhole", "a"))
    assert any("mount nowhere" in words for words in refusals(found))
    assert any("cubbyhole engine" in words for words in refusals(found))


async def test_a_limit_of_our_own_mount_is_refused_however_far_off(openbao: OpenBao) -> None:
    """After a year the document that is written once was gone, and nothing started again."""
    mount = openbao.enable_kv("pre-own", delete_version_after="87600h")
    assert any("needed for ever" in word for word in refusals(await look(kv_on(openbao, mount))))


@pytest.mark.parametrize(("limit", "refused"), [("720h", True), ("0s", False), ("800h", False), ("1h30m", True)])
async def test_a_mount_whose_versions_vanish_too_early_is_refused(openbao: OpenBao, limit: str, refused: bool) -> None:
    """The mount of published values; our own documents are needed for ever."""
    mount, own = openbao.enable_kv(f"pre-life-{limit}", delete_version_after=limit), openbao.enable_kv(f"own-{limit}")
    words = refusals(await look(kv_on(openbao, own), VaultPath(mount, "apps/x")))
    assert any("vanish" in word for word in words) is refused


async def test_a_key_whose_versions_vanish_too_early_is_refused(openbao: OpenBao, mount: str) -> None:
    openbao.call("POST", f"{mount}/metadata/apps/a", {"delete_version_after": "24h"})
    words = refusals(await look(kv_on(openbao, mount), VaultPath(mount, "apps/a")))
    assert any("path" in word and "24h" in word for word in words)


@pytest.mark.parametrize(
    ("on_mount", "on_key", "refused"), [(0, 0, False), (1, 0, True), (2, 2, True), (2, 5, False), (5, 2, False)]
)
async def test_too_few_versions_are_refused_and_the_larger_limit_counts(
    openbao: OpenBao, mount: str, on_mount: int, on_key: int, refused: bool
) -> None:
    openbao.call("POST", f"{mount}/config", {"max_versions": on_mount})
    openbao.call("POST", f"{mount}/metadata/apps/a", {"max_versions": on_key})
    words = refusals(await look(kv_on(openbao, mount), VaultPath(mount, "apps/a")))
    assert any("version(s) are kept" in word for word in words) is refused


async def test_a_policy_that_lacks_rights_is_refused_by_path_and_right(openbao: OpenBao, mount: str) -> None:
    lacking = POLICY.replace('"secret/', f'"{mount}/').replace("apps/+/halo", "other/+/halo")
    lacking += 'path "sys/capabilities-self" { capabilities = ["update"] }'
    role = openbao.approle(f"lacking-{mount}", lacking)
    session = session_on(openbao, mount, approle(lambda: Secret(role.role_id), lambda: role.secret_id))
    words = refusals(await look(Kv(session), VaultPath(mount, "apps/blog/halo")))
    assert words == [f"{mount}/data/apps/blog/halo: our policy lacks create, read, update"]


async def test_a_clock_that_differs_from_vaults_is_a_warning(openbao: OpenBao, mount: str) -> None:
    class Late(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(minutes=5)

    found = await look(kv_on(openbao, mount, clock=Late()))
    assert [finding.subject for finding in found if finding.level is FindingLevel.WARNING] == [
        "clock",
        "policy",
    ]  # a root token


async def test_everything_may_lie_in_mounts_that_demand_check_and_set(openbao: OpenBao) -> None:
    own, apps = (openbao.enable_kv(f"pre-strict-{each}", cas_required=True) for each in ("own", "apps"))
    for _ in range(2):  # the second finds a heartbeat that is there
        assert not refusals(await look(kv_on(openbao, own), VaultPath(apps, "apps/a")))


def no_secret_in(found: tuple[Finding, ...], *secrets: Callable[[], str]) -> bool:
    return not any(secret() in repr(found) for secret in secrets)


async def test_findings_hold_no_secret(openbao: OpenBao, mount: str) -> None:
    openbao.call("POST", f"{mount}/data/apps/a", {"data": {"token": canary("pre")}})
    found = await look(kv_on(openbao, mount), VaultPath(mount, "apps/a"))
    assert no_secret_in(found, openbao.root.reveal, canary("pre").reveal)


async def test_rights_in_transit_are_looked_for_and_each_one_that_is_missing_is_told(
    openbao: OpenBao, mount: str
) -> None:
    rights = {"transit/keys/crm": frozenset({"read"}), "transit/keys/crm/rotate": frozenset({"update"})}
    lines = [f'path "{path}" {{ capabilities = ["{next(iter(words))}"] }}' for path, words in rights.items()]
    for given, refused in ((lines, []), (lines[:1], ["transit/keys/crm/rotate: our policy lacks update"])):
        role = openbao.approle(f"preflight-{mount}", POLICY.replace('"secret/', f'"{mount}/') + "\n".join(given))
        login = approle(lambda role=role: Secret(role.role_id), lambda role=role: role.secret_id)
        kv = Kv(session_on(openbao, mount, login))
        found = await preflight(kv, [VaultPath(mount, "apps/blog/halo")], MONTH, rights)
        await kv.session.close()
        assert refusals(found) == refused
