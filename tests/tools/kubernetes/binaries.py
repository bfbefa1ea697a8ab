"""The programs of a Kubernetes, built from the Go module proxy into a folder, once."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.tools.oauth.journey import say

VERSION, STAGING = "v1.34.4", "v0.34.4"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
HELM, HELM_VERSION = "helm.sh/helm/v3/cmd/helm", "v3.19.5"
ETCD, ETCD_VERSION = "go.etcd.io/etcd/server/v3", "v3.6.4"
_STAMP = "-s -w -X k8s.io/component-base/version.gitVersion=" + VERSION
# The first process of every pod: it waits until it is ended.
_PAUSE = """package main

import (
\t"os"
\t"os/signal"
\t"syscall"
)

func main() {
\tended := make(chan os.Signal, 1)
\tsignal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
\t<-ended
}
"""


def go(folder: Path, *words: str) -> str:
    """One call of Go in a folder with a module; its output. Raises CalledProcessError, after Go's own words."""
    here = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    command = ["nice", "-n", "10", "go", *words]
    return subprocess.run(command, cwd=folder, env=here, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def built(folder: Path) -> Path:
    """The folder with every program in it; what is not there yet is built. A quarter of an hour on two free cores."""
    for program in PROGRAMS:
        if not (folder / program).exists():
            say(f"building {program} {VERSION} in {folder}")
            module(folder, "kubernetes", scratch)
            target = f"k8s.io/kubernetes/cmd/{program}"
            go(folder / "kubernetes", "build", "-p", "2", "-ldflags", _STAMP, "-o", str(folder / program), target)
    for program, package, version in (("etcd", ETCD, ETCD_VERSION), ("helm", HELM, HELM_VERSION)):
        if not (folder / program).exists():
            say(f"building {program} {version} in {folder}")
            module(folder, f"{program}-module", lambda _: "module scratch\n")
            go(folder / f"{program}-module", "get", f"{package}@{version}")
            go(folder / f"{program}-module", "build", "-p", "2", "-o", str(folder / program), package)
    if not (folder / "pause").exists():
        module(folder, "pause-module", lambda _: "module scratch\n")
        (folder / "pause-module" / "main.go").write_text(_PAUSE)
        go(folder / "pause-module", "build", "-o", str(folder / "pause"), ".")
    return folder


def module(folder: Path, name: str, text: Callable[[Path], str]) -> None:
    """A folder with a go.mod, unless it is there. `text` makes it of the module folder."""
    there = folder / name
    if not (there / "go.mod").exists():
        there.mkdir(parents=True, exist_ok=True)
        (there / "go.mod").write_text("module scratch\n")
        (there / "go.mod").write_text(text(there))


def scratch(folder: Path) -> str:
    """A module that requires Kubernetes, with its own choice of everything, and its staging modules as released."""
    go(folder, "mod", "download", f"k8s.io/kubernetes@{VERSION}")
    own = Path(go(folder, "env", "GOMODCACHE")) / f"cache/download/k8s.io/kubernetes/@v/{VERSION}.mod"
    text = re.sub(r"^module \S+$", "module scratch", own.read_text(), count=1, flags=re.MULTILINE)
    # Its staging modules are folders beside it, which no module contains.
    text = re.sub(r"^(\s*)(\S+) => \./.*$", rf"\1\2 => \2 {STAGING}", text, flags=re.MULTILINE)
    return f"{text}\nrequire k8s.io/kubernetes {VERSION}\n"
