"""Lines look as they should, and whatever carries a secret into them, it does not arrive."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from rotator.observe import logs
from rotator.observe.logs import BLOT
from rotator.rotation.secret import Secret


def _lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def _last(out: io.StringIO) -> dict[str, object]:
    return _lines(out)[-1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_one_json_object_with_level_and_utc_time(out: io.StringIO) -> None:
    structlog.get_logger().info("token.published", credential="web", rotation=3, duration=timedelta(seconds=1.5))
    [line] = _lines(out)
    when = datetime.fromisoformat(str(line.pop("timestamp")))
    assert when.utcoffset() == timedelta(0)
    assert line == {"event": "token.published", "level": "info", "credential": "web", "rotation": 3, "duration": 1.5}


def test_a_terminal_gets_readable_lines(out: io.StringIO) -> None:
    stream = Terminal()
    logs.configure("info", stream=stream)
    structlog.get_logger().info("token.published", credential="web")
    assert "token.published" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_what_a_target_says_cannot_steer_the_terminal(out: io.StringIO) -> None:
    stream = Terminal()
    logs.configure("info", stream=stream)
    structlog.get_logger().info("answer.refused", said="fine\n2026 [info] token.published\x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in stream.getvalue()


def test_anything_else_gets_json(out: io.StringIO) -> None:
    stream = io.StringIO()
    logs.configure("info", stream=stream)
    structlog.get_logger().info("token.published")
    assert json.loads(stream.getvalue())["event"] == "token.published"


def test_lines_below_the_level_are_not_written_and_a_reload_changes_it(out: io.StringIO) -> None:
    log = structlog.get_logger()
    logs.configure("warning", json=True, stream=out)
    log.info("token.published")
    logging.getLogger("library").info("talk")
    assert out.getvalue() == ""
    logs.configure("info", json=True, stream=out)
    log.info("token.published")
    assert len(_lines(out)) == 1


def test_bound_context_is_part_of_every_line(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(credential="web"):
        structlog.get_logger().info("token.published")
        logging.getLogger("library").warning("talk")
    assert [line["credential"] for line in _lines(out)] == ["web", "web"]


def test_a_secret_renders_as_stars(out: io.StringIO, canary: Secret) -> None:
    @dataclass
    class Holder:
        secret: Secret

    structlog.get_logger().info("x.seen", secret=canary, listed=[canary], held=Holder(canary), mapped={"a": canary})
    line = _last(out)
    assert (line["secret"], line["listed"], line["mapped"]) == ("***", ["***"], {"a": "***"})
    assert "Secret(***)" in str(line["held"])


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("foreign", [True, False])
def test_a_traceback_shows_neither_locals_nor_the_message(
    as_json: bool, foreign: bool, out: io.StringIO, canary: Secret
) -> None:
    logs.configure("info", json=as_json, stream=out)
    other = "local-value-that-is-no-known-secret"
    try:
        hidden = other
        raise ValueError(f"refused {canary.reveal()}")
    except ValueError:
        if foreign:
            logging.getLogger("library").exception("went wrong")
        else:
            structlog.get_logger().exception("step.failed")
    del hidden
    assert canary.reveal() not in out.getvalue()
    assert other not in out.getvalue()
    assert f"refused {BLOT}" in out.getvalue()
    assert "test_a_traceback_shows_neither_locals_nor_the_message" in out.getvalue()


def test_causes_groups_and_notes_are_blotted_too(out: io.StringIO, canary: Secret) -> None:
    inner = KeyError(canary.reveal())
    inner.add_note(f"note {canary.reveal()}")
    try:
        try:
            raise ExceptionGroup("several", [inner])
        except ExceptionGroup as group:
            raise RuntimeError("outer") from group
    except RuntimeError:
        structlog.get_logger().exception("step.failed")
    assert canary.reveal() not in out.getvalue()
    assert out.getvalue().count(BLOT) >= 2


def test_an_exception_as_a_value_shows_its_message_and_not_its_args(out: io.StringIO) -> None:
    fault = json.JSONDecodeError("Expecting value", '{"body": "of the whole answer"}', 3)
    structlog.get_logger().info("answer.refused", fault=fault)
    assert _last(out)["fault"] == "JSONDecodeError: Expecting value: line 1 column 4 (char 3)"
    assert "whole answer" not in out.getvalue()


def test_other_libraries_take_the_same_way(out: io.StringIO, canary: Secret) -> None:
    logging.getLogger("library").warning("token %s refused", canary.reveal())
    assert _last(out) | {"timestamp": ""} == {
        "event": "library.logged",
        "level": "warning",
        "logger": "library",
        "message": f"token {BLOT} refused",
        "timestamp": "",
    }


@pytest.mark.parametrize("name", ["httpx", "httpcore", "hpack", "urllib3", "asyncio", "apscheduler"])
def test_talkative_libraries_are_heard_from_warning_on(name: str, out: io.StringIO) -> None:
    log = logging.getLogger(f"{name}.part")
    log.info("GET https://x.example/?private_token=abc")
    assert out.getvalue() == ""
    log.warning("slow")
    assert _last(out)["message"] == "slow"


def test_a_line_that_cannot_be_rendered_is_reported_without_its_content(
    out: io.StringIO, canary: Secret, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [each for each in logging.getLogger().handlers if isinstance(each, logs._LineStream)]
    monkeypatch.setattr(logging.getLogger(), "handlers", ours)  # pytest's own would raise instead
    logging.getLogger("library").warning("%d tokens", canary.reveal())
    assert _last(out)["event"] == "line.lost"
    assert canary.reveal() not in out.getvalue()
    assert capsys.readouterr().err == ""


def test_warnings_take_the_same_way(out: io.StringIO, canary: Secret) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logs.configure("info", json=True, stream=out)
        warnings.warn(f"old way to send {canary.reveal()}", stacklevel=1)
        logging.captureWarnings(False)
    assert _last(out)["event"] == "warning.raised"
    assert canary.reveal() not in out.getvalue()
    assert BLOT in str(_last(out)["message"])


def _fault(text: str) -> tuple[type[BaseException], BaseException, object]:
    try:
        raise RuntimeError(text)
    except RuntimeError as fault:
        return RuntimeError, fault, fault.__traceback__


def test_an_exception_nobody_caught_takes_the_same_way(out: io.StringIO, canary: Secret) -> None:
    sys.excepthook(*_fault(f"at the top {canary.reveal()}"))
    thread = threading.Thread(target=lambda: int(canary.reveal()), name="worker-1")
    thread.start()
    thread.join()
    assert [line["event"] for line in _lines(out)] == ["exception.escaped"] * 2
    assert _last(out)["thread"] == "worker-1"
    assert canary.reveal() not in out.getvalue()
    assert out.getvalue().count(BLOT) == 2


def test_an_interrupt_from_the_keyboard_is_no_fault(out: io.StringIO) -> None:
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert out.getvalue() == ""


def test_a_task_whose_exception_was_never_fetched_takes_the_same_way(out: io.StringIO, canary: Secret) -> None:
    async def forget() -> None:
        async def fail() -> None:
            raise RuntimeError(f"unseen {canary.reveal()}")

        task = asyncio.get_running_loop().create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())
    assert "never retrieved" in str(_last(out)["message"])
    assert canary.reveal() not in out.getvalue()


def test_configuring_again_does_not_double_the_lines(out: io.StringIO) -> None:
    logs.configure("info", json=True, stream=out)
    structlog.get_logger().info("token.published")
    assert len(_lines(out)) == 1


def test_odd_values_do_not_lose_the_line(out: io.StringIO) -> None:
    structlog.get_logger().info(
        "x.seen", at=datetime(2026, 1, 2, tzinfo=UTC), kinds={"b", "a"}, raw=b"x", nothing=None, lines="a\nb\x1b[31m"
    )
    line = _last(out)
    assert (line["at"], line["kinds"], line["nothing"]) == ("2026-01-02T00:00:00+00:00", ["a", "b"], None)
    assert len(out.getvalue().splitlines()) == 1


def test_a_line_among_fifty_living_secrets_is_cheap(out: io.StringIO) -> None:
    keep = [Secret(f"pat_ey{number:03}" + "Zk3x9Qw7" * 25) for number in range(50)]
    log = structlog.get_logger()
    log.info("token.published", credential="web")
    began = time.process_time()
    for _ in range(200):
        log.info(
            "token.published", credential="blog/halo", rotation=42, phase="published", target="blog", duration=0.12
        )
    assert (time.process_time() - began) / 200 < 0.002  # seconds; about 0.00015 on an idle core
    del keep
