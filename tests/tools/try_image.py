"""`make try-image`: builds the Containerfile here, looks at what came out, and runs it as a cluster would.

It needs root, buildah and bwrap (Debian: apt-get install buildah bubblewrap) and a system Python 3.11. Public base
images are not asked for: both bases are stand-ins made from this machine's own files, the final one without a shell.
Where something is missing it says so and what would enable it, and ends well.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tests.sandbox.environment import World
from tests.tools.containerfile import image

HOUSE = Path(__file__).parents[2]
USER = 10001
SHELLS = {"sh", "bash", "dash", "ash", "zsh", "busybox", "ksh", "csh", "fish"}
STDLIB = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3")
ROLES = ["role-template-view-posts"]


def missing() -> str:
    """What keeps us from trying, and what would enable it; empty when nothing does."""
    if os.geteuid() != 0:
        return "building without a container engine's set-up needs root: run it as root"
    absent = [name for name in ("buildah", "bwrap") if shutil.which(name) is None]
    if absent:
        return f"{' and '.join(absent)} not found: apt-get install buildah bubblewrap"
    return "" if Path("/usr/bin/python3.11").exists() else "the stand-in base needs a system Python 3.11"


def say(line: str) -> None:
    """A line for the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(*command: str, **options: object) -> str:
    """A command to its good end; its output. Raises AssertionError with what it said."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)
    assert not ended.returncode, f"{' '.join(command[:4])}: {ended.returncode}\n{(ended.stdout + ended.stderr)[-3000:]}"
    return ended.stdout


# --- bases ----------------------------------------------------------------------------------------------------------


def needs(binary: Path) -> set[Path]:
    """The shared libraries a program is linked with."""
    ended = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    words = {word for line in ended.stdout.splitlines() for word in line.split()}
    return {Path(word) for word in words if word.startswith("/")}


def place(root: Path, path: Path) -> None:
    """Copy a file to where it is, following links."""
    there = root / path.relative_to("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, there)


def python_base(root: Path) -> None:
    """A Python 3.11 at /usr/bin with its standard library, certificates, and nothing else."""
    library = Path("/usr/lib/python3.11")
    programs = [Path("/usr/bin/python3.11"), *library.glob("lib-dynload/*.so")]
    libraries = Path("/usr/lib") / sysconfig.get_config_var("MULTIARCH")
    shims = [
        libraries / name for name in ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libgcc_s.so.1")
    ]
    for file in {Path("/usr/bin/python3.11"), *shims, *(lib for each in programs for lib in needs(each))}:
        place(root, file)
    shutil.copytree(library, root / "usr/lib/python3.11", ignore=STDLIB)
    for folder in ("tmp", "run/rotator", "proc", "dev", "etc/rotator"):  # a runtime makes what it mounts over
        (root / folder).mkdir(parents=True, exist_ok=True)
    place(root, Path("/etc/ssl/certs/ca-certificates.crt"))


def build_base(root: Path) -> None:
    """The same with pip, `env`, and this machine's way to its package index."""
    python_base(root)
    (root / "usr/bin/python3").symlink_to("python3.11")
    import pip

    shutil.copytree(Path(pip.__file__).parent, root / "usr/lib/python3.11/pip", ignore=STDLIB)
    for file in {Path("/usr/bin/env"), *needs(Path("/usr/bin/env"))}:
        place(root, file)
    answers = run(sys.executable, "-m", "pip", "config", "list").replace(":env:.", "global.").splitlines()
    lines = {key.removeprefix("global."): value.strip("'") for key, _, value in (x.partition("=") for x in answers)}
    (root / "etc/pip.conf").write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()))


def buildah(store: Path, *arguments: str) -> str:
    """One call of buildah, with a store of our own."""
    places = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=vfs"]
    return run("buildah", *places, *arguments).strip()


def import_base(store: Path, root: Path, name: str) -> None:
    """An image of one layer: the folder."""
    container = buildah(store, "from", "scratch")
    buildah(store, "add", container, str(root), "/")
    buildah(store, "commit", "--quiet", container, name)
    buildah(store, "rm", container)


def build(folder: Path) -> Path:
    """Build the image; gives its root tree and its configuration beside it."""
    for name, make in (("build-base", build_base), ("base", python_base)):
        (folder / name).mkdir()
        make(folder / name)
        import_base(folder / "store", folder / name, f"localhost/{name}")
    bases = ["--build-arg=BUILD_BASE=localhost/build-base", "--build-arg=BASE=localhost/base"]
    context = folder / "context"
    for part in ("rotator", "config"):
        shutil.copytree(HOUSE / part, context / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOUSE / part, context)
    wheels = [f"--volume={path}:{path}:ro" for path in ("/opt/wheels",) if Path(path).is_dir()]
    options = ["--isolation=chroot", "--network=host", "--format=docker", *wheels, *bases]
    file = f"--file={context / 'config/container/Containerfile'}"
    buildah(folder / "store", "bud", "--quiet", *options, file, "--tag=rotator", str(context))
    container = buildah(folder / "store", "from", "localhost/rotator")
    mounted = buildah(folder / "store", "mount", container)
    # Out of buildah's own folders, which are closed to the number that the image runs as.
    shutil.copytree(mounted, folder / "tree", symlinks=True)
    return folder / "tree"


