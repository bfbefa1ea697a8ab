"""`make try-kubernetes`: rotator in a real cluster of two nodes, set up as `rotate init` says, then disturbed.

    python -m tests.tools.kubernetes.try_kubernetes FOLDER [ONLY]

FOLDER keeps the programs, which are built there from the Go module proxy, once; ONLY: chapters with one of these words
in their name. It needs root, Go, and of Debian: containerd runc buildah bubblewrap containernetworking-plugins iptables
conntrack prometheus. VAULT_BINARY names another Vault than the OpenBao of the wheel; VAULT_KUBERNETES_PLUGIN its login
method as a plugin (github.com/hashicorp/vault-plugin-auth-kubernetes, alone in its folder), where the binary was built
without it. Nothing of the machine's own network, folders and kernel values is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.sandbox.openbao_binary import server_name
from tests.tools.kubernetes.binaries import built
from tests.tools.kubernetes.cluster import NODES, Cluster, inside, tidy, until
from tests.tools.kubernetes.site import Site, by_hand, image, init, typed_in_operations
from tests.tools.oauth.journey import say
from tests.tools.try_image import build, buildah

NEEDED = ("go", "containerd", "ctr", "runc", "buildah", "bwrap", "iptables", "conntrack", "prometheus", "openssl")
TAGS = ("0.1.0", "0.2.0")
IMAGE = "registry.test/rotator"
_ACTIONS = "/apis/uc.api.security.halo.run/v1alpha1/personalaccesstokens"

# --- chapters -------------------------------------------------------------------------------------------------------


def set_up(site: Site) -> None:
    """Every line that `rotate init` says, in its order; then two pods rotate."""
    minter = site.halo.mint("minter", ["super-role"]).reveal()
    site.lines = init(site)
    for line in site.lines:
        site.typed(line, f"{minter}\n")
    until("a first value", lambda: site.version() > 0)
    site.consumer.start()
    site.monitored()
    assert site.ready() == 2
    site.rotates()


def rollout_restart(site: Site) -> None:
    """Two rollouts of the same version."""
    for _ in range(2):
        site.kubectl("-n", "rotator", "rollout", "restart", "deployment/rotator")
        site.rolled_out()


def force_delete(site: Site) -> None:
    """Both pods are killed without a goodbye, in the middle of whatever they do."""
    for _ in range(2):
        site.kubectl("-n", "rotator", "delete", "pod", "--all", "--force", "--grace-period=0")
        until("two pods are ready", lambda: site.ready() == 2)


def sealed_vault(site: Site) -> None:
    """Pods are unready while Vault is sealed, and none of them is started anew for it."""
    started = {pod["metadata"]["uid"] for pod in site.pods()}
    with site.sealed():
        until("no pod is ready", lambda: site.ready() == 0)
        time.sleep(45)
    until("two pods are ready", lambda: site.ready() == 2)
    assert {pod["metadata"]["uid"] for pod in site.pods()} == started
    assert not [each for pod in site.pods() for each in pod["status"]["containerStatuses"] if each["restartCount"]]


def dead_target_at_start(site: Site) -> None:
    """A rollout ends though the target is down: readiness is about the pod alone."""
    with site.dead_target():
        site.kubectl("-n", "rotator", "rollout", "restart", "deployment/rotator")
        site.rolled_out()


def faulty_settings(site: Site) -> None:
    """Settings that cannot be used stop their own rollout; a pod of before goes on; undone, all is well."""
    site.edited("rotator.toml", 'every = "1m"', 'evry = "1m"')
    try:
        site.kubectl("apply", "-k", str(site.overlay))
        try:
            site.rolled_out("45s")
        except AssertionError:
            assert site.ready() >= 1
            site.rotates()
        else:
            raise AssertionError("faulty settings were rolled out")
    finally:
        site.edited("rotator.toml", 'evry = "1m"', 'every = "1m"')
        site.kubectl("-n", "rotator", "rollout", "undo", "deployment/rotator")
    site.rolled_out()


def refused_login(site: Site) -> None:
    """A version that cannot log in stops its own rollout at /readyz."""
    site.edited("rotator.toml", 'role = "rotator"', 'role = "nobody"')
    try:
        site.kubectl("apply", "-k", str(site.overlay))
        try:
            site.rolled_out("60s")
        except AssertionError:
            assert site.ready() >= 1
            site.rotates()
        else:
            raise AssertionError("a version that cannot log in was rolled out")
    finally:
        site.edited("rotator.toml", 'role = "nobody"', 'role = "rotator"')
    site.applied()


def drains(site: Site) -> None:
    """Each node is drained in turn; the other has both pods meanwhile."""
    for node in NODES:
        site.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m")
        until("two pods are ready", lambda: site.ready() == 2)
        site.kubectl("uncordon", node)
    site.kubectl("-n", "rotator", "rollout", "restart", "deployment/rotator")
    site.rolled_out()


def cut_off_node(site: Site) -> None:
    """A node leaves the network in the middle of a mint that its pod makes; the other pod takes over."""
    until("two pods are ready", lambda: site.ready() == 2)
    pod = site.pods()[0]
    site.halo.fault(kind="slow", method="POST", path="personalaccesstokens$", delay=4.0, lands=True)
    name = pod["metadata"]["name"]
    words = ["-n", "rotator", "exec", name, "--", "rotate", "now", "newsletter"]
    asked = subprocess.Popen(["kubectl", *words], env=site.cluster.environment, stdout=-3, stderr=-3)
    time.sleep(2)
    site.cluster.cut(pod["spec"]["nodeName"])
    try:
        site.rotates()
        until("a third pod takes its place", lambda: site.ready() == 2)
    finally:
        site.cluster.healed(pod["spec"]["nodeName"])
        asked.kill()
        asked.wait()
    until("both nodes are ready", lambda: site.kubectl("get", "nodes").count(" Ready") == len(NODES))


def upgrade_by_tag(site: Site) -> None:
    """Another tag in the overlay reaches the pods."""
    site.edited("kustomization.yaml", f"newTag: {TAGS[0]}", f"newTag: {TAGS[1]}")
    site.applied()
    assert {pod["spec"]["containers"][0]["image"] for pod in site.pods()} == {f"{IMAGE}:{TAGS[1]}"}


def memory_of_40_mi(site: Site) -> None:
    """Pods with too little memory are killed at every start, and stop their own rollout."""
    words = ["--limits=memory=40Mi", "--requests=memory=40Mi"]
    site.kubectl("-n", "rotator", "set", "resources", "deployment/rotator", *words)

    def killed() -> bool:
        states = [
            each["lastState"] | each["state"] for pod in site.pods() for each in pod["status"]["containerStatuses"]
        ]
        return any(state.get("terminated", {}).get("exitCode") == 137 for state in states)

    try:
        until("the kernel kills one", killed)
        site.rotates()
    finally:
        site.applied()


def token_life_and_alerts(site: Site) -> None:
    """Pods outlive their first projected token, while the target, then Vault, is away for so long that alerts fire."""
    site.kubectl("-n", "rotator", "rollout", "restart", "deployment/rotator")
    site.rolled_out()
    began, started = time.monotonic(), {pod["metadata"]["uid"] for pod in site.pods()}
    with site.dead_target():
        until("RotatorTargetUnreachable fires", lambda: "RotatorTargetUnreachable" in site.firing(), 600)
    site.rotates()
    with site.sealed():
        until("RotatorVaultUnreachable fires", lambda: "RotatorVaultUnreachable" in site.firing(), 600)
    until("two pods are ready", lambda: site.ready() == 2)
    time.sleep(max(0.0, 620 - (time.monotonic() - began)))
    site.bao.call("PUT", "sys/leases/revoke-prefix/auth/kubernetes/login")
    site.rotates()
    until("two pods are ready", lambda: site.ready() == 2)
    assert {pod["metadata"]["uid"] for pod in site.pods()} == started
    until("no alert fires any more", lambda: not site.firing(), 600)


def refused_minter(site: Site) -> None:
    """The minter's token is revoked until the alert fires; a new one is put where the runbook says."""
    document = next(each for each in site.halo.tokens() if each["spec"]["name"] == "minter")
    status, _ = site.halo.call("PUT", f"{_ACTIONS}/{document['metadata']['name']}/actions/revocation")
    assert status == 200, f"the minter's revocation was answered {status}"
    until("RotatorMinterRefused fires", lambda: "RotatorMinterRefused" in site.firing(), 400)
    kept = next(line for line in site.lines if "minters/blog" in line)
    site.typed(kept, f"{site.halo.mint('minter-2', ['super-role']).reveal()}\n")
    for pod in site.pods():
        site.rotate("reload", pod=pod["metadata"]["name"])
    site.rotates()
    until("no alert fires any more", lambda: not site.firing(), 600)


