"""`rotate now` as its caller sees it: whom it concerns, how it is followed, how it ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace

import anyio
import pytest

from rotator.commands import requests as request_module
from rotator.commands import rotate
from rotator.commands.outcomes import verdicts
from rotator.commands.requests import ACCEPTED
from rotator.commands.rotate import RotateCommand, follow, parse_rotate_command, select
from rotator.engine.reconciler import ReconcileResult, Transition
from rotator.engine.worker_pool import PendingRequest
from rotator.host.cron import SystemClock
from rotator.host.threads import BackgroundTasks
from rotator.observe.hooks import Hooks
from rotator.ports import Entry, Fault, Refused, StoreRefused, Transient
from rotator.rotation.events import Verified
from rotator.rotation.operator_request import OperatorRequest, RequestVerb, TakenUp
from rotator.rotation.record import Failure, Phase, Record
from rotator.rotation.rotation_request import RotationRequest
from rotator.rotation.steps import Wait
from tests.unit.app.test_control import until
from tests.unit.rotation.builders import DAY, HOUR, NOW, SECOND, credential, published, record

pytestmark = pytest.mark.anyio

SETTINGS = SimpleNamespace(
    credentials={
        "blog/bot": credential(name="blog/bot", labels={"team": "web", "tier": "1"}),
        "blog/ci": credential(name="blog/ci", labels={"team": "web"}),
        "shop": credential(name="shop"),
    }
)


class _Any(defaultdict):
    """Settings that name whatever is asked for."""

    def __contains__(self, name: object) -> bool:
        return name != "gone"


class Actor:
    """What `follow` needs: a Vault that takes requests, and a crew whose asks the test answers."""

    def __init__(self) -> None:
        self.worker_pool, self.clock, self.seen = self, SystemClock(), {}
        self.settings = SimpleNamespace(credentials=_Any(credential))
        self.tasks, self.journal, self.requests = BackgroundTasks(lambda name, bug: None), self, self
        self.asked: dict[str, PendingRequest] = {}
        self.passing, self.stopping, self.working = False, "", set[str]()
        self.hooks: Hooks | None = None

        self.written: dict[str, OperatorRequest] = {}
        self.known: dict[str, Record] = {}
        self.refusals: list[Fault] = []

    def visits(self, name: str) -> bool:
        return name in self.working

    async def load(self, name: str) -> Entry:
        return Entry(name, 1, self.known.get(name))

    async def put(self, name: str, request: OperatorRequest) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.written[name] = request

    def ask(self, name, ask, *, patient) -> PendingRequest:
        assert self.written[name].id == ask.id, "what is not written down is not asked for"
        self.asked[name] = PendingRequest(ask, patient)
        return self.asked[name]

    def answer(self, name: str, phase: Phase, **changes) -> None:
        """The crew hears of a record that has taken the request up, and tells who asked."""
        asked = self.asked[name]
        at = asked.ask.at + SECOND
        taken = (TakenUp(asked.ask.id, at),)
        if asked.hears(record(phase, **{"current": published(2, at), "taken": taken, **changes})):
            asked.done.set()


@pytest.fixture
def app() -> Actor:
    return Actor()


@asynccontextmanager
async def following(app: Actor, names: tuple[str, ...], **wanted):
    """Lines of one `now`, and where happenings go in."""
    send, receive = anyio.create_memory_object_stream[Transition](16)
    told = follow(app, names, RotateCommand(names=names, **wanted), receive)
    async with send, receive, anyio.create_task_group() as app.tasks.group, aclosing(told) as lines:
        yield lines, send


async def ended(app: Actor, names: tuple[str, ...], then: Callable[[], object], **wanted) -> list[dict]:
    """Every line of a `now`, during which `then` is called once."""
    async with following(app, names, **wanted) as (lines, _), anyio.create_task_group() as group:

        async def soon() -> None:
            with anyio.move_on_after(1 + len(names) / 50):  # some are never asked for
                await until(lambda: len(app.asked) == len(names))
            then()

        group.start_soon(soon)
        with anyio.fail_after(60):  # a guard, no bound
            return [line async for line in lines]


# --- whom it concerns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RotateCommand(names=("shop",)), ("shop",)),
        (RotateCommand(everything=True), ("blog/bot", "blog/ci", "shop")),
        (RotateCommand(labels={"team": "web"}), ("blog/bot", "blog/ci")),
        (RotateCommand(labels={"team": "web", "tier": "1"}), ("blog/bot",)),
        (RotateCommand(names=("shop",), labels={"tier": "1"}), ("blog/bot", "shop")),
    ],
)
def test_names_labels_and_all_choose_together(wanted: RotateCommand, names: tuple[str, ...]) -> None:
    assert select(SETTINGS, wanted) == (names, "")


def test_an_unknown_name_selects_nothing_and_suggests_one() -> None:
    names, wrong = select(SETTINGS, RotateCommand(names=("shop", "blog/bott")))
    assert names == ()
    assert wrong == "no credential is called 'blog/bott'; did you mean `blog/bot`?"


@pytest.mark.parametrize("wanted", [RotateCommand(), RotateCommand(labels={"team": "nobody"})])
def test_a_demand_that_concerns_nobody_is_wrong(wanted: RotateCommand) -> None:
    assert select(SETTINGS, wanted)[1].startswith(("nothing selected", "no credential carries team=nobody"))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (RotateCommand(names=("shop",), labels={"team": "nobody"}), "no credential carries team=nobody"),
        (RotateCommand(labels={"team": "web", "tier": "2"}), "no credential carries team=web, tier=2"),
        (RotateCommand(names=("shop",), everything=True), "--all is everything"),
        (RotateCommand(labels={"team": "web"}, everything=True), "--all is everything"),
    ],
)
def test_every_selector_finds_something_and_none_contradicts_another(wanted: RotateCommand, said: str) -> None:
    names, wrong = select(SETTINGS, wanted)
    assert names == ()
    assert wrong.startswith(said)


@pytest.mark.parametrize("within", [0, -1, 300, 1e9, float("nan"), float("inf"), "soon", "0s", "2d", "300", True])
def test_a_time_that_cannot_be_is_refused(within: object) -> None:
    with pytest.raises(Refused, match="`within` "):
        parse_rotate_command({"within": within})


def test_times_are_written_as_in_settings() -> None:
    assert parse_rotate_command({"within": "1h30m"}).within == 5400
    assert parse_rotate_command({}).within == parse_rotate_command({"within": None}).within == rotate.PATIENCE


@pytest.mark.parametrize("wrong", [5, "bot", {"a": 1}, [5, None, ["bot"]], None])
def test_names_and_labels_that_are_none_are_refused(wrong: object) -> None:
    with pytest.raises(Refused, match="`names` must be"):
        parse_rotate_command({"names": wrong})
    with pytest.raises(Refused, match="`labels` must be"):
        parse_rotate_command({"labels": wrong})


@pytest.mark.parametrize("wrong", ["yes", 1, [1], None])
@pytest.mark.parametrize("flag", ["emergency", "patient", "everything"])
def test_only_true_is_true_and_only_false_is_false(flag: str, wrong: object) -> None:
    with pytest.raises(Refused, match=f"`{flag}` must be true or false"):
        parse_rotate_command({flag: wrong})


def test_what_a_request_says_is_what_is_wanted() -> None:
    assert parse_rotate_command(
        {"emergency": True, "patient": True, "everything": True, "within": "5m"}
    ) == RotateCommand(everything=True, emergency=True, patient=True)


# --- how it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "changes", "code", "said"),
    [
        (Phase.SETTLED, {}, 0, "rotation 2: t2.1 is live at kv/blog/bot; no predecessor"),
        (Phase.PUBLISHED, {}, 0, "rotation 2: t2.1 is live at kv/blog/bot; the predecessor is in grace"),
        (Phase.PUBLISHED, {"current": published(2, NOW - DAY)}, 75, "--emergency does not wait"),
        (Phase.HELD, {}, 3, "look at it"),
    ],
    ids=["done", "published", "in grace", "held"],
)
async def test_the_answer_decides_exit_and_words(app: Actor, phase: Phase, changes, code: int, said: str) -> None:
    app.known = {"bot": record(phase, **changes)} if "current" in changes else {}
    lines = await ended(app, ("bot",), lambda: app.answer("bot", phase, **changes))
    assert lines[-1]["exit"] == code
    assert said in lines[-1]["verdicts"][0]["said"]


@pytest.mark.parametrize(
    ("current", "said"),
    [
        (None, "given up for now: making a new value failed: no; tried again at 2026-03-01 13:00:00Z"),
        (
            published(1, NOW),
            "given up for now: making a new value failed: no; what is published stays, and nothing is tried again",
        ),
    ],
    ids=["it is due", "it is not"],
)
async def test_a_failure_says_when_it_is_tried_again_only_where_it_is(app: Actor, current, said: str) -> None:
    app.known = {"bot": record(Phase.SETTLED, current=current)} if current else {}

    def fail() -> None:
        at = app.asked["bot"].ask.at + SECOND
        app.answer("bot", Phase.SETTLED, current=current, failure=Failure("mint", "no", at), retry_at=NOW + HOUR)

    last = (await ended(app, ("bot",), fail))[-1]
    assert last["exit"] == 1
    assert last["verdicts"][0]["said"].startswith(said)


# --- it is in Vault before it is acknowledged -----------------------------------------------------------------------


async def test_what_is_asked_for_is_written_down_with_what_lives_before_anybody_is_told(app: Actor) -> None:
    app.known["bot"] = record(Phase.PUBLISHED)
    async with following(app, ("bot",), emergency=True, by="ada") as (lines, _):
        first = await anext(lines)
        assert first == {"accepted": 1, "said": ACCEPTED}
        request = app.written["bot"]
        app.answer("bot", Phase.SETTLED, predecessor=None, current=published(3, request.at + SECOND))
        last = [line async for line in lines][-1]
    assert (request.verb, request.by, request.emergency) == (RequestVerb.ROTATE, "ada", True)
    assert request.live == ("t2.1", "t1.1")
    assert last["verdicts"][0]["ended"] == ["t2.1", "t1.1"]
    assert last["verdicts"][0]["said"].endswith("dead: t2.1, t1.1")


async def test_while_vault_gives_no_verdict_it_is_tried_again_and_then_it_goes_on(app: Actor, monkeypatch) -> None:
    monkeypatch.setattr(request_module, "AGAIN", 0.01)
    app.refusals = [Transient("sealed"), Transient("sealed")]
    lines = await ended(app, ("bot",), lambda: None, within=0.3)
    assert lines[0] == {"accepted": 1, "said": ACCEPTED}
    assert len(app.written) == 1


async def test_what_cannot_be_written_down_is_not_begun_and_says_so(app: Actor) -> None:
    app.refusals = [Transient("sealed")]
    last = (await ended(app, ("bot",), lambda: None, within=0.2))[-1]
    assert last["exit"] == 75
    assert last["verdicts"][0]["said"].startswith(
        "undecided: it could not be written down in Vault, so nothing was begun"
    )
    app.refusals = [StoreRefused("403")]
    last = (await ended(app, ("bot",), lambda: None))[-1]
    assert last["exit"] == 1
    assert not app.asked


async def test_an_emergency_outlasts_who_typed_it_until_vault_is_back(app: Actor, monkeypatch) -> None:
    """A value has leaked while Vault is sealed: a daemon goes on asking, a command cannot."""
    monkeypatch.setattr(request_module, "AGAIN", 0.01)
    app.settings.credentials["shop"] = credential(name="shop")
    monkeypatch.setattr(rotate, "AFTER", 0.05)
    monkeypatch.setattr(
        rotate, "instructions", lambda settings, names, records, **how: [f"{each} {how}" for each in names]
    )
    app.refusals = [Transient("sealed")] * 30
    async with following(app, ("shop",), emergency=True, within=0.1) as (lines, _):
        [help_, *_, last] = [line async for line in lines]
        assert help_ == {"by_hand": "shop", "said": "shop {'locked_out': False}"}
        assert last["exit"] == 75
        assert "the daemon goes on asking for Vault" in last["verdicts"][0]["said"]
        with anyio.fail_after(5):
            await until(lambda: "shop" in app.asked)
    assert app.asked["shop"].ask.emergency
    app.passing, app.asked, app.refusals = True, {}, [Transient("sealed")] * 30
    async with following(app, ("shop",), emergency=True, within=0.1) as (lines, _):
        [*_, last] = [line async for line in lines]
        assert last["verdicts"][0]["said"].endswith("sealed; ask again")
        assert not app.asked


async def test_a_vault_that_is_back_in_a_moment_is_no_reason_to_end_anything_by_hand(app: Actor, monkeypatch) -> None:
    monkeypatch.setattr(request_module, "AGAIN", 0.01)
    app.refusals = [Transient("429")] * 20
    async with following(app, ("bot",), emergency=True, within=0.5) as (lines, _):
        found = [line async for line in lines]
    assert not [line for line in found if "by_hand" in line]
    assert {"accepted": 1, "said": ACCEPTED} in found
    monkeypatch.setattr(
        rotate, "instructions", lambda settings, names, records, **how: [f"{each} {how}" for each in names]
    )
    app.refusals = [StoreRefused("our login is refused")]
    async with following(app, ("bot",), emergency=True, within=0.5) as (lines, _):
        [told, *_] = [line async for line in lines]
    assert told == {"by_hand": "bot", "said": "bot {'locked_out': True}"}


async def test_one_that_was_declined_says_why_and_what_ends_that(app: Actor) -> None:
    app.known["bot"] = record(Phase.PUBLISHED)

    def decline() -> None:
        taken = (TakenUp(app.written["bot"].id, NOW, "the predecessor is in grace until 13:00; --wait waits"),)
        app.answer("bot", Phase.PUBLISHED, current=published(2, NOW - DAY), taken=taken)

    last = (await ended(app, ("bot",), decline))[-1]
    assert last["exit"] == 75
    assert last["verdicts"][0]["said"].startswith("nothing was begun: the predecessor is in grace until 13:00; --wait")


async def test_there_is_no_answer_before_a_record_has_taken_it_up(app: Actor) -> None:
    def held() -> None:
        app.answer("bot", Phase.HELD, taken=())

    assert (await ended(app, ("bot",), held, within=0.3))[-1]["exit"] == 75


async def test_of_many_the_gravest_decides(app: Actor) -> None:
    def answers() -> None:
        app.answer("a", Phase.SETTLED)
        app.answer("b", Phase.HELD)

    assert (await ended(app, ("a", "b"), answers))[-1]["exit"] == 3


async def test_without_an_answer_in_time_it_is_undecided_and_says_what_it_waits_for(app: Actor) -> None:
    app.seen["bot"] = ReconcileResult(None, Wait(None, "worked on by host-b"))
    last = (await ended(app, ("bot",), lambda: None, within=0.1))[-1]
    assert last["exit"] == 75
    assert last["verdicts"][0]["said"].startswith("undecided: worked on by host-b; it is written down in Vault")


@pytest.mark.parametrize("until", [None, NOW + 365 * 10 * DAY])
async def test_it_ends_early_when_nothing_can_come_of_it_in_time(app: Actor, until) -> None:
    def put_off() -> None:
        app.asked["bot"].wait = Wait(until, "the minter's token is refused")
        app.seen["bot"] = ReconcileResult(None, app.asked["bot"].wait)

    last = (await ended(app, ("bot",), put_off, within=300))[-1]
    assert last["exit"] == 75
    assert "the minter's token is refused" in last["verdicts"][0]["said"]


async def test_a_patient_caller_whose_predecessor_outlives_its_patience_hears_what_is_live(app: Actor) -> None:
    def in_grace() -> None:
        app.answer("bot", Phase.PUBLISHED)
        app.asked["bot"].wait = Wait(NOW + 365 * 10 * DAY, "predecessor in grace")
        app.seen["bot"] = ReconcileResult(None, app.asked["bot"].wait)

    last = (await ended(app, ("bot",), in_grace, patient=True))[-1]
    assert last["exit"] == 75
    assert "undecided: predecessor in grace" in last["verdicts"][0]["said"]
    assert "rotation 2: t2.1 is live at kv/blog/bot, its predecessor is accepted" in last["verdicts"][0]["said"]


async def test_who_waits_without_a_limit_waits_a_grace_out_and_hears_what_comes_after_it(
    app: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten years of grace to come, who names a limit hears at once that nothing can come of it in time."""
    monkeypatch.setattr(rotate, "_SIGN", 0.5)
    async with following(app, ("bot",), patient=True, waits_out=True, within=300) as (lines, _):
        assert "accepted" in await anext(lines)
        app.answer("bot", Phase.PUBLISHED)
        app.asked["bot"].wait = Wait(NOW + 365 * 10 * DAY, "predecessor in grace")
        app.seen["bot"] = ReconcileResult(None, app.asked["bot"].wait)
        assert "predecessor in grace" in (await anext(lines))["said"], "a sign of life, and no verdict"
        app.answer("bot", Phase.SETTLED)
        rest = [line async for line in lines]
    assert (rest[-1]["exit"], rest[-1]["verdicts"][0]["answer"]) == (0, "done")


