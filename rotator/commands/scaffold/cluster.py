"""The overlay of config/kubernetes for one installation, and the commands that bring it into a cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

TOKEN = "/var/run/secrets/rotator/token"  # noqa: S105 - where the pods find it
AUTHORITY = "/etc/rotator-ca/vault.crt"  # in the pods
_OPEN = (443, 8200)  # ports that the base's network policy lets out
_READ = "kubectl -n rotator get secret vault-token-reviewer -o 'jsonpath={.data.%s}' | base64 -d"

_OVERLAY = """\
# rotator in a cluster, as `rotate init` wrote it:  kubectl apply -k {folder}
# What else there is: components and words in the base's own kustomization.yaml.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: rotator
resources:
  - {base}
# components: # whichever you want
#   - {base}/components/prometheus-operator
configMapGenerator:
  - name: rotator
    behavior: replace
    files: [{settings}]
{authorities}images:
  - name: registry.example/rotator
    newName: registry.example/rotator # <- yours
    newTag: {version} # <-
    # digest: sha256:...
{patches}"""
_AUTHORITIES = """\
  - name: rotator-ca # files in here are in /etc/rotator-ca; those of targets belong here, too
    files: [vault.crt]
"""
_PATCH = """\
patches:
  - target: {kind: NetworkPolicy, name: rotator} # ports of Vault and of targets, besides 443 and 8200
    patch: |-
"""


def overlay(folder: Path, base: str, settings: str, ports: Iterable[int], version: str, *, authority: bool) -> str:
    """The overlay's kustomization.yaml.

    `base`: where config/kubernetes is, as kustomize finds it from the folder; `settings`: the name of the file beside
    it; `ports`: those that the pods call; `authority`: vault.crt lies beside it.
    """
    opened = "".join(
        f"      - {{op: add, path: /spec/egress/0/ports/-, value: {{protocol: TCP, port: {port}}}}}\n"
        for port in sorted({*ports} - {*_OPEN})
    )
    return _OVERLAY.format(
        folder=shlex.quote(str(folder)),
        base=base,
        settings=settings if settings == "rotator.toml" else f"rotator.toml={settings}",
        authorities=_AUTHORITIES if authority else "",
        version=version,
        patches=_PATCH + opened if opened else "",
    )


def port(url: str) -> int:
    """The port of an address."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def inside(vault_address: str) -> bool:
    """Whether Vault runs in the cluster: its name is that of a Service."""
    host = urlsplit(vault_address).hostname or ""
    return host.endswith(".svc") or ".svc." in host


def review_lines(vault_address: str, base: str) -> tuple[str, ...]:
    """The commands that let Vault ask the cluster who a pod is."""
    if inside(vault_address):
        namespace = (urlsplit(vault_address).hostname or "").split(".")[1]
        account = shlex.quote(f"{namespace}:vault")
        return (
            "# Vault's own account must be able to ask; Vault's chart grants that, unless it was told not to",
            "kubectl create clusterrolebinding vault-auth-delegator --clusterrole=system:auth-delegator"
            f" --serviceaccount={account}",
            "bao auth enable kubernetes     # unless it is there",
            "bao write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc",
        )
    host = '"$(kubectl config view --minify -o jsonpath={.clusters[0].cluster.server})"'
    return (
        "kubectl create namespace rotator --save-config",
        f"kubectl apply -k {shlex.quote(f'{base}/token-reviewer')}     # an account for Vault, which is outside",
        _READ % r"ca\.crt" + " > cluster-ca.crt",
        "bao auth enable kubernetes     # unless it is there",
        f"{_READ % 'token'} | bao write auth/kubernetes/config kubernetes_host={host}"
        " kubernetes_ca_cert=@cluster-ca.crt token_reviewer_jwt=-",
    )


def start_lines(folder: Path) -> tuple[str, ...]:
    """The commands that start the pods, wait until they are logged in, and try every right from inside."""
    return (
        f"kubectl apply -k {shlex.quote(str(folder))}     # once its image is yours",
        "kubectl -n rotator rollout status deployment/rotator",
        "kubectl -n rotator exec deploy/rotator -- rotate check",
    )
