"""`make try-vault`: the demo, `tests/unit/vault` and the system tests on a HashiCorp Vault, given or built.

    VAULT_BINARY=/path/to/vault python -m tests.tools.try_vault [FOLDER] [pytest's own options]

Without VAULT_BINARY, Vault's community edition is built in FOLDER from the Go module proxy, once; that takes Go, about
3 GB of disk and, on two busy cores, half an hour. What only OpenBao has is skipped by name (`only_openbao`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.sandbox.openbao_binary import VARIABLE
from tests.tools.oauth.journey import say

MODULE, VERSION = "github.com/hashicorp/vault", "v1.18.5"
# Vault's own go.mod takes these from folders beside it, which no module contains: the releases next to it, see `fit`.
RELEASED = {"api": "v1.16.0", "sdk": "v0.15.0"}
TAGS = "minimal"  # without clouds and databases: KV, Transit, AppRole, JWT, certificates, raft
ALONE = [f"tests/system/test_{name}.py" for name in ("demo", "day", "race", "kill_anywhere", "raft")]


def build(folder: Path) -> Path:
    """The binary; built when it is not there yet. Raises CalledProcessError, after Go's own words."""
    binary = folder / f"vault-{VERSION}"
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    say(f"building {MODULE} {VERSION} in {folder}")
    here = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}

    def go(*words: str) -> str:
        command = ["nice", "-n", "10", "go", *words]
        return subprocess.run(
            command, cwd=folder, env=here, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    (folder / "go.mod").write_text("module scratch\n")
    go("mod", "download", f"{MODULE}@{VERSION}", f"{MODULE}/sdk@{RELEASED['sdk']}")
    cache = Path(go("env", "GOMODCACHE"))
    fit(cache / f"{MODULE}/sdk@{RELEASED['sdk']}", folder / "sdk")
    (folder / "go.mod").write_text(scratch((cache / "cache/download" / MODULE / "@v" / f"{VERSION}.mod").read_text()))
    go("build", "-p", "1", "-tags", TAGS, "-o", str(binary), MODULE)
    return binary


def scratch(own: str) -> str:
    """A module that requires Vault, with Vault's own choice of everything else."""
    text = re.sub(r"^module \S+$", "module scratch", own, count=1, flags=re.MULTILINE)
    text = re.sub(r"^replace \S+ => \./.*\n", "", text, flags=re.MULTILINE)
    for name, version in RELEASED.items():
        text = re.sub(rf"(\s{MODULE}/{name}) v\S+", rf"\1 {version}", text)
    return f"{text}\nrequire {MODULE} {VERSION}\n\nreplace {MODULE}/sdk => ./sdk\n"


def fit(released: Path, folder: Path) -> None:
    """The release of the sdk without two methods that Vault 1.18.5 does not have; plugins of Enterprise call them."""
    shutil.copytree(
        released, folder, copy_function=shutil.copyfile, dirs_exist_ok=True
    )  # what is in Go's cache is read-only
    view, wire = folder / "logical/system_view.go", folder / "plugin/grpc_system.go"
    methods = r"\t// RegisterRotationJob returns a rotation ID.*?(?=^}$)"
    view.write_text(re.sub(methods, "", view.read_text(), count=1, flags=re.MULTILINE | re.DOTALL))
    text = re.sub(
        r"rotationID, err := s\.impl\.\S+ cfgReq\)", 'rotationID, err := "", errMissingSystemView', wire.read_text()
    )
    text = re.sub(r"err := s\.impl\.DeregisterRotationJob\(ctx, cfgReq\)", "err := errMissingSystemView", text)
    wire.write_text(
        re.sub(r"(errMissingSystemView)$(?=\n\tif err != nil)", r"\1\n\t_ = cfgReq", text, flags=re.MULTILINE)
    )


def main(folder: str = ".", *options: str) -> int:
    """Build or take, then show and test; the exit code is 0 when all went well."""
    if not os.environ.get(VARIABLE) and shutil.which("go") is None:
        say(f"name a server, {VARIABLE}=/path/to/vault make try-vault, or install Go: then one is built")
        return 2
    given = os.environ.get(VARIABLE) or str(build(Path(folder).resolve()))
    here = {**os.environ, VARIABLE: given}
    subprocess.run([given, "version"], check=True)
    python, pytest = sys.executable, [sys.executable, "-m", "pytest", "-q", *options]
    runs = {
        "demo": [python, "-m", "tests.sandbox.demo", "--plain"],
        "what computes": [
            *pytest,
            "-n",
            "2",
            "tests/unit/vault",
            "tests/contract",
            "tests/system/cluster",
            "tests/unit/commands",
        ],
        "what waits": [
            *(*pytest, "-n", "3", "--dist", "loadfile", "-m", "system"),
            *("tests/system", *(f"--ignore={x}" for x in ALONE)),
        ],
    }
    ended = {what: subprocess.run(run, env=here, check=False).returncode for what, run in runs.items()}
    say("; ".join(f"{what}: {code}" for what, code in ended.items()))
    return max(map(abs, ended.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