async def test_what_left_the_settings_meanwhile_is_not_said_to_go_on(app: Actor) -> None:
    last = (await ended(app, ("gone",), lambda: app.asked["gone"].close("it left the settings")))[-1]
    said = last["verdicts"][0]["said"]
    assert "nobody carries it out unless settings name gone again within the hour" in said
    assert "it goes on" not in said


def test_only_who_names_no_limit_waits_a_grace_out() -> None:
    assert parse_rotate_command({"patient": True}).waits_out
    assert not parse_rotate_command({"patient": True, "within": "5m"}).waits_out
    assert not parse_rotate_command({}).waits_out


async def test_an_ask_that_is_closed_ends_with_the_reason(app: Actor) -> None:
    last = (await ended(app, ("bot",), lambda: app.asked["bot"].close("the daemon is stopping")))[-1]
    assert last["exit"] == 75
    assert last["verdicts"][0]["said"].startswith("undecided: the daemon is stopping")


async def test_an_ask_that_is_hopeless_has_failed(app: Actor) -> None:
    last = (await ended(app, ("bot",), lambda: app.asked["bot"].close("unreadable", hopeless=True)))[-1]
    assert last["exit"] == 1
    assert last["verdicts"][0] == {"credential": "bot", "answer": "failed", "exit": 1, "said": "unreadable"}


