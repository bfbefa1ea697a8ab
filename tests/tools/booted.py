"""The story of `make try-systemd`, told inside a booted system: each chapter tries the shipped units for real.

The machine is try_booted.py's. OpenBao and the sandbox Halo run in here, too, on the loopback of a private network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.sandbox.environment import World

SETTINGS = Path("/etc/rotator/rotator.toml")
UNITS = Path("/etc/systemd/system")
QUICK = "[Service]\nWatchdogSec=6\nRestartSec=1\n"  # the only change to the shipped daemon: less waiting
ROLES = ["role-template-view-posts"]
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # as syslog(3) numbers them


def systemctl(*arguments: str, check: bool = True) -> str:
    """One call of systemctl; its output."""
    ended = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=40, check=False)
    if check and ended.returncode:
        raise AssertionError(
            f"systemctl {' '.join(arguments)}: {ended.returncode}: {ended.stderr.strip()}\n{journal()}"
        )
    return ended.stdout.strip()


def show(unit: str, key: str) -> str:
    """One property of a unit."""
    return systemctl("show", "-P", key, unit)


def journal() -> str:
    """The end of the system's journal."""
    command = ["journalctl", "--no-pager", "-n", "40", "-o", "cat"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def logged(event: str) -> int:
    """How often the daemon has logged an event."""
    command = ["journalctl", "--no-pager", "-o", "cat", "-t", "rotator"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return sum(json.loads(line)["event"] == event for line in lines if line.startswith("{"))


def until(what: str, true: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait until something is true; gives the seconds it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{journal()}")
        time.sleep(0.05)
    return time.monotonic() - began


def told(chapter: str, figure: str) -> None:
    say(f"  {chapter:<28} {figure}")


def say(line: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write_settings(world: World, **sections: Any) -> None:
    """The settings as an operator would have them: the login's secret is a systemd credential."""
    auth = {"method": "approle", "role_id": world.role_id, "secret_id": {"credential": "vault-secret-id"}}
    daemon = {"socket": "/run/rotator/control.sock"}
    defaults = {"every": "30d", "lifetime": "90d", "retire": {"after": "1s"}}
    target = {"settle": "1s"}
    made = world.write_settings(vault={"auth": auth}, daemon=daemon, defaults=defaults, target=target, **sections)
    SETTINGS.parent.mkdir(exist_ok=True)
    shutil.copy(made, SETTINGS)
    SETTINGS.chmod(0o644)


def set_up(world: World) -> None:
    """Units, settings and the credential, as an operator would install them."""
    write_settings(world)
    store = Path("/etc/credstore")
    store.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(world.secret_id, store / "rotator.vault-secret-id")
    shutil.copytree("/mnt/systemd", UNITS, dirs_exist_ok=True)
    (UNITS / "rotator.service.d").mkdir(exist_ok=True)
    (UNITS / "rotator.service.d" / "quick.conf").write_text(QUICK)
    systemctl("daemon-reload")
    systemctl("mask", "--runtime", "systemd-networkd-wait-online.service")  # there is no network to wait for in here


def start_to_ready(world: World) -> None:
    began = time.monotonic()
    systemctl("start", "rotator")
    told("start to READY", f"{time.monotonic() - began:.1f} s; status: {show('rotator', 'StatusText')}")
    assert world.halo.accepts(world.published("blog-ci"))


def confined(world: World) -> None:
    """What the kernel says of the process, and that the login's secret is nowhere to be seen."""
    pid = show("rotator", "MainPID")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    uid = int(status["Uid"].split()[0])
    assert 61184 <= uid <= 65519, "not a dynamic user"
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16)) == (0, 0)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    secret = world.secret_id.read_bytes().strip()
    assert secret not in Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    assert secret.decode() not in journal()
    told("confined", f"uid {uid}, no capability, no new privileges, system calls filtered; secret not in environ")


def now_over_the_socket(world: World) -> None:
    before = world.published("blog-ci")
    began = time.monotonic()
    systemctl("start", "rotate-now@blog-ci")
    assert not world.published("blog-ci").matches(before)
    assert logged("control.called") >= 1, "it did not ask the daemon"
    assert systemctl("is-failed", "rotate-now@nobody", check=False) == "inactive"
    systemctl("start", "rotate-now@nobody", check=False)
    assert show("rotate-now@nobody", "ExecMainStatus") == "2"
    told("rotate-now@blog-ci", f"{time.monotonic() - began:.1f} s, by the daemon; an unknown name fails with 2")


def reload(world: World) -> None:
    count = logged("settings.reloaded")
    world.add("blog-new", roles=ROLES)
    write_settings(world)
    systemctl("reload", "rotator")
    took = until("the new settings", lambda: logged("settings.reloaded") > count)
    until("the new name's value", lambda: "3 credentials" in show("rotator", "StatusText"))
    SETTINGS.write_text(SETTINGS.read_text() + "\n[nonsense]\n")
    systemctl("reload", "rotator", check=False)  # fails, and says why
    until("the refusal in the status", lambda: "Settings refused" in show("rotator", "StatusText"))
    assert systemctl("is-active", "rotator") == "active"
    told("reload", f"{took:.1f} s; faulty: {show('rotator', 'StatusText')[:90]}")
    write_settings(world)
    systemctl("reload", "rotator")
    until("the refusal to go", lambda: "refused" not in show("rotator", "StatusText"))


def watchdog(world: World) -> None:
    pid = int(show("rotator", "MainPID"))
    os.kill(pid, signal.SIGSTOP)
    killed = until("the watchdog's kill", lambda: show("rotator", "MainPID") not in (str(pid), "0"), 60)
    back = until("ready again", lambda: systemctl("is-active", "rotator", check=False) == "active")
    assert show("rotator", "NRestarts") == "1"
    until("three names looked at", lambda: "3 credentials;" in show("rotator", "StatusText"))
    told(
        "watchdog after SIGSTOP", f"killed and started anew after {killed:.1f} s (period 6 s), ready {back:.1f} s later"
    )


def stop_while_rotating(world: World) -> None:
    before = world.published("blog-ci")
    world.halo.fault(kind="slow", method="POST", path="personalaccesstokens", delay=3.0)
    calls = logged("control.called")
    systemctl("start", "--no-block", "rotate-now@blog-ci")
    until("the daemon to be asked", lambda: logged("control.called") > calls)
    time.sleep(0.7)
    began = time.monotonic()
    systemctl("stop", "rotator")
    took = time.monotonic() - began
    assert show("rotator", "Result") == "success"
    assert world.halo.accepts(world.published("blog-ci"))
    settled = logged("rotation.settled")
    systemctl("start", "rotator")
    until("the rotation's end", lambda: not world.published("blog-ci").matches(before), 60)
    until("the rotation to settle", lambda: logged("rotation.settled") > settled, 60)
    assert world.halo.accepts(world.published("blog-ci"))
    live = [each for each in world.halo.tokens() if not each["spec"].get("revoked")]
    assert len(live) == 1 + len(world.credentials), f"{len(live)} live tokens: a stray, or one too few"
    told("stop while rotating", f"{took:.1f} s with a mint of 3 s under way; finished after the next start, no stray")


def vault_away(world: World) -> None:
    systemctl("stop", "rotator")
    world.bao.seal()
    systemctl("start", "--no-block", "rotator")
    until("the reason in the status", lambda: "Waiting for Vault" in show("rotator", "StatusText"))
    assert show("rotator", "ActiveState") == "activating"
    told("start while Vault is sealed", f"activating; status: {show('rotator', 'StatusText')[:70]}")
    world.bao.unseal()
    until("ready after the unsealing", lambda: show("rotator", "ActiveState") == "active")


def faulty_settings(world: World) -> None:
    systemctl("stop", "rotator")
    SETTINGS.write_text("[vault]\n")
    systemctl("start", "rotator", check=False)
    assert (show("rotator", "Result"), show("rotator", "ExecMainStatus")) == ("exit-code", "78")
    time.sleep(2)
    assert show("rotator", "ActiveState") == "failed", "it was started again, though only a person can help"
    told("faulty settings at start", "exit 78, failed, not started again")
    write_settings(world)
    systemctl("reset-failed", "rotator")


def encrypted_credential(world: World) -> None:
    """As the head of rotator.service describes it, with the plain file gone."""
    plain, hidden = Path("/etc/credstore/rotator.vault-secret-id"), Path("/etc/credstore.encrypted")
    hidden.mkdir(mode=0o700, exist_ok=True)
    # Without --with-key, systemd 252 refuses a host key on a root that is kept in memory, as this one is.
    options = ["--with-key=host", "--name=vault-secret-id"]
    command = ["systemd-creds", "encrypt", *options, str(plain), str(hidden / plain.name)]
    subprocess.run(command, check=True, capture_output=True)
    kept = plain.rename("/etc/kept-secret-id")
    drop_in = UNITS / "rotator.service.d" / "encrypted.conf"
    drop_in.write_text("[Service]\nLoadCredential=\nLoadCredentialEncrypted=vault-secret-id:rotator.vault-secret-id\n")
    systemctl("daemon-reload")
    systemctl("start", "rotator")
    assert kept.read_bytes() not in (hidden / plain.name).read_bytes()
    told("encrypted credential", f"ready; status: {show('rotator', 'StatusText')}")
    systemctl("stop", "rotator")
    kept.rename(plain)
    drop_in.unlink()
    systemctl("daemon-reload")


def hidden_home(world: World) -> None:
    """An interpreter below a home: `init` warns of it, the unit cannot start it, and systemd says why."""
    home, made = Path("/home") / "ada", Path("/etc/rotator-of-ada")
    shutil.copytree("/opt/rotator", home, symlinks=True)
    python = str(home / "bin" / "python")
    made.mkdir()
    command = [python, "-I", "-m", "rotator", "init", str(made), "--from", str(SETTINGS)]
    warned = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"ProtectHome hides {home}" in warned.stdout + warned.stderr, warned.stdout + warned.stderr
    (unit,) = made.rglob("*.service")
    (UNITS / "rotator-of-ada.service").write_text(unit.read_text())
    systemctl("daemon-reload")
    systemctl("start", "rotator-of-ada", check=False)
    status = show("rotator-of-ada", "ExecMainStatus")
    assert status in ("203", "126"), f"{status}: {journal()}"
    systemctl("stop", "rotator-of-ada")
    told("an interpreter below /home", f"`init` warns; the unit ends with {status}/EXEC, as ProtectHome hides it")


def now_without_daemon(world: World) -> None:
    before = world.published("blog-web")
    began = time.monotonic()
    systemctl("start", "rotate-now@blog-web")
    assert not world.published("blog-web").matches(before)
    told("rotate-now@, no daemon", f"{time.monotonic() - began:.1f} s, by itself")


def timer(world: World) -> None:
    world.add("blog-late", roles=ROLES)
    write_settings(world)
    (UNITS / "rotate-due.timer.d").mkdir(exist_ok=True)
    (UNITS / "rotate-due.timer.d" / "quick.conf").write_text("[Timer]\nOnActiveSec=1\nRandomizedDelaySec=0\n")
    systemctl("daemon-reload")
    systemctl("start", "rotate-due.timer")
    took = until("a pass by the timer", lambda: show("rotate-due", "ExecMainExitTimestampMonotonic") != "0", 90)
    assert show("rotate-due", "ExecMainStatus") == "0", journal()
    assert world.halo.accepts(world.published("blog-late"))
    assert show("rotate-due.timer", "NextElapseUSecRealtime")
    told(
        "rotate-due.timer",
        f"fired and done after {took:.1f} s; next {show('rotate-due.timer', 'NextElapseUSecRealtime')}",
    )


def priorities(world: World) -> None:
    """Of all that the daemon has said in here, `journalctl -p err` shows the errors, and nothing else."""
    world.bao.call("POST", f"{world.mount}/data/apps/blog-ci/halo", {"data": {"token": "by somebody else"}})
    systemctl("start", "rotator")
    until("it is held", lambda: systemctl("start", "rotate-now@blog-ci", check=False) or logged("credential.held"))
    systemctl("stop", "rotator")
    everything, errors = said_by_the_daemon(), said_by_the_daemon("-p", "err")
    lines = [(json.loads(text)["level"], number) for text, number in everything if text.startswith("{")]
    wrong = [(level, number) for level, number in lines if number != PRIORITIES[level]]
    assert not wrong, f"other priorities than their level's: {wrong}"
    assert errors == [(text, number) for text, number in everything if number <= PRIORITIES["error"]]
    assert any(text.startswith("{") for text, _ in errors), "the story had an error in it"
    sentences = [text for text, _ in errors if not text.startswith("{")]  # why a start or a reload failed
    assert any("nonsense: unknown section" in each for each in sentences), sentences
    assert any("in the settings; nothing was done" in each for each in sentences), sentences
    assert "reloaded: 3 credentials" not in sentences
    told(
        "journalctl -p err",
        f"{len(errors)} of {len(everything)} lines; by level: {Counter(level for level, _ in lines)}",
    )


def said_by_the_daemon(*arguments: str) -> list[tuple[str, int]]:
    """Its entries in the journal, those of its reloads included: the text, and how grave the journal takes it to be."""
    command = ["journalctl", "--no-pager", "-o", "json", "-t", "rotator", *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(entry["MESSAGE"], int(entry["PRIORITY"])) for entry in map(json.loads, lines)]


CHAPTERS = [
    start_to_ready, confined, now_over_the_socket, reload, watchdog, stop_while_rotating, vault_away, faulty_settings,
    encrypted_credential, hidden_home, now_without_daemon, timer, priorities,
]  # fmt: skip


def main() -> None:
    version = systemctl("--version").splitlines()[0]
    until("the system to be up", lambda: systemctl("is-system-running", check=False) in ("running", "degraded"), 60)
    say(f"booted: {version}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False, capture_output=True)
    with World() as world:
        world.add("blog-ci", roles=ROLES)
        world.add("blog-web", roles=ROLES)
        set_up(world)
        try:
            for chapter in CHAPTERS:
                chapter(world)
        except (AssertionError, subprocess.TimeoutExpired):
            say(journal())
            raise
    say("every chapter ended well")


if __name__ == "__main__":
    sys.exit(main())