def chart(site: Site) -> None:
    """The chart takes the overlay's place, as operations.md says; its test passes; another tag reaches the pods."""
    site.kubectl("-n", "rotator", "delete", "deployment,pdb,networkpolicy,configmap", "--all")
    site.kubectl("-n", "rotator", "delete", "serviceaccount", "rotator")
    image = f"--set image.repository={IMAGE} --set image.tag="
    authority = f"--set-file 'authorities.vault\\.crt={site.overlay}/vault.crt' --set networkPolicy.enabled=false"
    install, test = (line for line in typed_in_operations() if line.startswith("helm"))
    site.typed("helm lint --strict config/helm/rotator")
    site.typed(f"{install.replace('rotator.toml', f'{site.overlay}/rotator.toml')} {authority} {image}{TAGS[0]}")
    site.rolled_out()
    site.rotates()
    site.typed(test)
    site.typed(f"helm -n rotator upgrade rotator config/helm/rotator --reuse-values {image}{TAGS[1]}")
    site.rolled_out()
    assert {pod["spec"]["containers"][0]["image"] for pod in site.pods()} == {f"{IMAGE}:{TAGS[1]}"}
    until("two pods are ready", lambda: site.ready() == 2)


def set_up_by_hand(site: Site) -> None:
    """Everything anew by the lines of operations.md, without `rotate init`; the records in Vault are still there."""
    for line in ("kubectl delete namespace rotator", "bao auth disable kubernetes", "bao policy delete rotator"):
        site.typed(line)
    server = site.typed("kubectl config view --minify -o jsonpath={.clusters[0].cluster.server}")
    for line in by_hand():
        site.typed(line.replace("FOLDER", str(site.overlay)).replace("https://API-SERVER:6443", server))
    site.rotates()
    until("two pods are ready", lambda: site.ready() == 2)


