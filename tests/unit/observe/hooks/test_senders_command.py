"""A hook's command, as a real process: what it is given, what it is not, and how it ends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from rotator.observe.hooks.facts import gather
from rotator.observe.hooks.senders import run
from rotator.ports import Fault, Refused, Transient
from rotator.settings import HookMoment
from tests.unit.observe.hooks import transitions as they
from tests.unit.vault.worlds import canary

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]
FACTS = gather(they.publication(), HookMoment.PUBLISHED)


@pytest.fixture
def script(tmp_path: Path):
    def write(body: str) -> tuple[str, ...]:
        path = tmp_path / "hook.sh"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return (str(path), str(tmp_path))

    return write


def gone(pid: int) -> bool:
    """Whether a process is over; one that nobody has waited for yet is."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not true():  # noqa: ASYNC110 (another process cannot set an event of ours)
            await anyio.sleep(0.01)


async def test_a_command_reads_the_facts_and_finds_names_in_its_environment(script, tmp_path: Path) -> None:
    await run(script('cat >"$1/stdin"; env >"$1/env"; pwd >"$1/cwd"'), 10, FACTS)
    assert (tmp_path / "stdin").read_bytes() == FACTS.body
    assert (tmp_path / "cwd").read_text() == "/\n"
    environ = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    names = {key for key in environ if not key.startswith("ROTATOR_")}
    assert names <= {"PATH", "LANG", "PWD", "SHLVL", "_"}  # the last three are the shell's own
    assert {key: value for key, value in environ.items() if key.startswith("ROTATOR_")} == FACTS.names


async def test_no_secret_of_ours_reaches_a_command_by_any_way(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = canary("command")
    monkeypatch.setenv("VAULT_TOKEN", secret.reveal())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={secret.reveal()}")
    facts = gather(they.fault(f"the target said {secret.reveal()}"), HookMoment.FAULTED)
    command = script(
        'cat >"$1/stdin"; tr "\\0" "\\n" </proc/$$/environ >"$1/env"\n'
        'tr "\\0" "\\n" </proc/$$/cmdline >"$1/argv"; ls -l /proc/$$/fd >"$1/fd"'
    )
    await run(command, 10, facts)
    told = {name: (tmp_path / name).read_text() for name in ("stdin", "env", "argv", "fd")}
    assert all(told.values())
    assert [name for name, text in told.items() if secret.reveal() in text] == []
    assert "[redacted]" in told["stdin"]


async def test_nothing_in_a_command_is_expanded(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    await run(("/bin/echo", f"$(touch {marker})", f"; touch {marker}", "*"), 10, FACTS)
    assert not marker.exists()


async def test_at_the_limit_the_whole_group_is_killed(script, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(Transient, match=r"killed after 1 s: begun"):
        await run(script('echo begun; sleep 60 & echo "$! $$" >"$1/pids"; wait'), 1, FACTS)
    assert time.monotonic() - begun < 10
    child, leader = map(int, (tmp_path / "pids").read_text().split())
    await until(lambda: gone(child) and gone(leader))


async def test_a_command_of_which_the_caller_is_cancelled_is_killed(script, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with anyio.create_task_group() as group:
        group.start_soon(run, script('echo "$$ " >"$1/pids"; exec sleep 60'), 60, FACTS)
        await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
        group.cancel_scope.cancel()
    assert gone(int(pids.read_text()))


async def test_a_child_in_the_background_that_holds_the_pipe_delays_nobody_and_lives(script, tmp_path: Path) -> None:
    begun = time.monotonic()
    await run(script('sleep 30 & echo $! >"$1/pid"'), 20, FACTS)
    child = int((tmp_path / "pid").read_text())
    try:
        assert time.monotonic() - begun < 10
        assert not gone(child)
    finally:
        os.kill(child, 9)


async def test_a_failing_command_is_named_with_its_status_and_the_end_of_what_it_said(script) -> None:
    with pytest.raises(Transient) as failed:
        await run(script("yes nonsense | head -c 3000000; echo 'the disk is full' >&2; exit 3"), 10, FACTS)
    assert "exit status 3" in failed.value.reason
    assert failed.value.reason.endswith("the disk is full")
    assert len(failed.value.reason) < 2200


async def test_a_secret_that_a_command_prints_is_blotted_out(script) -> None:
    secret = canary("printed")
    path = script(f"echo {secret.reveal()}; exit 1")
    with pytest.raises(Transient) as failed:
        await run(path, 10, FACTS)
    assert secret.reveal() not in failed.value.reason
    assert "[redacted]" in failed.value.reason


async def test_a_command_killed_by_a_signal_says_so(script) -> None:
    with pytest.raises(Transient, match="killed by signal 15"):
        await run(script("kill -TERM $$"), 10, FACTS)


@pytest.mark.parametrize(("path", "why"), [("/no/such/program", "No such file"), ("/etc/passwd", "Permission denied")])
async def test_a_command_that_cannot_be_started_is_refused_with_the_reason(path: str, why: str) -> None:
    with pytest.raises(Refused, match=f"{path} cannot be started: {why}"):
        await run((path,), 10, FACTS)


async def test_a_command_that_reads_nothing_does_no_harm_and_leaves_no_descriptor_open() -> None:
    before = open_descriptors()
    large = gather(they.publication(), HookMoment.PUBLISHED)
    object.__setattr__(large, "body", json.dumps("x" * 1_000_000).encode())  # more than any pipe holds
    for _ in range(5):
        await run(("/bin/true",), 10, large)
        with pytest.raises(Fault):
            await run(("/no/such/program",), 10, large)
    assert open_descriptors() <= before + 1
