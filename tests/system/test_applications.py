"""API keys, client secrets and key pairs of HaloITSM applications on a real OpenBao, through the whole app."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from rotator.app.composition import Actor, acting
from rotator.commands.check import check
from rotator.commands.targets import find_targets
from rotator.engine.context import SuppliedValue
from rotator.engine.reconciler import Transition
from rotator.observe.observers import Observers
from rotator.ports import Accepted
from rotator.rotation import events as ev
from rotator.rotation.messages import describe
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.secret import Secret
from rotator.settings import load
from rotator.vault.fitness import FindingLevel
from tests.sandbox.halo_itsm import HaloItsm
from tests.sandbox.itsm.applications import Application, digest
from tests.sandbox.openbao import OpenBao, OpenBaoError
from tests.unit.providers.keys import public_pem, rsa_key

pytestmark = [pytest.mark.anyio, pytest.mark.system]

SECRET = "canary-application-secret-b3"
SETTINGS = """
[vault]
address = "{vault}"
mount = "{mount}"
[vault.auth]
method = "token"
token = {{file = "{folder}/vault-token"}}

[targets.desk]
kind = "oauth"
url = "{desk}"
tenant = "acme"
calls = 1000
settle = "1s"
manage_applications = {manage}
management = {{client_id = "{chief}", client_secret = {{file = "{folder}/client-secret"}}}}