async def test_progress_is_told_of_the_asked_only_and_all_of_it_before_the_verdict(app: Actor) -> None:
    async with following(app, ("bot",)) as (lines, send):
        assert await anext(lines) == {"accepted": 1, "said": ACCEPTED}
        first = [await anext(lines) for _ in [send.send_nowait(transition("bot"))]]
        for name in ("other", "bot", "bot"):
            send.send_nowait(transition(name))
        app.answer("bot", Phase.SETTLED)
        rest = [line async for line in lines]
    assert [line.get("credential") for line in (*first, *rest)] == ["bot", "bot", "bot", None]


async def test_who_waits_long_gets_a_sign_of_life(app: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "_SIGN", 0.0)
    app.seen["bot"] = ReconcileResult(None, Wait(None, "predecessor in grace"))
    async with following(app, ("bot", "ci"), within=300) as (lines, _):
        assert await anext(lines) == {"accepted": 2, "said": ACCEPTED}
        assert await anext(lines) == {"waiting": 2, "said": "bot: predecessor in grace"}


async def test_thousands_of_verdicts_come_in_lines_of_a_bearable_length(app: Actor) -> None:
    names = tuple(f"bot-{number}" for number in range(1001))

    def all_done() -> None:
        for name in names:
            app.answer(name, Phase.SETTLED)

    lines = [line for line in await ended(app, names, all_done) if "verdicts" in line]
    assert [len(line["verdicts"]) for line in lines] == [200, 200, 200, 200, 200, 1]
    assert [line.get("exit") for line in lines] == [None] * 5 + [0]


