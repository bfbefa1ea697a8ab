"""A control plane and two nodes in network namespaces; all of it ends with the process namespace that it runs in.

`inside` starts a command in namespaces of its own for processes, mounts and network. /run, /var/lib and /var/log are
empty there, and three kernel values are files: nothing of the machine's own is touched, and nothing outlives the
command but cgroups, which `tidy` removes.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

PLANE, NODES = "10.77.0.1", {"one": "10.77.0.11", "two": "10.77.0.12"}
PODS = {"one": "10.78.1.0/24", "two": "10.78.2.0/24"}
API_SERVER = f"https://{PLANE}:6443"
CGROUP = "rotator-try"
CONTAINERS = "k8s.io"  # the cgroup of all containers, containerd's own, as this kubelet names none
_CGROUPS = Path("/sys/fs/cgroup")
ISSUER = "https://kubernetes.default.svc.cluster.local"
PATIENCE = 300.0  # seconds for one wait, on a busy machine
_EMPTY = ("/run", "/var/lib", "/var/log")
_PRIVATE = """set -e
mount --make-rshared /
# A kubelet wants these; the machine keeps its own.
for each in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file=/run/$(basename "${each%=*}"); echo "${each#*=}" > "$file"; mount --bind "$file" "/proc/sys/${each%=*}"
done
exec "$@"
"""


def inside(*command: str) -> list[str]:
    """A command line that runs a command in namespaces of its own. When it ends, all that it started ends."""
    spaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    empty = "".join(f"mount -t tmpfs tmpfs {path}\n" for path in _EMPTY)
    return [*spaces, "sh", "-c", empty + _PRIVATE, "inside", *command]


def tidy() -> None:
    """Remove the cgroups that a cluster leaves behind; those that still hold a process stay."""
    for name in (CGROUP, CONTAINERS):
        for root in _CGROUPS.glob(f"**/{name}"):
            for folder, _, _ in os.walk(root, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue


def weighed() -> None:
    """Let pods have the CPU that they request, whatever else runs on the machine and however it is niced.

    Their cgroup counts as one process of nice 0. Beside two processes of nice -14 a probe, which takes 0.5 s of the
    50m that a pod requests, took more than its 5 s three times, and the kubelet ended both pods.
    """
    for controller in (_CGROUPS, *(each.parent for each in _CGROUPS.glob("*/cpu.shares"))):
        if (controller / "cgroup.procs").exists():
            (controller / CONTAINERS).mkdir(exist_ok=True)
            for file, most in (("cpu.shares", "262144"), ("cpu.weight", "10000")):
                if (weight := controller / CONTAINERS / file).exists():
                    weight.write_text(most)


def run(*command: str, text: str | None = None, **options: Any) -> str:
    """A command to its good end; its output. Raises AssertionError with what it said."""
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=600, check=False, **options)
    assert not ended.returncode, f"{' '.join(command[:8])}: {ended.returncode}\n{(ended.stdout + ended.stderr)[-3000:]}"
    return str(ended.stdout)


def until(what: str, met: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until it is met; what that gave. Raises AssertionError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if found := met():
                return found
        except (AssertionError, OSError, KeyError):
            pass
        time.sleep(1)
    raise AssertionError(f"{what}: not within {patience:.0f} s")


class Cluster:
    """Kubernetes on this network namespace: `up`, `kubectl`, `cut`, `healed`."""

    def __init__(self, programs: Path, folder: Path, images: list[Path]) -> None:
        """`programs`: where binaries.built put them; `images`: archives that every node gets, the pause image first."""
        self._programs, self.folder, self._images = programs, folder, images
        self.kubeconfig = folder / "kubeconfig"
        self.environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        self.environment["PATH"] = f"{programs}:{os.environ['PATH']}"

    def up(self) -> None:
        """Start everything, and wait until both nodes are ready. Raises AssertionError when they are not."""
        weighed()
        self._network()
        self._plane()
        for name in NODES:
            self._node(name)
        until("both nodes are ready", lambda: self.kubectl("get", "nodes").count(" Ready") == len(NODES))

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """One call of kubectl as the cluster's administrator; its output. Raises AssertionError with what it said."""
        return run("kubectl", *words, text=text, env=self.environment)

    def read(self, *words: str) -> dict[str, Any]:
        """What `kubectl get … -o json` says."""
        return dict(json.loads(self.kubectl("get", *words, "-o", "json")))

    def cut(self, node: str) -> None:
        """Take a node, and every pod on it, off the network."""
        run("ip", "link", "set", f"to-{node}", "down")

    def healed(self, node: str) -> None:
        """Put it back."""
        run("ip", "link", "set", f"to-{node}", "up")

    # --- parts ------------------------------------------------------------------------------------------------------

    def _start(self, log: str, *command: str) -> None:
        """Start a program that runs until the process namespace ends."""
        with (self.folder / f"{log}.log").open("ab") as lines:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines, env=self.environment)

    def _network(self) -> None:
        """A bridge with the control plane's address, a namespace for each node, and a way from its pods to us.

        What is sent to the control plane's address reaches what listens on loopback.
        """
        script = f"""set -e
ip link set lo up; ip link add plane type bridge; ip addr add {PLANE}/24 dev plane; ip link set plane up
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1
for chain in PREROUTING OUTPUT; do
  iptables -w -t nat -A $chain -d {PLANE} -p tcp -j DNAT --to-destination 127.0.0.1
done
"""
        for name, address in NODES.items():
            script += f"""ip netns add {name}; ip link add to-{name} type veth peer name eth0 netns {name}
ip link set to-{name} master plane up; ip route add {PODS[name]} via {address}
ip -n {name} link set lo up; ip -n {name} addr add {address}/24 dev eth0; ip -n {name} link set eth0 up
ip -n {name} route add default via {PLANE}; ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1
"""
        run("sh", "-c", script)

    def _plane(self) -> None:
        """etcd, the API server, the controllers and the scheduler."""
        here, certificates = self.folder, self.folder / "certificates"
        run("openssl", "genrsa", "-out", str(here / "sa.key"), "2048")
        run("openssl", "rsa", "-in", str(here / "sa.key"), "-pubout", "-out", str(here / "sa.pub"))
        (here / "tokens.csv").write_text('administrator,administrator,administrator,"system:masters"\n')
        self._start("etcd", "etcd", f"--data-dir={here / 'etcd'}", "--unsafe-no-fsync")
        self._start(
            "kube-apiserver", "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={PLANE}",
            "--secure-port=6443", f"--cert-dir={certificates}", f"--token-auth-file={here / 'tokens.csv'}",
            "--authorization-mode=RBAC", f"--service-account-key-file={here / 'sa.pub'}",
            f"--service-account-signing-key-file={here / 'sa.key'}", f"--service-account-issuer={ISSUER}",
            "--service-cluster-ip-range=10.96.0.0/24", "--default-not-ready-toleration-seconds=20",
            "--default-unreachable-toleration-seconds=20", "--kubelet-preferred-address-types=InternalIP",
        )  # fmt: skip
        authority = certificates / "apiserver.crt"
        until("the API server has a certificate", authority.exists)
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "try",
            "clusters": [{"name": "try", "cluster": {"server": API_SERVER, "certificate-authority": str(authority)}}],
            "users": [{"name": "administrator", "user": {"token": "administrator"}}],
            "contexts": [{"name": "try", "context": {"cluster": "try", "user": "administrator"}}],
        }  # fmt: skip
        self.kubeconfig.write_text(yaml.safe_dump(config))
        until("the API server is ready", lambda: self.kubectl("get", "--raw", "/readyz") == "ok")
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false"]
        self._start(
            "kube-controller-manager", "kube-controller-manager", *common, f"--root-ca-file={authority}",
            f"--service-account-private-key-file={here / 'sa.key'}", "--use-service-account-credentials",
            "--node-monitor-grace-period=20s", "--node-monitor-period=2s",
        )  # fmt: skip
        self._start("kube-scheduler", "kube-scheduler", *common)

    def _node(self, name: str) -> None:
        """containerd with its images, and a kubelet, in the node's network namespace."""
        here = self.folder / name
        for part in ("cni", "manifests", "logs"):
            (here / part).mkdir(parents=True)
        socket = here / "containerd.sock"
        (here / "containerd.toml").write_text(_CONTAINERD.format(here=here, socket=socket))
        bridge = {"type": "bridge", "bridge": "pods", "isDefaultGateway": True}
        ranges = {"type": "host-local", "ranges": [[{"subnet": PODS[name]}]], "dataDir": str(here / "addresses")}
        network = {"cniVersion": "0.4.0", "name": name, "plugins": [bridge | {"ipam": ranges}]}
        (here / "cni" / "pods.conflist").write_text(json.dumps(network))
        (here / "kubelet.json").write_text(json.dumps(_KUBELET | {"podLogsDir": str(here / "logs")}))
        entered = ["nsenter", f"--net=/run/netns/{name}"]
        self._start(f"containerd-{name}", *entered, "containerd", f"--config={here / 'containerd.toml'}")
        ctr = ["ctr", f"--address={socket}", "--namespace=k8s.io"]
        until(f"containerd of {name} answers", lambda: run(*ctr, "version"))
        for image in self._images:
            run(*ctr, "images", "import", str(image))
        files = {"config": "kubelet.json", "root-dir": "kubelet", "cert-dir": "certificates"}
        self._start(
            f"kubelet-{name}", *entered, "kubelet", *(f"--{place}={here / file}" for place, file in files.items()),
            f"--kubeconfig={self.kubeconfig}", f"--hostname-override={name}", f"--node-ip={NODES[name]}",
            f"--container-runtime-endpoint=unix://{socket}",
        )  # fmt: skip


_CONTAINERD = """version = 2
root = "{here}/containerd"
state = "/run{here}"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{here}/cni"
"""
_KUBELET: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    "cgroupRoot": f"/{CGROUP}",
    "enforceNodeAllocatable": [],
    "failCgroupV1": False,
    "failSwapOn": False,
    # No right to set kernel values is no fault then. And without cgroupsPerQOS a resize ends the kubelet of 1.34.
    "featureGates": {"KubeletInUserNamespace": True, "InPlacePodVerticalScaling": False},
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
    "makeIPTablesUtilChains": False,
    "nodeStatusUpdateFrequency": "5s",
    "oomScoreAdj": 0,
    "resolvConf": "",
}