CHAPTERS: tuple[Callable[[Site], None], ...] = (
    set_up, rollout_restart, force_delete, sealed_vault, dead_target_at_start, faulty_settings, refused_login, drains,
    cut_off_node, upgrade_by_tag, memory_of_40_mi, token_life_and_alerts, refused_minter, chart,
    set_up_by_hand,
)  # fmt: skip
# The alerts that each of them is to make fire, and those that may come with them. In all others none may fire.
ALERTS: dict[Callable[[Site], None], tuple[set[str], set[str]]] = {
    token_life_and_alerts: (
        {"RotatorTargetUnreachable", "RotatorVaultUnreachable"},
        {"RotatorCredentialOverdue", "RotatorCredentialFailing"},
    ),
    refused_minter: ({"RotatorMinterRefused"}, {"RotatorCredentialOverdue", "RotatorCredentialFailing"}),
}


def one_token_each(site: Site) -> None:
    """After a rotation, only the minter's token and the published one live, and `rotate strays` finds none."""
    site.rotate("now", "newsletter", "--wait")
    until("one living token beside the minter's", lambda: site.living() == 2)
    site.rotate("strays")


# --- running --------------------------------------------------------------------------------------------------------


def told(site: Site, only: str) -> int:
    """Every chapter with its verdict; the exit code. Without the set-up nothing else can be tried."""
    failed = []
    for chapter in CHAPTERS:
        if chapter is not set_up and not any(word in chapter.__name__ for word in only.split() or [""]):
            continue
        began, refused = time.monotonic(), site.consumer.refused
        try:
            chapter(site)
            one_token_each(site)
            assert site.consumer.refused == refused, f"{site.consumer.refused - refused} refusals"
            expected, allowed = ALERTS.get(chapter, (set(), set()))
            fired = site.fired(time.monotonic() - began)
            assert expected <= fired <= expected | allowed, f"fired: {fired}; to fire: {expected}; may: {allowed}"
        except (AssertionError, OSError, KeyError, RuntimeError):
            say(traceback.format_exc())
            failed.append(chapter.__name__)
        verdict = "FAILED" if chapter.__name__ in failed else "held"
        say(f"  {verdict}: {chapter.__name__.replace('_', ' ')}, {time.monotonic() - began:.0f} s")
        if failed == [set_up.__name__]:
            return 1
    seen = site.consumer
    say(f"{server_name()}: {seen.uses} uses, {seen.refused} refused, {seen.unread} unread while Vault was away;")
    say(f"{site.version()} values published, {len(failed)} chapters failed")
    return int(bool(failed))


def within(programs: Path, folder: Path, only: str) -> int:
    """In the namespaces: the cluster, the site, the chapters."""
    began = time.monotonic()
    cluster = Cluster(programs, folder, sorted(folder.glob("*.tar")))
    cluster.up()
    say(f"  two nodes of Kubernetes ready after {time.monotonic() - began:.0f} s")
    site = Site(cluster)
    site.start()
    try:
        return told(site, only)
    finally:
        site.halo.stop()
        site.bao.close()


def images(programs: Path, folder: Path) -> None:
    """Archives of our image under both tags, and of the process that every pod begins with."""
    store = folder / "image" / "store"
    store.parent.mkdir()
    build(store.parent)
    for tag in TAGS:
        buildah(store, "tag", "localhost/rotator", f"{IMAGE}:{tag}")
        image(store, folder, f"{IMAGE}:{tag}")
    container = buildah(store, "from", "scratch")
    buildah(store, "copy", container, str(programs / "pause"), "/pause")
    buildah(store, "config", '--entrypoint=["/pause"]', container)
    buildah(store, "commit", "--quiet", container, "localhost/pause:1")
    image(store, folder, "localhost/pause:1")


def main(cache: str, only: str = "") -> int:
    """Build what is missing, then run `within` in namespaces of its own."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() or absent:
        say(f"skipped, nothing was tried: it needs root{' and ' if absent else ''}{' '.join(absent)}; see {__file__}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then, too
    programs = built(Path(cache).resolve())
    folder = Path(tempfile.mkdtemp(prefix="rotator-kubernetes-"))
    try:
        images(programs, folder)
        words = [sys.executable, "-m", __spec__.name, "within", str(programs), str(folder), only]
        return subprocess.run(inside(*words), check=False).returncode
    finally:
        tidy()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1] == "within":
        sys.exit(within(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
    sys.exit(main(*sys.argv[1:]))