def transition(name: str) -> Transition:
    before = record(Phase.STAGED)
    return Transition(credential(name=name), before, Verified(NOW, 1), before, 0.1, "me")


IN_VAULT = "it is written down in Vault, and a daemon goes on with it, or `rotate due`"
CUT = {
    "never looked at": (None, False, f"undecided: cut short by SIGTERM; {IN_VAULT}"),
    "looked at, at rest": (Phase.SETTLED, False, f"undecided: cut short by SIGTERM; {IN_VAULT}"),
    "in an older rotation's grace": (Phase.PUBLISHED, False, f"undecided: cut short by SIGTERM; {IN_VAULT}"),
    "begun": (Phase.STAGED, False, f"rotation 2 is staged in its journal; {IN_VAULT}"),
    "in the midst of its first step": (None, True, "in the midst of a step, so ask `rotate explain shop`"),
}


@pytest.mark.parametrize(("phase", "working", "said"), CUT.values(), ids=CUT)
async def test_a_command_cut_short_says_of_each_what_is_true_of_it(app: Actor, phase, working: bool, said: str) -> None:
    app.passing, app.stopping = True, "cut short by SIGTERM"
    app.working = {"shop"} if working else set()
    asked = PendingRequest(RotationRequest(NOW, "ada", emergency=True), patient=True)
    if phase:
        asked.hears(record(phase, current=published(1, NOW - DAY)))
    asked.close("cut short by SIGTERM")
    [line] = verdicts(app, {"shop": asked}, {}, emergency=False)
    assert line["exit"] == 75
    assert said in line["verdicts"][0]["said"]
    assert ("it goes on" in line["verdicts"][0]["said"]) is False
    assert ("what was live is accepted still" in line["verdicts"][0]["said"]) is said.startswith("not begun")


