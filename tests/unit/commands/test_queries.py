"""Whoever looks asks a running daemon, which has observed more than the journal says, and reads the journal without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from rotator.app.control import Control
from rotator.commands import status
from rotator.commands.snapshot import Selection, WrongSelection, asked
from rotator.ports import Entry, Lease, Refused, Transient
from rotator.rotation.credential import VaultPath
from rotator.rotation.credential_state import Headline
from rotator.rotation.operator_request import OperatorRequest, RequestVerb
from rotator.rotation.record import Phase
from rotator.settings import DaemonConfig, Method, Settings, VaultAuth, VaultConfig
from tests.kit.clock import HandClock
from tests.kit.fleet import FakeView, fleet, named, settled
from tests.unit.rotation.builders import HOUR, MINUTE, NOW, record

pytestmark = pytest.mark.anyio
LEAK = OperatorRequest("w1", RequestVerb.ROTATE, NOW, "ada", emergency=True, live=("t1.1",))
BLOG, SHOP = named("blog"), named("shop")


class Journal:
    """Entries, or what stands in their way."""

    def __init__(self, **entries: Entry | Exception) -> None:
        self.entries = entries

    async def load(self, name: str) -> Entry:
        found = self.entries[name]
        if isinstance(found, Exception):
            raise found
        return found

    async def names(self) -> tuple[str, ...]:
        return tuple(self.entries)


class Requests:
    """What operators asked for: of `blog`, and of a credential that left the settings."""

    expected = frozenset({"blog", "gone"})

    async def look(self) -> frozenset[str]:
        return self.expected

    async def waiting(self, name: str) -> tuple[OperatorRequest, ...]:
        return (LEAK,) if name in self.expected else ()


def entry(name: str, holder: str = "", **changes: Any) -> Entry:
    known = replace(settled(**changes), current=None) if changes.pop("bare", False) else settled(**changes)
    current = known.current and replace(known.current, place=VaultPath("secret", f"apps/{name}"))
    return Entry(name, 1, replace(known, current=current), Lease(holder=holder))


def settings(path: Path, **more: Any) -> Settings:
    vault = VaultConfig("https://vault.test", VaultAuth(Method.TOKEN, ""), **more)
    wanted = Settings(vault, DaemonConfig("host-a", socket=str(path)))
    return replace(wanted, credentials={"blog": BLOG, "shop": SHOP})


KV = SimpleNamespace(session=SimpleNamespace(login_end=None))  # of a login whose end nobody tells


@asynccontextmanager
async def daemon(wanted: Settings, view: FakeView, journal: Journal) -> AsyncIterator[None]:
    """As much of a daemon as answers who looks."""
    app: Any = SimpleNamespace(settings=wanted, journal=journal, clock=HandClock(NOW), kv=KV, requests=Requests())
    verbs = status.verbs(app, view)
    door = Control(wanted.daemon.socket, verbs, lambda *_: None, lambda verb, bug: pytest.fail(f"{verb}: {bug!r}"))
    async with anyio.create_task_group() as group:
        await group.start(door.serve)
        yield
        group.cancel_scope.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def observing() -> FakeView:
    _, view, _ = fleet((BLOG, settled()), (SHOP, record(Phase.STAGED, requested_at=NOW)))
    view.accepted = {"blog": NOW - MINUTE}
    view.doubted = {"shop": NOW}
    return view


async def test_a_daemon_tells_what_it_observed_beside_what_the_journal_says_now(path: Path) -> None:
    wanted = settings(path)
    journal = Journal(blog=entry("blog", holder="host-b/1/x"), shop=entry("shop"))
    async with daemon(wanted, observing(), journal):
        seen = await status.look(wanted, Selection())
        assert [(each.name, each.word) for each in seen.states] == [
            ("blog", Headline.SETTLED),
            ("shop", Headline.DOUBTED),
        ]
        assert (seen.states[0].accepted_at, seen.states[0].holder) == (NOW - MINUTE, "host-b/1/x")
        assert (seen.at, seen.stale) == (NOW, "")
        assert [each.asked for each in seen.states] == [str(LEAK), ""]
        assert [(each.credential, each.request) for each in seen.unclaimed] == [("gone", LEAK)]
        said, code = await status.explained(wanted, "shop")
        assert code == 0
        assert "Its proof failed at 2026-03-01 12:00:00Z; it is asked once more before that counts." in said


async def test_without_vault_a_daemon_tells_what_it_saw_before_and_says_so(path: Path) -> None:
    wanted = settings(path)
    async with daemon(wanted, observing(), Journal(blog=Transient("sealed"), shop=entry("shop"))):
        seen = await status.look(wanted, Selection(["blog", "shop"]))
        assert (seen.stale, seen.states[0].word) == ("sealed", Headline.STALE)
        assert seen.states[0].published_at is not None
        assert (await status.explained(wanted, "blog"))[0][0].startswith("Vault cannot be read, so this is what was")


async def test_a_vault_that_is_away_is_waited_for_once_and_what_is_shown_has_an_age(path: Path) -> None:
    names = [f"c{number}" for number in range(40)]
    wanted = replace(settings(path), credentials={name: named(name) for name in names})
    _, view, _ = fleet(*((each, settled()) for each in wanted.credentials.values()))
    view.read_at = dict.fromkeys(names, NOW - HOUR)
    asked: list[str] = []

    class Away(Journal):
        async def load(self, name: str) -> Entry:
            asked.append(name)
            await anyio.lowlevel.checkpoint()
            raise Transient("sealed")

    async with daemon(wanted, view, Away()):
        seen = await status.look(wanted, Selection())
    assert len(asked) == 1
    assert {each.word for each in seen.states} == {Headline.STALE}
    assert {each.read_at for each in seen.states} == {NOW - HOUR}
    assert "was so at 2026-03-01 11:00:00Z: sealed" in seen.states[0].said


async def test_what_the_daemon_knows_is_shown_while_the_settings_name_more_and_vault_is_away(
    path: Path, monkeypatch
) -> None:
    wanted = settings(path)
    mine = _another_name(wanted)

    @asynccontextmanager
    async def reading(_: Settings) -> AsyncIterator[Any]:
        raise Transient("sealed")
        yield

    monkeypatch.setattr(status, "reading", reading)
    async with daemon(wanted, observing(), Journal(blog=Transient("sealed"), shop=Transient("sealed"))):
        seen = await status.look(mine, Selection())
    assert ([each.name for each in seen.states], seen.unseen, seen.stale) == (["blog", "shop"], ["new"], "sealed")
    with pytest.raises(BaseExceptionGroup):
        await status.look(mine, Selection())


async def test_a_record_that_cannot_be_read_hides_no_other(path: Path) -> None:
    wanted = settings(path)
    async with daemon(wanted, observing(), Journal(blog=Refused("it was deleted"), shop=entry("shop"))):
        blog, shop = (await status.look(wanted, Selection())).states
        assert (blog.word, blog.said, blog.exit) == (Headline.BROKEN, "its record cannot be read: it was deleted", 1)
        assert shop.known
        assert (await status.explained(wanted, "blog"))[1] == 1


def _other_vault(wanted: Settings) -> Settings:
    return replace(wanted, vault=replace(wanted.vault, prefix="another"))


def _another_name(wanted: Settings) -> Settings:
    return replace(wanted, credentials={**wanted.credentials, "new": named("new")})


@pytest.mark.parametrize("change", [_other_vault, _another_name])
async def test_a_daemon_of_other_settings_is_not_believed(path: Path, change, monkeypatch) -> None:
    wanted = settings(path)
    mine = change(wanted)
    names = {name: entry(name) for name in mine.credentials}
    known = {"settings": mine, "journal": Journal(**names), "requests": Requests()}
    alone: Any = SimpleNamespace(**known, clock=HandClock(NOW + HOUR), kv=KV)

    @asynccontextmanager
    async def reading(_: Settings) -> AsyncIterator[Any]:
        yield alone

    monkeypatch.setattr(status, "reading", reading)
    async with daemon(wanted, observing(), Journal(blog=entry("blog"), shop=entry("shop"))):
        assert (await status.look(mine, Selection())).at == NOW + HOUR
        assert await status.explained(mine, list(mine.credentials)[-1])
    assert (await status.look(mine, Selection(["blog"]))).at == NOW + HOUR, "no daemon at all"


async def test_a_daemon_that_has_seen_nothing_yet_and_has_no_vault_says_that(path: Path) -> None:
    wanted = settings(path)
    _, view, _ = fleet((BLOG, None), (SHOP, None))
    async with daemon(wanted, view, Journal(blog=Transient("sealed"), shop=Transient("sealed"))):
        seen = await status.look(wanted, Selection(["blog"]))
        assert (seen.stale, seen.states[0].word, seen.states[0].known) == ("sealed", Headline.UNSEEN, False)
        said, _ = await status.explained(wanted, "blog")
        assert said == ["Its record was not read yet: Vault cannot be read: sealed."]


async def test_of_many_credentials_a_daemon_tells_what_it_remembers_and_only_what_is_selected(path: Path) -> None:
    many = [named(f"c{number:02}", labels={"team": f"t{number % 2}"}) for number in range(40)]
    wanted = replace(settings(path), credentials={each.name: each for each in many})
    _, view, _ = fleet(*((each, settled()) for each in many))
    view.broken = {"c07": "a bug", "c08": "another"}
    journal = Journal(**{each.name: entry(each.name) for each in many})
    read, load = [], journal.load

    async def counted(name: str) -> Entry:
        read.append(name)
        return await load(name)

    journal.load = counted  # type: ignore[method-assign]  # only counted
    async with daemon(wanted, view, journal):
        seen = await asked(str(path), Selection(), None)
        assert seen is not None
        assert ([each.name for each in seen.states], len(read)) == ([each.name for each in many], 1)
        assert seen.code == 1
        some = await asked(str(path), Selection(labels={"team": "t1"}, words=["broken"]), None)
        assert some is not None
        assert [each.name for each in some.states] == ["c07"]
        few = await asked(str(path), Selection(limit=3), None)
        assert few is not None
        assert ([each.name for each in few.states], few.more) == (["c07", "c08", "c00"], 37)
        with pytest.raises(WrongSelection, match="no credential carries team=t9"):
            await asked(str(path), Selection(labels={"team": "t9"}), None)