# --- what came out --------------------------------------------------------------------------------------------------


def looked_at(folder: Path, root: Path) -> None:
    """No shell, no set-uid file, nothing of the build; a number for a user; commands in exec form."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not {path.name for path in files} & SHELLS, "there is a shell"
    assert not [path for path in files if path.stat().st_mode & 0o6000], "there are set-uid files"
    assert not list(root.rglob("hatchling*")) + list(root.rglob("pip")), "the build's tools are still there"
    assert not [path for path in (root / "opt").rglob("*") if path.stat().st_mode & 0o022 and not path.is_symlink()]
    (package,) = root.glob("opt/rotator/lib/python3*/site-packages/rotator")
    assert (package / "cli").is_dir()
    assert not [name for name in ("sandbox", "demo") if (package / name).exists()], "it has what is for trying it"
    size = sum(path.stat().st_size for path in files)
    ours = sum(path.stat().st_size for path in files if path.is_relative_to(root / "opt"))
    config = json.loads(buildah(folder / "store", "inspect", "--type=image", "localhost/rotator"))["Docker"]["config"]
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"][0] == "/opt/rotator/bin/python"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    say(f"  image: {size / 1e6:.0f} MB, {ours / 1e6:.0f} MB of it ours; no shell, no set-uid file, user {USER}")
    say("  image: neither the sandbox nor the demo is in it")


def confined(root: Path, world: World, *command: str) -> list[str]:
    """A command in the image's tree: read-only, no capability, a number for a user, one small folder to write to."""
    mounts = ["--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--ro-bind", str(world.folder / "etc")]
    mounts += ["/etc/rotator", "--bind", str(world.folder / "run"), "/run/rotator"]
    numbers = [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={USER}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    python = [] if command[0] == "rotate" else ["/opt/rotator/bin/python", "-I"]
    inner = ["bwrap", "--unshare-user", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL", "--clearenv"]
    variables = [part for each in image()["ENV"].split() for part in ("--setenv", *each.split("=", 1))]
    return [*numbers, *inner, *variables, *mounts, "--", *python, *command]


def tried(root: Path, world: World) -> None:
    """The daemon runs, is found alive, rotates when asked from inside, cannot write, and ends on SIGTERM."""
    daemon = subprocess.Popen(confined(root, world, "-m", "rotator", "run", "--log", "json"), stderr=subprocess.PIPE)
    try:
        check = confined(root, world, "/opt/rotator/alive.py")
        began = time.monotonic()
        while subprocess.run(check, capture_output=True, check=False).returncode:
            assert daemon.poll() is None, daemon.stderr.read().decode()[-3000:]
            assert time.monotonic() - began < 30, "the health check does not turn green"
            time.sleep(0.2)
        say(f"  run: healthy after {time.monotonic() - began:.1f} s")
        run(*confined(root, world, "rotate", "now", "blog-ci"))  # as `kubectl exec` has it
        assert world.halo.accepts(world.published("blog-ci"))
        write = "import pathlib; pathlib.Path('/opt/rotator/x').write_text('x')"
        ended = subprocess.run(confined(root, world, "-c", write), capture_output=True, check=False)
        assert b"Read-only" in ended.stderr
        status = run(*confined(root, world, "-c", "print(open('/proc/self/status').read())"))
        assert "CapBnd:\t0000000000000000" in status
        assert f"Uid:\t{USER}" in status
        say(f"  run: rotated on request; read-only root, no capability, uid {USER}")
        began = time.monotonic()
        (inner,) = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split() or [daemon.pid]
        os.kill(int(inner), signal.SIGTERM)
        assert daemon.wait(30) == 0
        say(f"  run: SIGTERM to exit 0 in {time.monotonic() - began:.1f} s")
    finally:
        if daemon.poll() is None:
            daemon.kill()
        daemon.wait(10)
        daemon.stderr.close()
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1, (
        "a daemon that is gone is still found alive"
    )


def main() -> int:
    """Build, look, run."""
    if reason := missing():
        say(f"skipped, nothing was tried: {reason}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="rotator-image-"))
    try:
        began = time.monotonic()
        root = build(folder)
        say(f"  built in {time.monotonic() - began:.0f} s by {run('buildah', '--version').strip()}")
        looked_at(folder, root)
        with World() as world:
            world.add("blog-ci", roles=ROLES)
            for name in ("etc", "run"):
                (world.folder / name).mkdir()
            shutil.copy(world.secret_id, world.folder / "etc" / "secret-id")
            auth = {"method": "approle", "role_id": world.role_id, "secret_id": {"file": "/etc/rotator/secret-id"}}
            made = world.write_settings(
                daemon={"socket": "/run/rotator/control.sock"}, vault={"auth": auth}, target={"settle": "1s"}
            )
            shutil.copy(made, world.folder / "etc" / "rotator.toml")
            os.chown(world.folder / "etc" / "secret-id", USER, USER)
            for path in (folder, world.folder, world.folder / "etc", world.folder / "etc" / "rotator.toml"):
                path.chmod(0o755)
            os.chown(world.folder / "run", USER, USER)
            tried(root, world)
        say("the image does what it should")
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
