"""Whatever others wrote is text: no terminal obeys it, no row, line, page or series is forged by it."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from typing import Any

import click
import pytest

from rotator.cli import base, now, output
from rotator.cli.status import show
from rotator.observe import logs
from rotator.observe.health import Fleet
from rotator.observe.metrics import Metrics
from rotator.rotation.credential_state import State, state
from rotator.rotation.explanation import explain
from rotator.rotation.ownership import Unmanaged
from rotator.rotation.record import Failure, HoldReason, Pause, Phase, Record
from tests.kit.fleet import fleet, named
from tests.kit.records import OnHold
from tests.unit.observe.status.loopback import site
from tests.unit.rotation.builders import NOW, candidate, credential, published, record, token

HOSTILE = {
    "ANSI": "\x1b[2J\x1b[31mred",
    "OSC": "\x1b]0;title\x07\x1b]8;;http://evil.test\x1b\\link",
    "newline": "one\nweb  settled  7  1\r\nrotate: all is well",
    "override": "abc\u202edef\u2066g",
    "C1": "\x9b31mred\x85next",
    "long": "a" * 10_240,
}
LONGEST = 20_000  # characters of a line: a few texts, each of them cut


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def harmless(text: str) -> bool:
    """Whether nothing in it is obeyed by a terminal or a browser."""
    return text.replace("\n", "").isprintable()


def fit(text: str, *, lines: int) -> None:
    """Nothing that a terminal obeys, so many lines, none without an end."""
    assert harmless(text)
    assert len(text.splitlines()) == lines
    assert max(map(len, text.splitlines())) < LONGEST


def spoiled(value: Any, hostile: str) -> Any:
    """A dataclass with every text in it spoiled."""
    told = {each.name: hostile for each in fields(value) if type(getattr(value, each.name)) is str}
    return replace(value, **told)


def records(hostile: str) -> list[Record]:
    """Records in which every text that a target, Vault or a person gives is spoiled."""
    bad = token(1, id=hostile, name=hostile)
    ours, failed = published(1, token=bad), Failure("mint", hostile, NOW)
    return [
        record(Phase.HELD, current=ours, held=OnHold(HoldReason.FOREIGN_WRITE, hostile, Phase.SETTLED, NOW)),
        record(Phase.AWAITING, current=ours, awaiting=hostile, failure=failed),
        record(Phase.SETTLED, current=ours, paused=Pause(hostile, NOW, hostile), evidence=hostile, asked_by=hostile),
        record(
            Phase.STAGED, current=ours, candidate=replace(candidate(), token=bad), failure=Failure("x", hostile, NOW)
        ),
        record(Phase.PUBLISHED, current=ours, predecessor=ours, evidence=hostile),
    ]


def test_status_and_plan_show_one_row_for_each(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    states = [spoiled(state(credential(), each, NOW), hostile) for each in records(hostile)]
    left = [Unmanaged(*[hostile] * 4, NOW, None)]
    show(states, NOW, as_json=False, left=left)
    fit(capsys.readouterr().out, lines=1 + len(states) + 4)
    show(states, NOW, as_json=True, left=left)
    told = capsys.readouterr().out
    assert harmless(told)
    assert [row["name"] for row in json.loads(told)] == [hostile] * (len(states) + 1)


def test_sentences_stay_sentences(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    for each in records(hostile):
        said = list(explain(credential(), each, NOW))
        for sentence in said:
            output.say(sentence)
        fit(capsys.readouterr().out, lines=len(said))


def test_progress_and_verdicts_are_a_line_each(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    now.say({"credential": hostile, "event": hostile, "said": hostile})
    now.say({"verdicts": [{"credential": hostile, "answer": hostile, "said": hostile}] * 2})
    fit(capsys.readouterr().out, lines=3)
    now.say({"error": hostile})
    now.say({"waiting": 1, "said": hostile})
    fit(capsys.readouterr().err, lines=2)


def test_a_table_has_as_many_lines_as_rows(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    base.show_table(("A", "B", "C"), [(hostile, "x", hostile), ("y", hostile, "z")])
    fit(capsys.readouterr().out, lines=3)


def test_a_style_is_the_doors_own(hostile: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    output.say(f"{output.style('good', fg='green')} {output.style(hostile, bold=True)} {hostile}")
    told = terminal.getvalue()
    assert told.startswith(click.style("good", fg="green"))
    assert told.count("\x1b") == 4
    fit(click.unstyle(told), lines=1)


def test_pages_and_documents(hostile: str) -> None:
    for each in records(hostile):
        looked: Fleet
        looked, view, _ = fleet((named("blog"), each))
        view.left = {"gone": replace(each, current=published(7, token=token(7, id=hostile)))}
        for path in ("/", "/credential/blog"):
            text = site(looked).answer(path).body.decode()
            assert harmless(text)
        assert json.loads(site(looked).answer("/status.json").body)


def test_metrics_hold_no_text_of_others(hostile: str) -> None:
    for each in records(hostile):
        scrape = Metrics(fleet((named("blog"), each))[0], "1.2.3").scrape().decode()
        assert hostile not in scrape
        assert harmless(scrape)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_line_is_one_line(hostile: str, as_json: bool) -> None:
    stream = io.StringIO()
    try:
        logs.configure("info", json=as_json, stream=stream)
        logs.say("value.published", said=hostile, token=hostile, nested={"key": [hostile]})
    finally:
        logs.configure("error", json=None)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert harmless(lines[0])


def test_every_text_of_a_state_is_spoiled() -> None:
    """A new field is tried as well."""
    made = spoiled(state(credential(), record(Phase.SETTLED), NOW), "x")
    assert {each.name for each in fields(State) if getattr(made, each.name) == "x"} >= {"name", "said", "next", "path"}
