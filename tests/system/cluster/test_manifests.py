"""The manifests as kustomize and helm render them: valid by the API's schemas, within the strictest profile, the same.

`make manifests` records what the real programs make of config/kubernetes and config/helm. A recording that is older
than its sources fails here.
"""

from __future__ import annotations

import copy
import json
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rotator.cli import COMMANDS
from rotator.settings import Method, load
from tests.tools.containerfile import image
from tests.tools.manifests import (
    BASE,
    BY_HELM,
    BY_KUSTOMIZE,
    CHART,
    DIGEST,
    IMAGE,
    NAMESPACE,
    RECORDED,
    TAG,
    charted,
    kustomized,
    sources,
)

NEEDED = "it comes with the extra `dev`: make lock, then make test"
yaml = pytest.importorskip("yaml", reason=f"no PyYAML here, so the manifests are not checked; {NEEDED}")
schemas = pytest.importorskip("kubernetes_validate", reason=f"no Kubernetes schemas here; {NEEDED}")
jsonschema = pytest.importorskip("jsonschema", reason=f"no JSON schemas here; {NEEDED}")

schemas.utils.schema_contents = cache(schemas.utils.schema_contents)  # megabytes, for every object anew

FOREIGN = {"PodMonitor", "PrometheusRule"}  # definitions of others, of which there is no schema in the API
VERSIONS = ["1.29", "1.33", "1.37"]
RENDERED = [*BY_KUSTOMIZE, *BY_HELM]
Document = dict[str, Any]


def recorded(name: str) -> list[Document]:
    """The objects of a recording."""
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> list[Document]:
    return [each for each in yaml.safe_load_all((RECORDED / f"{name}.yaml").read_text()) if each]


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Every pod or pod template, by its object's name."""
    for each in documents:
        spec, name = each.get("spec", {}), each["metadata"]["name"]
        match each["kind"]:
            case "Pod":
                yield name, each
            case "Deployment" | "StatefulSet" | "Job":
                yield name, spec["template"]
            case "CronJob":
                yield name, spec["jobTemplate"]["spec"]["template"]


def of_kind(documents: list[Document], kind: str) -> Document:
    """The one object of this kind, or the one config map of settings."""
    (one,) = [each for each in documents if each["kind"] == kind and "digest" not in each.get("data", {})][:1]
    return one


PODS = [(name, pod, spec) for name in RENDERED for pod, spec in pods(recorded(name))]
each_pod = pytest.mark.parametrize(("rendering", "name", "pod"), PODS, ids=[f"{each[0]}-{each[1]}" for each in PODS])


# --- recordings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RENDERED)
def test_a_recording_is_of_the_files_as_they_are(name: str) -> None:
    first = (RECORDED / f"{name}.yaml").read_text().partition("\n")[0]
    assert first == f"# {sources()}", "make manifests (it needs kustomize and helm, or Go to build them)"


@pytest.mark.skipif(not os.environ.get("KUSTOMIZE"), reason="the real kustomize is asked with KUSTOMIZE=/path")
@pytest.mark.parametrize("name", BY_KUSTOMIZE)
def test_kustomize_makes_what_is_recorded(name: str) -> None:
    made = kustomized(os.environ["KUSTOMIZE"], BY_KUSTOMIZE[name])
    assert list(yaml.safe_load_all(made)) == recorded(name)


@pytest.mark.skipif(
    not os.environ.get("HELM"), reason="the real helm is asked with HELM=/path; make manifests builds it"
)
@pytest.mark.parametrize("name", BY_HELM)
def test_helm_makes_what_is_recorded(name: str) -> None:
    assert list(yaml.safe_load_all(charted(os.environ["HELM"], BY_HELM[name]))) == recorded(name)


# --- schemas and security -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RENDERED)
def test_every_object_is_valid_by_the_schema_of_its_kind(name: str, version: str) -> None:
    known = [each for each in recorded(name) if each["kind"] not in FOREIGN]
    assert known
    for each in known:
        schemas.validate(each, version, strict=True)


