"""What rotator meets in the cluster: a Vault with TLS and a sandbox Halo CMS outside of it, a consumer, Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from rotator.rotation.secret import Secret
from tests.kit.certificates import Authority
from tests.sandbox.environment import Halo
from tests.sandbox.openbao import OpenBaoError
from tests.sandbox.openbao_binary import binary
from tests.system.cluster.conftest import TlsOpenBao
from tests.tools.kubernetes.cluster import PLANE, Cluster, run, until
from tests.tools.try_image import HOUSE

PLUGIN = "VAULT_KUBERNETES_PLUGIN"
CONFIG = HOUSE / "config"
PATH = "apps/newsletter/halo"
_MONITORING = "http://127.0.0.1:9090"


class Server(TlsOpenBao):
    """A Vault whose certificate is for the control plane's address, where pods find it."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority)
        self._file = authority.issue("vault", host=PLANE)

    @property
    def tls_address(self) -> str:
        """The base URL that pods use."""
        return super().tls_address.replace("127.0.0.1", PLANE)

    def _configuration(self) -> dict[str, object]:
        plugin = os.environ.get(PLUGIN)
        return super()._configuration() | ({"plugin_directory": str(Path(plugin).parent)} if plugin else {})

    def register(self) -> None:
        """Make the login method of Kubernetes known to a Vault that was built without it, from PLUGIN."""
        if plugin := os.environ.get(PLUGIN):
            binary = Path(plugin)
            known = {"sha256": sha256(binary.read_bytes()).hexdigest(), "command": binary.name}
            self.call("PUT", "sys/plugins/catalog/auth/kubernetes", known)


class Consumer(threading.Thread):
    """Reads the published value and uses it, ten times a second. While Vault is away it uses what it read last."""

    def __init__(self, bao: Server, halo: Halo) -> None:
        super().__init__(daemon=True)
        self.uses = self.refused = self.unread = 0
        self._bao, self._halo, self._value = bao, halo, Secret("none yet")

    def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self._value = Secret(self._bao.call("GET", f"secret/data/{PATH}")["data"]["data"]["token"])
            except OpenBaoError:
                self.unread += 1
            with suppress(OSError):
                self.refused += not self._halo.accepts(self._value)
                self.uses += 1
            time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))


class Site:
    """The cluster with all that; `overlay` is the folder that `rotate init` writes."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.kubectl = cluster, cluster.kubectl
        self.folder = cluster.folder
        self.overlay = self.folder / "overlay"
        self.authority = Authority(self.folder, "authority")
        self.bao, self.halo = Server(self.authority), Halo(self.folder, "2.26.0")
        self.consumer = Consumer(self.bao, self.halo)
        self.lines: list[str] = []  # what `rotate init` said to type

    def start(self) -> None:
        """Vault, Halo, and the programs that the docs' commands name."""
        self.bao.__enter__()
        self.bao.register()
        self.bao.enable_kv("secret")
        self.halo.start()
        (self.folder / "config").symlink_to(CONFIG)
        programs = self.folder / "bin"
        programs.mkdir()
        for name, command in (("bao", binary()), ("rotate", f"{sys.executable} -m rotator")):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o700)
        there = self.cluster.environment
        there |= {"PATH": f"{programs}:{there['PATH']}", "BAO_ADDR": self.bao.address, "VAULT_ADDR": self.bao.address}
        there |= {"BAO_TOKEN": self.bao.root.reveal(), "VAULT_TOKEN": self.bao.root.reveal()}

    def typed(self, line: str, text: str = "") -> str:
        """A line of the docs, typed where the repository's config/ is."""
        return run("bash", "-c", f"set -o pipefail; {line}", text=text, env=self.cluster.environment, cwd=self.folder)

    def rotate(self, *words: str, pod: str = "") -> str:
        """One call of the CLI in a pod; in one that stays, as a command ends with 137 where its pod is ended."""
        pod = pod or self.pods()[0]["metadata"]["name"]
        return self.kubectl("-n", "rotator", "exec", pod, "--", "rotate", *words)

    def edited(self, file: str, old: str, new: str) -> None:
        """Change a line of the overlay. Raises AssertionError when it is not there once."""
        path = self.overlay / file
        assert path.read_text().count(old) == 1, f"{file} has not just one {old!r}"
        path.write_text(path.read_text().replace(old, new))

    def applied(self) -> None:
        """What is in the overlay is in force."""
        self.kubectl("apply", "-k", str(self.overlay))
        self.rolled_out()

    def rolled_out(self, patience: str = "5m") -> None:
        """The rollout came to its end. Raises AssertionError when it did not."""
        self.kubectl("-n", "rotator", "rollout", "status", "deployment/rotator", f"--timeout={patience}")

    def pods(self) -> list[dict[str, Any]]:
        """The daemons' pods that are not about to go."""
        found = self.cluster.read("-n", "rotator", "pods", "-l", "app.kubernetes.io/component=daemon")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready(self) -> int:
        """How many of them are ready."""
        said = [each for pod in self.pods() for each in pod["status"].get("conditions", [])]
        return sum(each["type"] == "Ready" and each["status"] == "True" for each in said)

    def version(self) -> int:
        """How often a value was published."""
        return int(self.bao.call("GET", f"secret/metadata/{PATH}")["data"]["current_version"])

    def rotates(self) -> None:
        """A further value is published. Raises AssertionError when none is."""
        before = self.version()
        until("a further rotation", lambda: self.version() > before)

    def living(self) -> int:
        """How many tokens Halo has that are not revoked, the minter's among them."""
        return sum(not token["spec"].get("revoked") for token in self.halo.tokens())

    @contextmanager
    def dead_target(self) -> Iterator[None]:
        """Every connection of a pod to Halo is reset; the consumer's go on."""
        port = self.halo.url.rpartition(":")[2]
        rule = ["INPUT", "-i", "plane", "-p", "tcp", f"--dport={port}", "-j", "REJECT", "--reject-with=tcp-reset"]
        run("iptables", "-w", "-I", *rule)
        try:
            yield
        finally:
            run("iptables", "-w", "-D", *rule)

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Vault is sealed meanwhile."""
        self.bao.seal()
        try:
            yield
        finally:
            self.bao.unseal()

    # --- monitoring -------------------------------------------------------------------------------------------------

    def monitored(self) -> None:
        """A Prometheus with the scrape job and the alerts that config/ has for clusters."""
        scrape = yaml.safe_load((CONFIG / "prometheus" / "scrape-pods.yml").read_text())
        job = scrape["scrape_configs"][0]  # Debian's Prometheus can't ask a cluster: a file has what it would be told
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
        job["file_sd_configs"] = [{"files": [str(self.folder / "found.json")], "refresh_interval": "5s"}]
        threading.Thread(target=self._find, daemon=True).start()
        component = CONFIG / "kubernetes" / "components" / "prometheus-operator" / "prometheusrule.yaml"
        rules = self.folder / "rules.yml"
        rules.write_text(yaml.safe_dump(yaml.safe_load(component.read_text())["spec"]))
        document = {"global": {"evaluation_interval": "15s"}, "rule_files": [str(rules)], **scrape}
        config = self.folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(document))
        run("promtool", "check", "config", str(config))
        with (self.folder / "prometheus.log").open("wb") as log:
            places = [f"--config.file={config}", f"--storage.tsdb.path={self.folder / 'series'}"]
            subprocess.Popen(["prometheus", *places, "--web.listen-address=127.0.0.1:9090"], stdout=log, stderr=log)

    def _find(self) -> None:
        """Write down the pods as Prometheus' discovery has them, again and again."""
        while True:
            with suppress(AssertionError, KeyError):
                (self.folder / "found.json").write_text(json.dumps([discovered(pod) for pod in self.pods()]))
            time.sleep(5)

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return self._alerts('ALERTS{alertstate="firing"}')

    def fired(self, seconds: float) -> set[str]:
        """Those that fired at some moment of the last so many seconds, by the series that Prometheus recorded."""
        return self._alerts(f'max_over_time(ALERTS{{alertstate="firing"}}[{int(seconds)}s])')

    def _alerts(self, query: str) -> set[str]:
        found = json.loads(run("promtool", "query", "instant", "--format=json", _MONITORING, query))
        return {each["metric"]["alertname"] for each in found}


