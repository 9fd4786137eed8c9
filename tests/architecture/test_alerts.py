"""There is one file of alerts, which chart and compose share: what it asks for is exported, and each has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import core.kit.metrics  # noqa: F401 - registers what the product counts
from tests.factories.processes import ROOT

ALERTS = ROOT / "infra" / "helm" / "waybill" / "files" / "alerts.yaml"
_PROMETHEUS = ROOT / "infra" / "prometheus"
_RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
_SERIES = re.compile(r"\b(?P<name>waybill_\w+)(?:{(?P<labels>[^}]*)})?")
_GROUPING = re.compile(r"\bby \(([\w, ]+)\)")
# Prometheus' own, and those of kube-state-metrics that its documentation calls stable.
_OTHERS = {
    "up",
    "kube_cronjob_created",
    "kube_cronjob_next_schedule_time",
    "kube_cronjob_spec_suspend",
    "kube_cronjob_status_last_schedule_time",
    "kube_cronjob_status_last_successful_time",
}
_promtool = shutil.which("promtool")


def _exported() -> dict[str, set[str]]:
    """The labels of every series that the product exports, whether or not it has counted anything yet."""
    found: dict[str, set[str]] = {}
    for collector in set(REGISTRY._collector_to_names):
        for name in REGISTRY._collector_to_names[collector]:
            labels = set(getattr(collector, "_labelnames", ()))
            found[name] = labels | {"le"} if name.endswith("_bucket") else labels
    return found


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    runbook = ROOT / rule["annotations"]["runbook_url"]
    assert runbook.parent == ROOT / "docs" / "runbooks"
    assert rule["alert"] in runbook.read_text(encoding="utf-8"), f"{runbook.name} does not name its alert"


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_series_and_labels_that_are_exported(rule: dict[str, Any]) -> None:
    exported = _exported()
    asked = list(_SERIES.finditer(rule["expr"]))
    if not asked:
        foreign = set(re.findall(r"\b(\w+)\{", rule["expr"]))
        assert foreign
        assert foreign <= _OTHERS, "asks for nothing of the product's"
        return
    grouped = {label.strip() for found in _GROUPING.findall(rule["expr"]) for label in found.split(",")}
    for series in asked:
        name = series["name"]
        assert name in exported, f"{name} is not exported"
        selected = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", series["labels"] or ""))
        assert selected <= exported[name], f"{name} has no such labels: {selected - exported[name]}"
        assert grouped <= exported[name], f"{name} has no such labels: {grouped - exported[name]}"


def test_the_index_names_every_alert_with_its_runbook() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(Waybill\w+)` \| \w+ \| \[[^]]+\]\(([\w-]+\.md)\)", index, flags=re.MULTILINE))
    assert listed == {rule["alert"]: Path(rule["annotations"]["runbook_url"]).name for rule in _RULES}


def test_compose_and_the_tests_of_the_rules_read_the_charts_file() -> None:
    for file in ("prometheus.yml", "rules_test.yml"):
        [named] = yaml.safe_load((_PROMETHEUS / file).read_text(encoding="utf-8"))["rule_files"]
        assert (_PROMETHEUS / named).resolve() == ALERTS
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["prometheus"]
    mounted = {source: Path(target) for source, target, *_ in (each.split(":") for each in service["volumes"])}
    folder = mounted["./infra/prometheus"]
    assert f"--config.file={folder}/prometheus.yml" in service["command"]
    assert mounted["./infra/helm/waybill/files"] == folder.parent / "helm" / "waybill" / "files"


@pytest.mark.skipif(_promtool is None, reason="promtool is not installed; make compose-test runs the same check")
@pytest.mark.parametrize(
    "check",
    [
        ("check", "rules", ALERTS),
        ("check", "config", _PROMETHEUS / "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=lambda check: " ".join(check[:2]),
)
def test_promtool_agrees(check: tuple[str, ...]) -> None:
    assert _promtool is not None
    done = subprocess.run([_promtool, *check], cwd=_PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