def test_a_misspelt_key_would_have_been_found() -> None:
    broken = of_kind(recorded("base"), "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilegd"] = False
    with pytest.raises(schemas.ValidationError):
        schemas.validate(broken, VERSIONS[-1], strict=True)


def not_restricted(spec: Document) -> list[str]:
    """What a pod does against the profile `restricted` of the Pod Security Standards (v1.34), in their words."""
    outer = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"sysctl {each['name']}" for each in outer.get("sysctls", ())]
    found += [key for key in ("seLinuxOptions", "windowsOptions", "appArmorProfile") if key in outer]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {kind}" for each in spec["volumes"] for kind in each if kind not in {*allowed, "name"}]
    for container in [*spec["containers"], *spec.get("initContainers", ()), *spec.get("ephemeralContainers", ())]:
        inner = container.get("securityContext", {})
        capabilities = inner.get("capabilities", {})
        found += [f"hostPort {port}" for port in container.get("ports", ()) if port.get("hostPort")]
        found += ["privileged"] if inner.get("privileged") else []
        found += ["procMount"] if inner.get("procMount", "Default") != "Default" else []
        found += ["allowPrivilegeEscalation"] if inner.get("allowPrivilegeEscalation") is not False else []
        found += ["capabilities"] if capabilities.get("drop") != ["ALL"] or capabilities.get("add") else []
        found += ["runAsNonRoot"] if not inner.get("runAsNonRoot", outer.get("runAsNonRoot")) else []
        found += ["runAsUser 0"] if inner.get("runAsUser", outer.get("runAsUser")) == 0 else []
        profile = inner.get("seccompProfile", outer.get("seccompProfile", {}))
        found += ["seccompProfile"] if profile.get("type") not in ("RuntimeDefault", "Localhost") else []
        hooks = (container.get("lifecycle", {}).get(each, {}) for each in ("postStart", "preStop"))
        probes = (container.get(f"{each}Probe", {}) for each in ("startup", "liveness", "readiness"))
        found += ["host of a probe" for each in (*hooks, *probes) if each.get("httpGet", {}).get("host")]
    return found


@each_pod
def test_a_pod_fulfils_the_restricted_profile_and_more(rendering: str, name: str, pod: Document) -> None:
    spec = pod["spec"]
    assert not_restricted(spec) == []
    assert spec["securityContext"]["runAsUser"] >= 10_000
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {kind for each in spec["volumes"] for kind in each if kind != "name"} == {
        "configMap",
        "projected",
        "emptyDir",
    }
    assert "env" not in container, "a secret in an environment can be read by too many"
    assert container["resources"]["limits"]["memory"]