def discovered(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod as Prometheus' discovery has it."""
    metadata = pod["metadata"]
    known = {f"pod_label_{re.sub('[^a-z]', '_', name)}": value for name, value in metadata["labels"].items()}
    known |= {"pod_container_port_name": "status", "namespace": metadata["namespace"], "pod_name": metadata["name"]}
    labels = {f"__meta_kubernetes_{name}": value for name, value in known.items()}
    return {"targets": [f"{pod['status']['podIP']}:9464"], "labels": labels}


def init(site: Site) -> list[str]:
    """What `rotate init --auth kubernetes` says to type; its settings and overlay, made ours where they are marked."""
    words = f"--vault-addr {site.bao.tls_address} --ca-file {site.authority.ca_file}"
    said = site.typed(f"rotate init {site.overlay} --auth kubernetes {words}")
    url = site.halo.url.replace("127.0.0.1", PLANE)
    site.edited("rotator.toml", 'url = "https://blog.example"', f'allow_insecure_http = true\nurl = "{url}"')
    for old, new in (
        ('every = "30d"', 'every = "1m"'),
        ('lifetime = "90d"', 'lifetime = "45m"'),
        (', quiet = "15m", deadline = "24h"}', '}\nlimits = {mints_per_day = 2000}'),
        ('after = "1h"', 'after = "20s"'),
    ):  # fmt: skip
        site.edited("rotator.toml", old, new)
    site.edited("kustomization.yaml", "newName: registry.example/rotator", "newName: registry.test/rotator")
    return [line.strip() for line in said.splitlines() if line.startswith("    ")]


def typed_in_operations() -> list[str]:
    """The commands that operations.md has within its sentences, each on one line."""
    text = re.sub(r"```.*?```", "", (CONFIG / "operations.md").read_text(), flags=re.DOTALL)
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", text)]


def by_hand() -> list[str]:
    """The commands that operations.md has for a Vault outside of the cluster, without `rotate init`."""
    text = (CONFIG / "operations.md").read_text().partition("## In a cluster")[2]
    block = text.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    lines = block.partition("# Vault outside")[2].splitlines()[1:]
    return [line for line in lines if not line.startswith("#")]


def image(store: Path, folder: Path, name: str) -> Path:
    """An archive of an image of buildah's store, for containerd."""
    from tests.tools.try_image import buildah

    there = folder / f"{name.replace('/', '-').replace(':', '-')}.tar"
    buildah(store, "push", name, f"docker-archive:{there}:{name}")
    return there
