"""The Kubernetes files: valid by the API's schemas, within the strictest profile, of one mind with the house."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotator.cli import COMMANDS
from rotator.settings import Method, load
from tests.tools.containerfile import image

NEEDED = "it comes with the extra `dev`: make lock, then make test"
yaml = pytest.importorskip("yaml", reason=f"no PyYAML here, so the manifests are not checked; {NEEDED}")
schemas = pytest.importorskip("kubernetes_validate", reason=f"no Kubernetes schemas here; {NEEDED}")

HOUSE = Path(__file__).parents[3]
FOLDER = HOUSE / "config" / "kubernetes"
FOREIGN = {"Kustomization", "PodMonitor"}  # definitions of others, of which there is no schema in the API
VERSIONS = ["1.29", "1.33", "1.37"]
FILES = sorted(path.name for path in FOLDER.iterdir())


def document(name: str) -> dict[str, Any]:
    """The one document of a file."""
    return yaml.safe_load((FOLDER / name).read_text())


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template, by its file."""
    yield "deployment.yaml", document("deployment.yaml")["spec"]["template"]
    yield "cronjob.yaml", document("cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]
    yield "rotate-now.yaml", document("rotate-now.yaml")["spec"]["template"]


each_pod = pytest.mark.parametrize(("name", "pod"), list(pods()), ids=[name for name, _ in pods()])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name in FILES if document(name)["kind"] not in FOREIGN])
def test_a_file_is_valid_by_the_schema_of_its_kind(name: str, version: str) -> None:
    schemas.validate(document(name), version, strict=True)


def test_a_misspelt_key_would_have_been_found() -> None:
    broken = document("deployment.yaml")
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilegd"] = False
    with pytest.raises(schemas.ValidationError):
        schemas.validate(broken, VERSIONS[-1], strict=True)


@each_pod
def test_a_pod_fulfils_the_restricted_profile_and_more(name: str, pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec)
    outer = spec["securityContext"]
    assert outer["runAsNonRoot"] is True
    assert outer["runAsUser"] >= 10_000
    assert outer["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    inner = container["securityContext"]
    assert inner == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert {kind for each in spec["volumes"] for kind in each if kind != "name"} == {"projected", "emptyDir"}
    assert "env" not in container, "a secret in an environment can be read by too many"
    assert container["resources"]["limits"]["memory"]


def test_a_daemon_that_hangs_is_killed_within_40_seconds_and_whatever_ends_says_why() -> None:
    (container,) = document("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    probe = container["livenessProbe"]
    decided = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert decided + probe["terminationGracePeriodSeconds"] <= 40
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 300
    assert {pod["spec"]["containers"][0]["terminationMessagePolicy"] for _, pod in pods()} == {"FallbackToLogsOnError"}


@each_pod
def test_a_pod_is_known_to_vault_by_a_short_token_for_vault_alone(name: str, pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == document("serviceaccount.yaml")["metadata"]["name"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "vault-token"]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {"path": "token", "audience": "vault", "expirationSeconds": 600}
    assert "audience=vault" in (FOLDER / "serviceaccount.yaml").read_text()


@each_pod
def test_a_pod_runs_the_images_user_and_a_command_there_is(name: str, pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    assert container["args"][0] in COMMANDS
    assert "command" not in container, "the image's own entry point"
    assert f"{pod['spec']['securityContext']['runAsUser']}" == image()["USER"].partition(":")[0]


@each_pod
def test_what_is_mounted_is_where_the_settings_look(name: str, pod: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rotator.toml"
    path.write_text(document("configmap.yaml")["data"]["rotator.toml"])
    settings = load(path)
    mounts = {each["name"]: each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
    assert settings.vault.auth.method is Method.KUBERNETES
    assert settings.vault.auth.token.name == f"{mounts['vault-token']}/token"
    assert settings.vault.ca_file.startswith(mounts["settings"])
    assert settings.daemon.socket.startswith(mounts["run"])


def test_the_port_of_the_settings_is_the_one_that_is_scraped_and_let_in() -> None:
    settings = tomllib.loads(document("configmap.yaml")["data"]["rotator.toml"])
    (port,) = document("deployment.yaml")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert settings["status"]["listen"].endswith(f":{port['containerPort']}")
    assert document("podmonitor.yaml")["spec"]["podMetricsEndpoints"][0]["port"] == port["name"]
    assert document("networkpolicy.yaml")["spec"]["ingress"][0]["ports"][0]["port"] == port["containerPort"]


def test_two_replicas_of_which_one_always_stays() -> None:
    deployment = document("deployment.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["replicas"] == 2
    budget = document("poddisruptionbudget.yaml")["spec"]
    assert budget["minAvailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert document("podmonitor.yaml")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 30  # [daemon] drain


def test_everything_is_listed_or_left_out_on_purpose() -> None:
    listed = document("kustomization.yaml")["resources"]
    assert sorted([*listed, "cronjob.yaml", "kustomization.yaml", "rotate-now.yaml"]) == FILES
    namespaces = {document(name)["metadata"].get("namespace") for name in FILES if name != "kustomization.yaml"}
    assert namespaces == {None, document("namespace.yaml")["metadata"]["name"]}