BREAKS = [
    ({"hostPID": True}, "hostPID"),
    ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volume hostPath"),
    ({"securityContext": {}}, "runAsNonRoot"),
    ({"containers": [{"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}}]}, "capabilities"),
    ({"containers": [{"securityContext": {"privileged": True}}]}, "privileged"),
]


@pytest.mark.parametrize(("change", "said"), BREAKS, ids=[said for _, said in BREAKS])
def test_a_pod_that_breaks_the_profile_would_have_been_found(change: Document, said: str) -> None:
    (_, pod), *_ = pods(recorded("base"))
    assert said in not_restricted(pod["spec"] | change)


# --- what the pods are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rendering", ["base", "chart", "base-audit", "chart-audit"])
def test_a_daemon_that_hangs_is_killed_within_40_seconds_and_whatever_ends_says_why(rendering: str) -> None:
    (container,) = next(pod for _, pod in pods(recorded(rendering)))["spec"]["containers"]
    probe = container["livenessProbe"]
    decided = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert decided + probe["terminationGracePeriodSeconds"] <= 40
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 300


@each_pod
def test_a_pod_is_known_to_vault_by_a_short_token_for_vault_alone(rendering: str, name: str, pod: Document) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == of_kind(recorded(rendering), "ServiceAccount")["metadata"]["name"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "vault-token"]
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {"path": "token", "audience": "vault", "expirationSeconds": 600}


@each_pod
def test_a_pod_runs_the_images_user_and_a_command_there_is(rendering: str, name: str, pod: Document) -> None:
    (container,) = pod["spec"]["containers"]
    assert container["args"][0] in COMMANDS
    assert "command" not in container, "the image's own entry point"
    assert f"{pod['spec']['securityContext']['runAsUser']}" == image()["USER"].partition(":")[0]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@each_pod
def test_what_is_mounted_is_where_the_settings_look(rendering: str, name: str, pod: Document, tmp_path: Path) -> None:
    path = tmp_path / "rotator.toml"
    # the places that are commented out in the example count as well
    path.write_text(re.sub(r"^# (?=ca_file)", "", (BASE / "rotator.toml").read_text(), flags=re.MULTILINE))
    settings = load(path)
    mounts = {each["name"]: each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
    assert settings.vault.auth.method is Method.KUBERNETES
    assert settings.vault.auth.token.name == f"{mounts['vault-token']}/token"
    assert settings.vault.ca_file == f"{mounts['authorities']}/vault.crt"
    assert settings.targets["blog"].config.ca_file == f"{mounts['authorities']}/blog.crt"
    assert settings.daemon.socket.startswith(mounts["run"])
    assert mounts["settings"] == "/etc/rotator"


@pytest.mark.parametrize("rendering", ["base-all", "chart-all"])
def test_the_port_of_the_settings_is_the_one_that_is_scraped_probed_and_let_in(rendering: str) -> None:
    documents = recorded(rendering)
    settings = tomllib.loads(of_kind(documents, "ConfigMap")["data"]["rotator.toml"])
    template = of_kind(documents, "Deployment")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    assert settings["status"] == {"listen": f"0.0.0.0:{port['containerPort']}", "allow_remote": True}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    assert of_kind(documents, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] == port["name"]
    assert of_kind(documents, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == port["containerPort"]


@pytest.mark.parametrize("rendering", ["base-all", "chart-all", "base-audit", "chart-audit"])
def test_budget_and_monitor_select_the_daemons_alone_and_the_policy_every_pod(rendering: str) -> None:
    documents = recorded(rendering)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(documents)}
    budget = of_kind(documents, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1, "with minAvailable a drain of a single replica never ends"
    selecting = [budget["selector"]["matchLabels"]]
    selecting += [each["spec"]["selector"]["matchLabels"] for each in documents if each["kind"] == "PodMonitor"]
    for wanted in selecting:
        assert [name for name, has in labels.items() if wanted.items() <= has.items()] == ["rotator"]
    everybody = of_kind(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert all(everybody.items() <= has.items() for has in labels.values())
    assert {"app.kubernetes.io/instance", "app.kubernetes.io/part-of"} <= set.intersection(*map(set, labels.values()))


@pytest.mark.parametrize("rendering", ["base", "chart"])
def test_a_rollout_waits_for_readiness_and_leaves_one_pod_of_before(rendering: str) -> None:
    deployment = of_kind(recorded(rendering), "Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 1}
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > 30  # [daemon] drain


@pytest.mark.parametrize("rendering", ["base-audit", "chart-audit"])
def test_receipts_have_a_volume_for_each_daemon_and_a_name_that_stays(rendering: str) -> None:
    documents = recorded(rendering)
    assert not [each for each in documents if each["kind"] == "Deployment"]
    daemons = of_kind(documents, "StatefulSet")["spec"]
    (claim,) = daemons["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in daemons["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/rotator"
    outer = daemons["template"]["spec"]["securityContext"]
    assert outer["fsGroup"] == outer["runAsGroup"], "or the volume is root's"
    assert daemons["template"]["spec"]["priorityClassName"] == of_kind(documents, "PriorityClass")["metadata"]["name"]


# --- overlays, and the chart beside the base ------------------------------------------------------------------------


@pytest.mark.parametrize("rendering", ["base-all", "base-audit", "chart-all", "chart-audit"])
def test_image_namespace_settings_and_authorities_of_an_overlay_reach_every_object(rendering: str) -> None:
    documents = recorded(rendering)
    maps = {each["metadata"]["name"] for each in documents if each["kind"] == "ConfigMap"} - {"rotator-dashboard"}
    assert {re.sub(r"-\w{10}$", "", name) for name in maps} == {"rotator", "rotator-ca"}
    assert not {"rotator", "rotator-ca"} & maps, "a pod that runs must not see settings that it was not started with"
    for _, pod in pods(documents):
        assert pod["spec"]["containers"][0]["image"] == f"{IMAGE}:{TAG}@{DIGEST}"
        assert {each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each} == maps
    spaces = {
        each["metadata"].get("namespace") for each in documents if each["kind"] not in ("Namespace", "PriorityClass")
    }
    assert spaces == {NAMESPACE}
    assert {each["metadata"]["name"] for each in documents if each["kind"] == "Namespace"} <= {NAMESPACE}


def test_a_cluster_without_the_operator_takes_the_base() -> None:
    assert not {each["kind"] for each in recorded("base")} & FOREIGN
    assert {each["kind"] for each in recorded("base-all")} >= FOREIGN


def objects(rendering: str) -> dict[str, str]:
    """The objects by kind and name, without what helm adds and what a hash adds to a name."""
    found = {}
    for each in recorded(rendering):
        meta = each["metadata"]
        if each["kind"] == "Namespace" or "helm.sh/hook" in meta.get("annotations", {}):
            continue
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            meta.get("labels", {}).pop(label, None)
        if each["kind"] == "ConfigMap":
            meta.pop("annotations", None)  # that it is to be kept
            if each["metadata"]["name"].startswith("rotator-ca"):
                meta.pop("labels", None)  # the overlay's own
        text = re.sub(r'"(rotator|rotator-ca)-[0-9a-z]{10}"', r'"\1"', json.dumps(each, sort_keys=True))
        once = json.loads(text)
        for _, pod in pods([once]):
            pod["spec"]["volumes"].sort(key=lambda volume: volume["name"])
        found[f"{each['kind']} {once['metadata']['name']}"] = once
    return found


@pytest.mark.parametrize(
    ("base", "chart"), [("base", "chart"), ("base-all", "chart-all"), ("base-audit", "chart-audit")]
)
def test_the_chart_renders_the_objects_of_the_base(base: str, chart: str) -> None:
    expected, rendered = objects(base), objects(chart)
    assert rendered.keys() == expected.keys()
    for name, each in expected.items():
        assert rendered[name] == each


def test_the_test_of_the_chart_is_the_check() -> None:
    (check,) = [each for each in recorded("chart") if each["kind"] == "Pod"]
    assert check["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert check["spec"]["containers"][0]["args"] == ["check"]


def test_values_are_what_their_schema_says_and_a_misspelt_one_is_not() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(values, schema)
    assert set(schema["properties"]) == {*values, "global"}
    for key, value in values.items():
        if isinstance(value, dict) and "properties" in schema["properties"][key]:
            assert set(schema["properties"][key]["properties"]) == set(value)
    for wrong in (
        {"replica": 3},
        {"image": {"repository": "x", "digest": "latest"}},
        {"authorities": {"x": "/a/path"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | wrong, schema)


def test_what_the_chart_shares_with_the_base_is_not_a_copy() -> None:
    for name in ("rotator.toml", "prometheusrule.yaml", "dashboard.json"):
        assert (CHART / "files" / name).is_symlink()


def test_only_a_vault_outside_gets_an_account_that_may_review_tokens() -> None:
    (binding,) = [each for each in recorded("token-reviewer") if each["kind"] == "ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == "system:auth-delegator"
    rendered = {each["kind"] for name in RENDERED if name != "token-reviewer" for each in recorded(name)}
    assert not [kind for kind in rendered if "Role" in kind]
