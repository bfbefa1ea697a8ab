"""The machine of `make try-systemd`: boots this machine's own systemd on a throw-away root, and tells booted.py.

It needs root, Linux, systemd-nspawn (Debian: apt-get install systemd-container) and a system Python of the same
version as this one. Where something is missing it says so and what would enable it, and ends well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOUSE = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
LONGEST = 600  # seconds for everything
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*editable*", "ruff*", "mypy*", "pip", "hypothesis*")


def missing() -> str:
    """What keeps us from trying, and what would enable it; empty when nothing does."""
    if os.geteuid() != 0:
        return "booting a system needs root: run it as root"
    absent = [name for name in ("systemd-nspawn", "nsenter") if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not found: apt-get install systemd-container util-linux"
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}')"
    theirs = subprocess.run([SYSTEM_PYTHON, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
    if theirs != ours:
        return (
            f"{SYSTEM_PYTHON} is {theirs or 'absent'}, the environment {ours}: make PYTHON={SYSTEM_PYTHON} clean test"
        )
    return ""


def install(folder: Path) -> None:
    """The package and everything it needs, as a virtual environment of the system's Python, without a download."""
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    shutil.copytree(sysconfig.get_path("purelib"), site, ignore=NOT_COPIED, dirs_exist_ok=True)
    for part in ("rotator", "config", "tests"):  # the sandbox is part of the tests
        shutil.copytree(HOUSE / part, site / part, ignore=NOT_COPIED, dirs_exist_ok=True)


@contextmanager
def booted(folder: Path) -> Iterator[int]:
    """Boot; gives the process id of the inner systemd. Ends it by the id of the nspawn started here."""
    binds = [f"--bind-ro={folder / 'opt'}:/opt/rotator", f"--bind={folder / 'mnt'}:/mnt"]
    command = ["systemd-nspawn", "-D", "/", "--volatile=yes", "--boot", "--register=no", "--keep-unit"]
    with (folder / "console").open("wb") as console:
        machine = subprocess.Popen(
            ["timeout", str(LONGEST), *command, "--private-network", "--console=pipe", *binds],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
    try:
        yield inner_systemd(machine)
    finally:
        machine.terminate()
        machine.wait(30)


def children(pid: int) -> list[int]:
    """The processes that a process has started; none when it has ended."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def inner_systemd(machine: subprocess.Popen[bytes]) -> int:
    """The first process of the booted system, once it has taken over. Raises TimeoutError."""
    for _ in range(600):
        for pid in (inner for nspawn in children(machine.pid) for inner in children(nspawn)):
            root = Path(f"/proc/{pid}/root")
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" and (root / "mnt" / "booted.py").exists():
                return pid
        time.sleep(0.05)
    raise TimeoutError("systemd-nspawn has booted nothing")


def main() -> int:
    """Boot, run the story inside, tell its exit code."""
    if reason := missing():
        sys.stdout.write(f"skipped, nothing was tried: {reason}\n")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="rotator-booted-"))
    try:
        install(folder / "opt")
        (folder / "mnt").mkdir()
        shutil.copy(Path(__file__).with_name("booted.py"), folder / "mnt")
        shutil.copytree(HOUSE / "systemd", folder / "mnt" / "systemd")
        with booted(folder) as pid:
            enter = ["nsenter", "-t", str(pid), "-m", "-p", "-i", "-u", "-n"]
            story = ["/opt/rotator/bin/python", "-I", "/mnt/booted.py"]
            ended = subprocess.run([*enter, *story], stdin=subprocess.DEVNULL, timeout=LONGEST, check=False)
        if ended.returncode:
            sys.stdout.write((folder / "console").read_text(errors="replace")[-3000:])
        return ended.returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
