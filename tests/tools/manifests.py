"""`make manifests`: writes the alerts in the words of a cluster, and records what kustomize and helm make of config/.

    python -m tests.tools.manifests [FOLDER]
    python -m tests.tools.manifests alerts      # these only, for which no program is needed

KUSTOMIZE and HELM name the programs, else they are taken from the PATH, else built in FOLDER from the Go module proxy,
once. The recordings are what tests/system/cluster/test_manifests.py looks at where there is neither program.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.tools.oauth.journey import say

HOUSE = Path(__file__).parents[2]
CONFIG = HOUSE / "config"
BASE, CHART = CONFIG / "kubernetes", CONFIG / "helm" / "rotator"
ALERTS = BASE / "components" / "prometheus-operator" / "prometheusrule.yaml"
RECORDED = HOUSE / "tests" / "system" / "cluster" / "recorded"
BUILT = {
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"),
    "helm": ("helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3/cmd/helm@v3.19.5"),
}
RELEASE, NAMESPACE, IMAGE, TAG = "rotator", "team-secrets", "registry.test/team/rotator", "9.9.9"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
COMPONENTS = ("prometheus-operator", "cronjob", "rotate-now", "priority-class")  # each together with all the others

# --- alerts ---------------------------------------------------------------------------------------------------------

_HEAD = """\
# `make manifests` writes this from config/prometheus/rules.yml: the same alerts, in the words of a cluster. `spec` is
# what a rules file of Prometheus holds. Put the address of your copy before its links as rules.yml says.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: rotator
  namespace: rotator
  labels: {app.kubernetes.io/name: rotator, app.kubernetes.io/instance: rotator, app.kubernetes.io/part-of: rotator}
