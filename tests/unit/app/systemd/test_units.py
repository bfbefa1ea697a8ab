"""The shipped units: systemd's own checkers find nothing, the sandbox is tight, and all three share it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from rotator.cli import COMMANDS
from rotator.commands.scaffold import unit_text
from rotator.settings.files import DEFAULT

UNITS = Path(__file__).parents[4] / "systemd"
SERVICES = ["rotator.service", "rotate-now@.service", "rotate-due.service"]
EXPOSURE = 1.2  # of 10; 9.6 without any hardening (systemd 252)
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="no systemd-analyze here: install systemd 252 or newer to check this",
)


def section(unit: str, name: str) -> list[str]:
    """The lines of one section, without comments."""
    text = (UNITS / unit).read_text().partition(f"[{name}]")[2].partition("\n[")[0]
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def sandbox(unit: str) -> list[str]:
    """Everything from DynamicUser= on."""
    lines = section(unit, "Service")
    return lines[lines.index("DynamicUser=yes") :]


@needs_analyze
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for source in UNITS.iterdir():
        text = source.read_text().replace("/opt/rotator/bin/python", "/bin/true")  # it checks that the program is there
        (tmp_path / source.name.replace("@.", "@blog-ci.")).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES)
def test_the_exposure_stays_low(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={int(EXPOSURE * 10)}"]
    ended = subprocess.run([*command, str(UNITS / unit)], capture_output=True, text=True, timeout=30)
    found = re.search(r"exposure level .*: ([\d.]+) ", ended.stdout)
    assert found, ended.stderr
    assert float(found[1]) <= EXPOSURE
    assert ended.returncode == 0


@pytest.mark.parametrize("unit", SERVICES[1:])
def test_the_services_share_one_sandbox(unit: str) -> None:
    assert sandbox(unit) == sandbox(SERVICES[0])


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_runs_a_command_there_is_without_a_shell(unit: str) -> None:
    (line,) = [line for line in section(unit, "Service") if line.startswith("ExecStart=")]
    python, isolated, *module, command = shlex.split(line.removeprefix("ExecStart="))[:5]
    assert (python, isolated, module) == ("/opt/rotator/bin/python", "-I", ["-m", "rotator"])
    assert command in COMMANDS


@pytest.mark.parametrize("unit", SERVICES)
def test_the_login_secret_comes_from_the_credential_store_and_is_in_no_environment(unit: str) -> None:
    lines = section(unit, "Service")
    assert "LoadCredential=vault-secret-id:rotator.vault-secret-id" in lines
    told = [line for line in lines if line.startswith(("Environment", "SetCredential", "PassEnvironment"))]
    assert told == ["Environment=ROTATOR_BOOT_ID=%b"]  # no secret; ProcSubset=pid hides it from the process itself


@pytest.mark.parametrize("unit", SERVICES)
def test_files_threads_and_memory_are_limited_well_above_what_the_work_takes(unit: str) -> None:
    """320 callers of the control socket, 64 of the status page, eight connections of each of a hundred targets."""
    limits = dict(line.split("=", 1) for line in section(unit, "Service") if "=" in line)
    assert int(limits["LimitNOFILE"]) >= 4096
    assert int(limits["TasksMax"]) >= 256
    assert limits["MemoryMax"]


def test_the_shipped_unit_limits_what_the_scaffold_does() -> None:
    made = unit_text((), "/opt/rotator/bin/python", DEFAULT, ["/srv/www/crm/jwks.json"])
    assert "LimitNOFILE=8192" in made
    assert "ReadWritePaths=-/srv/www/crm" in made


def test_the_manager_waits_longer_than_the_work_may_take() -> None:
    assert "TimeoutStopSec=45" in section("rotator.service", "Service")  # drain is 30 s by default
    for unit, option in (("rotate-now@.service", "--within"), ("rotate-due.service", "--within")):
        text = (UNITS / unit).read_text()
        within = int(re.search(rf"{option} (\d+)", text)[1])
        assert int(re.search(r"TimeoutStartSec=(\d+)", text)[1]) > within