[credentials.crm]
target = "desk"
path = "apps/crm/desk"
application = "{crm_id}"
client_id = "{crm}"
scopes = ["all"]
every = "30d"
{more}
"""
KEY = 'kind = "halo-api-key"\nretire = {after = "0s"}\n'
ONE = 'kind = "halo-client-secret"\n'
PAIR = 'kind = "halo-assertion-key"\nbits = 2048\nclient_secret = {file = "FOLDER/client-secret"}\n'
TRANSIT = f'{PAIR}transit_key = "TRANSIT/crm"\n'
TWO = ONE + 'second_application = "SPARE_ID"\nsecond_client_id = "SPARE"\nretire = {after = "0s"}\n'


@dataclass
class Desk:
    """The app at work, and the truth about the service desk."""

    app: Actor
    itsm: HaloItsm
    crm: Application
    spare: Application
    bao: OpenBao
    mount: str
    transition: list[Transition] = field(default_factory=list)

    async def rotate(self) -> dict[str, Any]:
        """One rotation to its end, or until a person is needed; what is published then."""
        await self.reconcile(RotationRequest(self.app.clock.now(), "ada"))
        await self.until("settled", "awaiting", "held")
        return self.published()

    async def until(self, *phases: str) -> None:
        """Visit as the daemon would, until the record says one of these."""
        with anyio.fail_after(20):
            while self.record()["phase"] not in phases:
                await anyio.sleep(0.3)
                await self.reconcile()

    async def reconcile(self, ask: RotationRequest | None = None, supplied: SuppliedValue | None = None) -> None:
        """What the daemon would do now."""
        known = self.app.settings.credentials["crm"]
        credential = replace(known, limits=replace(known.limits, poll=timedelta(milliseconds=100)))
        await self.app.worker_pool.guard.reconciler.reconcile(
            credential, self.app.dependencies(credential), ask, supplied
        )

    def published(self) -> dict[str, Any]:
        return dict(self.bao.call("GET", f"{self.mount}/data/apps/crm/desk")["data"]["data"])

    def record(self) -> dict[str, Any]:
        return dict(self.bao.call("GET", f"{self.mount}/data/rotator/journal/crm")["data"]["data"])

    def events(self, kind: Any) -> list[Any]:
        return [each.event for each in self.transition if isinstance(each.event, kind)]


@asynccontextmanager
async def desk(bao: OpenBao, mount: str, folder: Path, more: str, manage: str = "true") -> AsyncIterator[Desk]:
    async with HaloItsm("halo", tenant="acme", calls=0).running() as itsm:
        key = public_pem(rsa_key()) if "assertion-key" in more else ""
        crm = itsm.model.add_application("crm", secret=Secret(SECRET), public_key=key)
        spare = itsm.model.add_application("spare", secret=Secret(SECRET), public_key=key)
        chief = itsm.model.add_application("chief", secret=Secret(SECRET))
        for name, value in (("vault-token", bao.root.reveal()), ("client-secret", SECRET)):
            (folder / name).touch(0o600)
            (folder / name).write_text(value)
        transit = f"transit-{mount}"
        if "TRANSIT" in more:
            bao.call("POST", f"sys/mounts/{transit}", {"type": "transit"})
            bao.call("POST", f"{transit}/keys/crm", {"type": "rsa-2048"})
        for word, value in (
            ("FOLDER", str(folder)),
            ("TRANSIT", transit),
            ("SPARE_ID", spare.id),
            ("SPARE", spare.client_id),
        ):
            more = more.replace(word, value)
        path = folder / "rotator.toml"
        ids = {"crm": crm.client_id, "crm_id": crm.id, "chief": chief.client_id}
        text = SETTINGS.format(
            vault=bao.address, mount=mount, folder=folder, desk=itsm.url, manage=manage, more=more, **ids
        )
        path.write_text(text)
        transition: list[Transition] = []
        settings = load(path)
        observers = Observers(settings)
        observers.add([transition.append])
        async with acting(settings, observers) as app:
            yield Desk(app, itsm, crm, spare, bao, mount, transition)


async def test_api_keys_take_turns_in_two_slots_and_the_old_one_is_proven_dead(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path, KEY) as world:
        first = await world.rotate()
        assert world.itsm.model.accepts_key(Secret(first["api_key"]))
        second = await world.rotate()
        assert not world.itsm.model.accepts_key(Secret(first["api_key"]))
        assert world.itsm.model.accepts_key(Secret(second["api_key"]))
        assert first["provider_id"].split("/")[:2] != second["provider_id"].split("/")[:2]
        assert second["expires_at"]
        (retired,) = world.events(ev.Retired)
        assert "its value is refused" in retired.proof


@pytest.mark.parametrize(("more", "key"), [(ONE, "client_secret"), (PAIR, "private_key"), (TRANSIT, "public_key")])
async def test_one_slot_is_cut_over_and_the_window_is_told(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with desk(openbao, mount, tmp_path, more) as world:
        first = await world.rotate()
        assert "client_id" in first
        assert {"kid", "algorithm", "token_url"} <= set(first) or key == "client_secret"
        second = await world.rotate()
        assert first[key] != second[key]
        assert first.get("kid") != second.get("kid") or key == "client_secret"
        assert world.record()["phase"] == "settled"
        assert first[key] not in json.dumps(world.record())
        window = [each for each in world.transition if isinstance(each.event, ev.Published)][-1]
        seconds = float(str(describe(window.before, window.event, window.after).fields["disagreed_seconds"]))
        with capsys.disabled():
            print(f"\n{key}: what was published was refused for {seconds * 1000:.0f} ms")  # noqa: T201 (a measurement)
        assert 0 < seconds < 10
        (retired,) = world.events(ev.Retired)
        assert "its value is refused" in retired.proof


@pytest.mark.parametrize(("more", "key"), [(ONE, "client_secret"), (PAIR, "private_key"), (TRANSIT, "public_key")])
async def test_a_value_that_fails_its_proof_is_taken_back_and_the_old_one_is_accepted_again(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str, key: str
) -> None:
    limits = "limits = {mints_per_rotation = 1, mints_per_day = 6}\n"
    async with desk(openbao, mount, tmp_path, more + limits) as world:
        first = await world.rotate()
        world.itsm.faults.add("status", status=403, method="GET", path="/api/Agent/me")  # of the new value only
        assert await world.rotate() == first
        assert [type(each).__name__ for each in world.events(ev.CandidateRejected | ev.Burned)] == [
            "CandidateRejected",
            "Burned",
        ]
        assert len(world.events(ev.Installed)) == 2  # the first value, and the one that failed
        provider = world.app.dependencies(world.app.settings.credentials["crm"]).provider
        token = world.transition[-1].after.current.token
        assert await provider.verify(token, Secret(first[key])) == Accepted()
        assert (await world.rotate())[key] != first[key]


async def test_two_applications_take_turns_and_the_client_id_goes_with_the_value(
    openbao: OpenBao, mount: str, tmp_path: Path
) -> None:
    async with desk(openbao, mount, tmp_path, TWO) as world:
        seen = []
        for _ in range(3):
            published = await world.rotate()
            seen.append(published["client_id"])
        assert seen == [world.spare.client_id, world.crm.client_id, world.spare.client_id]
        assert (world.crm.inactive, world.spare.inactive) == (True, False)
        assert world.itsm.model.accepts_secret(world.spare, Secret(published["client_secret"]))


@pytest.mark.parametrize(("more", "key"), [(PAIR, "private_key"), (TRANSIT, "public_key")])
async def test_without_the_api_a_person_pastes_the_key_and_the_daemon_goes_on_by_itself(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.rotation.decide._PERSON", timedelta(milliseconds=100))
    async with desk(openbao, mount, tmp_path, more, manage="false") as world:
        with pytest.raises(OpenBaoError, match="404"):  # nothing is published yet
            await world.rotate()
        record = world.record()
        assert record["phase"] == "awaiting"
        pem = re.search(r"-----BEGIN PUBLIC KEY-----.*-----END PUBLIC KEY-----", record["awaiting"], re.S)
        assert pem
        assert "View Applications" in record["awaiting"]
        await anyio.sleep(0.2)
        await world.reconcile()
        assert world.record()["phase"] == "awaiting"
        world.crm.public_key = pem[0]
        await world.until("settled")
        assert world.published()[key]
        assert world.record()["phase"] == "settled"


@pytest.mark.parametrize("more", [KEY, ONE, PAIR, TRANSIT, TWO])
async def test_check_reads_the_applications_and_changes_nothing(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str
) -> None:
    async with desk(openbao, mount, tmp_path, more) as world:
        rows = [row async for row in check(world.app.settings)]
        ours = [row for row in rows if row.subject.startswith(("target", "credential"))]
        assert [row for row in ours if row.level is FindingLevel.REFUSAL] == []
        assert any("hard cut-over" in row.text for row in ours) == (more in (ONE, PAIR, TRANSIT))
        assert world.crm.changes == world.spare.changes == 0


async def test_targets_lists_the_applications_and_shows_no_secret(openbao: OpenBao, mount: str, tmp_path: Path) -> None:
    async with desk(openbao, mount, tmp_path, KEY, manage="false") as world:
        key = (await office_key(world)).reveal()
        world.spare.system = True
        (row,) = (await find_targets(world.app, {"name": ""})).targets
        assert (row.name, row.credentials, row.reachable) == ("desk", 1, True)
        (table,) = (await find_targets(world.app, {"name": "desk"})).tables
        crm, spare, chief = table.rows
        assert (crm["id"], crm["client_id"], crm["name"]) == (world.crm.id, world.crm.client_id, "crm")
        assert (crm["filled"], crm["roles"]) == (("API key 1",), ("sys-all-permissions",))
        assert [each["system"] for each in table.rows] == [False, True, False]
        assert ("never touched" in str(spare["note"]), "management" in str(chief["note"])) == (True, True)
        assert table.settings == f'application = "{world.crm.id}"\nclient_id = "{world.crm.client_id}"'
        assert not {key, SECRET} & set(re.findall(r"[\w-]+", repr(table)))
        assert world.crm.changes == 0


async def office_key(world: Desk) -> Secret:
    """A key that somebody made there."""
    value = Secret("canary-a-key-of-theirs")
    world.crm.slots[0].put(value.reveal(), world.itsm.model.clock(), 90)
    return value


@pytest.mark.parametrize(("more", "key"), [(KEY, "api_key"), (TWO, "client_secret")])
async def test_where_values_overlap_a_failed_proof_ends_the_new_one_and_never_touches_the_old(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str, key: str
) -> None:
    async with desk(openbao, mount, tmp_path, more) as world:
        first = await world.rotate()
        # The first proof is of what is published: a rotation begins with it.
        world.itsm.faults.add("status", status=403, method="GET", path="/api/Agent/me", skip=1)
        second = await world.rotate()
        assert [type(each).__name__ for each in world.events(ev.CandidateRejected | ev.Burned)] == [
            "CandidateRejected",
            "Burned",
        ]
        failed = world.events(ev.Burned)[0].tokens[0]
        assert second["provider_id"].split("/")[:2] == failed.split("/")[:2]  # its slot is free again at once
        assert first[key] != second[key]
        assert world.record()["phase"] == "settled"


def _system(world: Desk) -> None:
    world.crm.system = True


def _too_weak(world: Desk) -> None:
    next(each for each in world.itsm.model.applications.values() if each.name == "chief").roles = ()


def _unknown_chief(world: Desk) -> None:
    next(each for each in world.itsm.model.applications.values() if each.name == "chief").secret = "other"


def _missing(world: Desk) -> None:
    world.itsm.model.applications.pop(world.crm.id)


def _unreachable(world: Desk) -> None:
    world.itsm.faults.add("status", status=503, path="/api/Application/*", times=None)


def _useless_token(world: Desk) -> None:
    world.itsm.faults.add("status", status=401, path="/api/Application/*", times=None)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (_system, "those are never touched"),
        (_too_weak, "signed in, but too weak"),
        (_unknown_chief, "the management application: the token endpoint answers 401: invalid_client"),
        (_missing, "answers 404 to a look at application"),
        (_unreachable, "503, outcome unknown"),
        (_useless_token, "the scopes in `management` open nothing there"),
    ],
)
async def test_check_says_in_words_what_is_wrong_with_the_application_api(
    openbao: OpenBao, mount: str, tmp_path: Path, trouble: Callable[[Desk], None], words: str
) -> None:
    async with desk(openbao, mount, tmp_path, ONE) as world:
        trouble(world)
        rows = [row async for row in check(world.app.settings) if row.level is FindingLevel.REFUSAL]
        assert any(words in row.text and row.remedy for row in rows), rows


@pytest.mark.parametrize(("more", "key"), [(KEY, "api_key"), (ONE, "client_secret")])
async def test_without_the_api_a_person_brings_the_value_and_it_is_proven_before_it_is_published(
    openbao: OpenBao, mount: str, tmp_path: Path, more: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotator.rotation.decide._PERSON", timedelta(milliseconds=100))
    async with desk(openbao, mount, tmp_path, more, manage="false") as world:
        with pytest.raises(OpenBaoError, match="404"):  # nothing is published yet
            await world.rotate()
        assert world.record()["phase"] == "awaiting"
        assert "press Generate" in world.record()["awaiting"]
        for number in (1, 2):
            value = Secret(f"canary-brought-by-hand-{number}")
            if key == "api_key":
                world.crm.slots[number - 1].put(value.reveal(), world.itsm.model.clock(), 90)
            else:
                world.crm.secret = digest(value.reveal())
            await world.reconcile(RotationRequest(world.app.clock.now(), "ada"), SuppliedValue(value))
            await world.until("settled", "condemned")
            assert Secret(world.published()[key]).matches(value)
        if key == "api_key":  # the old one is ended by the person, too, and that is seen
            assert "still accepted" in json.dumps(world.record())
            assert len(world.record()["unended"]) == 1
            world.crm.slots[0].put("canary-discarded", world.itsm.model.clock(), 90)
            with anyio.fail_after(20):
                while not world.events(ev.Ended):
                    await world.reconcile()
        assert world.events(ev.Ended if key == "api_key" else ev.Retired)