spec:
"""
_NS, _POD = "{{ $labels.namespace }}", "{{ $labels.pod }}"
_WORDS = {
    "at the latest when the host restarts": "at the latest when the pod is replaced",
    "Load and memory of the host": "Load and memory of the node",
    "who was on the host": "who could write to the volume",
    "Whoever reads the log (journald, the container runtime)": "The container runtime, which takes the lines",
    "where [audit] file is": "of the volume where [audit] file is",
}
_SILENT = (
    "kubectl get pods -A -o wide -l app.kubernetes.io/name=rotator; "
    "kubectl -n rotator logs deploy/rotator --tail=100; kubectl -n rotator describe deploy/rotator"
)


def alerts(rules: str) -> str:
    """The manifest of the alerts, from the text of a rules file."""
    body = rules[rules.index("groups:") :]
    return _HEAD + "".join(f"  {line}\n" if line else "\n" for line in map(_in_cluster, _rules(body)))


def _rules(body: str) -> Iterator[tuple[str, str]]:
    """Each line, with the text of the rule that it belongs to."""
    for rule in re.split(r"(?=^      - alert:)", body, flags=re.MULTILINE):
        for line in rule.splitlines():
            yield line, rule


def _in_cluster(line_and_rule: tuple[str, str]) -> str:
    line, rule = line_and_rule
    if "expr:" in line:
        return re.sub(r"by \((\w+)", _by, line)
    for here, there in _WORDS.items():
        line = line.replace(here, there)
    line = line.replace("$labels.instance", "$labels.pod")
    if found := re.match(r"( +type: )'(.*)'$", line):
        pod = "by (instance" in rule
        typed = _SILENT if "absent(" in rule else "; ".join(_typed(each, of_pod=pod) for each in found[2].split("; "))
        return f"{found[1]}'{typed}'"
    return line


def _by(found: re.Match[str]) -> str:
    first = {"instance": "namespace, pod", "job": "namespace"}.get(found[1], f"namespace, {found[1]}")
    return f"by ({first}"


def _typed(command: str, *, of_pod: bool) -> str:
    """A command of a host, in the cluster."""
    where = f"kubectl -n {_NS}"
    pod = _POD if of_pod else "deploy/rotator"
    reload = "rotate reload" if of_pod else f"{where} rollout restart deploy/rotator"
    command = command.replace("systemctl reload rotator", reload)
    command = command.replace("systemctl restart rotator", f"{where} delete pod {_POD}")
    command = re.sub(r"journalctl -u rotator -g (\S+)", rf"{where} logs {_POD} | grep \1", command)
    command = command.replace("df -h /var/lib/rotator", f"{where} get pvc")
    command = command.replace("df -h /var/log", f"{where} get pod {_POD} -o wide")
    terminal = " -it" if "rotate supply" in command else ""
    return re.sub(r"(^|: )(rotate )", lambda found: f"{found[1]}{where} exec{terminal} {pod} -- {found[2]}", command)


# --- renderings -----------------------------------------------------------------------------------------------------


def overlay(components: tuple[str, ...]) -> dict[str, str]:
    """The files of an overlay with another namespace, tag and digest, settings and authorities of its own."""
    parts = "".join(f"  - BASE/components/{each}\n" for each in components)
    return {
        "kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"namespace: {NAMESPACE}\nresources: [BASE]\ncomponents:\n{parts}"
        "configMapGenerator:\n  - {name: rotator, behavior: replace, files: [rotator.toml]}\n"
        "  - {name: rotator-ca, files: [vault.crt]}\n"
        f'images:\n  - {{name: registry.example/rotator, newName: {IMAGE}, newTag: {TAG}, digest: "{DIGEST}"}}\n',
        "rotator.toml": (BASE / "rotator.toml").read_text(),
        "vault.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    }


_CHOSEN = ["--set", f"image.repository={IMAGE},image.tag={TAG},image.digest={DIGEST}"]
_AUTHORITY = ["--set-string", r"authorities.vault\.crt=-----BEGIN CERTIFICATE-----" + "\n-----END CERTIFICATE-----\n"]
_ON = ("prometheusOperator", "dashboard", "cronJob", "rotateNow")
_ALL = [part for each in _ON for part in ("--set", f"{each}.enabled=true")] + ["--set", "priorityClass.create=true"]
# What is rendered: by kustomize, the components of an overlay (none: the base itself); by helm, its options.
BY_KUSTOMIZE: Mapping[str, tuple[str, ...] | Path] = {
    "base": BASE,
    "base-all": COMPONENTS,
    "base-audit": ("audit-volume", "priority-class"),
    "token-reviewer": BASE / "token-reviewer",
}
BY_HELM: Mapping[str, list[str]] = {
    "chart": ["--namespace", "rotator"],
    "chart-all": ["--namespace", NAMESPACE, *_CHOSEN, *_AUTHORITY, *_ALL],
    "chart-audit": [
        *("--namespace", NAMESPACE, *_CHOSEN, *_AUTHORITY),
        *("--set", "audit.enabled=true", "--set", "priorityClass.create=true"),
    ],
}
KUBE = ["--kube-version", "1.34.0"]
_TEXTS = {"prometheusrule.yaml", "rotator.json", "dashboard.json"}


def sources() -> str:
    """The digest of all that renderings are made of, without the long texts, which `shortened` leaves out."""
    whole = hashlib.sha256()
    folders = (BASE, CHART, CONFIG / "grafana")
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.name not in _TEXTS:
            whole.update(f"{path.relative_to(CONFIG)}\n".encode() + path.read_bytes())
    return whole.hexdigest()


def shortened(text: str) -> str:
    """A rendering whose alerts and dashboard are replaced by their digests: other tests look at those."""
    documents = [each for each in yaml.safe_load_all(text) if each]
    for each in documents:
        for key in ("spec",) if each["kind"] == "PrometheusRule" else ("data",) if _dashboard(each) else ():
            each[key] = {"digest": hashlib.sha256(json.dumps(each[key], sort_keys=True).encode()).hexdigest()}
    return yaml.safe_dump_all(documents)


def _dashboard(document: Mapping[str, Any]) -> bool:
    return document["metadata"]["name"].endswith("-dashboard")


def kustomized(program: str, what: tuple[str, ...] | Path) -> str:
    """What kustomize makes of a folder, or of an overlay with these components. Raises CalledProcessError."""
    if isinstance(what, Path):
        return shortened(_run(program, "build", str(what)))
    with tempfile.TemporaryDirectory() as folder:
        base = os.path.relpath(BASE, Path(folder).resolve())
        for name, text in overlay(what).items():
            (Path(folder) / name).write_text(text.replace("BASE", base))
        return shortened(_run(program, "build", folder))


def charted(program: str, options: list[str]) -> str:
    """What helm makes of the chart. Raises CalledProcessError."""
    return shortened(_run(program, "template", RELEASE, str(CHART), *KUBE, *options))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def found(name: str) -> str:
    """The program, by its variable or on the PATH; empty when it is not here."""
    return os.environ.get(name.upper()) or shutil.which(name) or ""


def built(name: str, folder: Path) -> str:
    """The program, built in the folder when it is not there yet. Raises CalledProcessError, after Go's own words."""
    binary, (package, module) = folder / name, BUILT[name]
    if not binary.exists():
        say(f"building {module} in {folder}")
        scratch = folder / f"{name}-build"
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "go.mod").write_text("module scratch\n")
        here = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        for words in (["get", module], ["build", "-p", "1", "-o", str(binary), package]):
            subprocess.run(["nice", "-n", "10", "go", *words], cwd=scratch, env=here, check=True)
    return str(binary)


def main(folder: str = ".") -> int:
    """Write, render, record. 0 when all went well, 2 when there is nothing to render with."""
    ALERTS.write_text(alerts((CONFIG / "prometheus" / "rules.yml").read_text()))
    say(f"wrote {ALERTS.relative_to(HOUSE)}")
    if folder == "alerts":
        return 0
    if not all(found(name) for name in BUILT) and shutil.which("go") is None:
        say("name KUSTOMIZE=/path and HELM=/path, or install Go: then they are built")
        return 2
    kustomize, helm = (found(name) or built(name, Path(folder).resolve()) for name in BUILT)
    say(
        subprocess.run([helm, "lint", "--strict", *KUBE, str(CHART)], check=True, capture_output=True, text=True).stdout
    )
    RECORDED.mkdir(exist_ok=True)
    texts = {name: kustomized(kustomize, what) for name, what in BY_KUSTOMIZE.items()}
    texts |= {name: charted(helm, options) for name, options in BY_HELM.items()}
    for name, text in texts.items():
        (RECORDED / f"{name}.yaml").write_text(f"# {sources()}\n{text}")
        say(f"recorded {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