async def test_what_was_declined_before_its_look_was_cut_short_is_not_said_to_go_on(app: Actor) -> None:
    """The predecessor's end hung for a minute after that; the command's verdict was "a daemon goes on with it"."""
    app.passing, app.stopping, app.working = True, "cut short by SIGTERM", {"shop"}
    asked = PendingRequest(RotationRequest(NOW, "ada", id="r1"), patient=False)
    declined = (TakenUp("r1", NOW, "the predecessor is in grace"),)
    asked.latest = record(Phase.PUBLISHED, current=published(1, NOW - DAY), taken=declined)
    [line] = verdicts(app, {"shop": asked}, {}, emergency=False)
    [verdict] = line["verdicts"]
    assert (verdict["answer"], verdict["exit"]) == ("in_grace", 75)
    assert verdict["said"].startswith("nothing was begun: the predecessor is in grace")


@pytest.mark.parametrize("stopping", ["", "cut short by SIGTERM"])
async def test_what_was_taken_up_is_not_said_not_to_have_been_looked_at(app: Actor, stopping: str) -> None:
    app.stopping, app.working = stopping, {"shop"}
    asked = PendingRequest(RotationRequest(NOW, "ada", id="r1"), patient=False)
    asked.latest = record(Phase.SETTLED, current=published(1, NOW - DAY), taken=(TakenUp("r1", NOW),))
    [line] = verdicts(app, {"shop": asked}, {}, emergency=False)
    [verdict] = line["verdicts"]
    assert verdict["answer"] == "open"
    assert verdict["said"].startswith(f"undecided: {stopping or 'the first look at it has not ended'}; it is written")
