"""The shipped alerts and the dashboard ask for metrics that exist; every alert says what it means, what to check and
what to type. Prometheus' own tool tests their arithmetic where it is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rotator.observe.metrics import Metrics
from rotator.rotation import events as ev
from tests.kit.fleet import fleet, named, settled, transition
from tests.tools.manifests import alerts
from tests.unit.rotation.builders import NOW

CONFIG = Path(__file__).parents[4] / "config"
RULES, TESTS = CONFIG / "prometheus" / "rules.yml", CONFIG / "prometheus" / "rules.test.yml"
DASHBOARD = CONFIG / "grafana" / "rotator.json"
ALERTS = re.findall(r"^      - alert: (.+)\n((?:        .+\n)+)", RULES.read_text(), re.MULTILINE)


def offered() -> set[str]:
    """Every metric that a scrape has."""
    metrics = Metrics(fleet()[0], "1.2.3", lambda: True, lambda: True)
    metrics(transition(named("blog"), settled(), ev.Disproved(NOW, "x")))
    text = metrics.scrape().decode()
    named_types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return {name for name, _ in named_types} | {f"{name}_bucket" for name, kind in named_types if kind == "histogram"}


def asked(expression: str) -> set[str]:
    return set(re.findall(r"\brotator_\w+", expression))


@pytest.mark.parametrize(("name", "body"), ALERTS, ids=[name for name, _ in ALERTS])
def test_an_alert_says_what_it_means_what_to_check_and_what_to_type(name: str, body: str) -> None:
    keys = dict(re.findall(r"^ +(\w+): (.*)$", body, re.MULTILINE))
    assert {"expr", "for", "severity", "summary", "meaning", "check", "type"} <= keys.keys()
    assert keys["severity"] in ("warning", "critical")
    assert keys["expr"].count("(") == keys["expr"].count(")")
    assert asked(keys["expr"])
    assert asked(keys["expr"]) <= offered()
    assert re.search(r"\b(rotate|systemctl|vault|journalctl)\b", keys["type"])
    assert name in TESTS.read_text(), "its arithmetic is not tested"


def test_the_file_holds_nothing_but_alerts() -> None:
    text = RULES.read_text()
    assert len(ALERTS) == text.count("- alert:") >= 10
    assert "\t" not in text


def test_every_command_that_an_alert_names_exists() -> None:
    from rotator.cli import COMMANDS

    named_ones = set(re.findall(r"\brotate (\w+)", RULES.read_text()))
    assert named_ones <= set(COMMANDS)


def test_the_dashboard_asks_for_what_there_is() -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert set().union(*map(asked, expressions)) <= offered()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool: apt-get install prometheus")


@needs_promtool
@pytest.mark.parametrize("command", [["check", "rules", RULES.name], ["test", "rules", TESTS.name]])
def test_promtool_agrees(command: list[str]) -> None:
    ended = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_promtool
def test_promtool_accepts_what_the_dashboard_asks(tmp_path: Path) -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": each.replace("$__rate_interval", "5m").replace("$target", ".*")}
        for number, each in enumerate(expressions)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    ended = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# --- in a cluster ---------------------------------------------------------------------------------------------------

CLUSTER = CONFIG / "kubernetes" / "components" / "prometheus-operator" / "prometheusrule.yaml"


def test_the_alerts_of_a_cluster_are_these_in_its_words() -> None:
    assert CLUSTER.read_text() == alerts(RULES.read_text()), "python -m tests.tools.manifests alerts"
    rules = CLUSTER.read_text().partition("\nspec:\n")[2]
    assert not re.findall(r"systemctl|journal(?:ctl|d)|\bhost\b|\bdf |\.instance\b|localhost|127\.0\.0\.1", rules)
    by = re.findall(r"by \((.*?)\)", rules)
    assert all(labels.startswith("namespace") for labels in by)
    assert len(by) == RULES.read_text().count("by (")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")
def test_promtool_understands_the_alerts_of_a_cluster(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(CLUSTER.read_text().partition("\nspec:\n")[2].replace("\n  ", "\n").removeprefix("  "))
    ended = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
