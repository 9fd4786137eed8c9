"""Alerts and recordings, which chart and compose share: what they ask for is exported, and each alert has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.prometheus import reference, rules
from infra.prometheus.objectives import FAST, OBJECTIVES, PLATFORM_FAULTS, SLOW
from tests.factories.processes import ROOT
from tests.factories.queries import faults_of, series_of

_PROMETHEUS = ROOT / "infra" / "prometheus"
_FILES = (rules.ALERTS, rules.RULES)


def _read(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


_ALL = [rule for file in _FILES for rule in _read(file)]
_RULES = [rule for rule in _ALL if "alert" in rule]
# Prometheus' own, and those of kube-state-metrics that its documentation calls stable.
_OTHERS = {
    "up",
    "kube_cronjob_created",
    "kube_cronjob_next_schedule_time",
    "kube_cronjob_spec_suspend",
    "kube_cronjob_status_last_schedule_time",
    "kube_cronjob_status_last_successful_time",
}
_TESTS = ("rules_test.yml", "slos_test.yml")
_promtool = shutil.which("promtool")


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() <= {"severity", "slo"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    runbook = ROOT / rule["annotations"]["runbook_url"]
    assert runbook.parent == ROOT / "docs" / "runbooks"
    assert rule["alert"] in runbook.read_text(encoding="utf-8"), f"{runbook.name} does not name its alert"


@pytest.mark.parametrize("rule", _ALL, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_series_and_labels_that_are_exported(rule: dict[str, Any]) -> None:
    assert not faults_of(rule["expr"])
    if not series_of(rule["expr"]) and rule.get("record") != "waybill_slo:target:ratio":
        foreign = set(re.findall(r"\b(\w+)\{", rule["expr"]))
        assert foreign
        assert foreign <= _OTHERS, "asks for nothing of the product's"


def test_a_query_for_what_is_not_exported_is_found() -> None:
    assert faults_of('sum by (pool) (rate(waybill_http_requests_total{state="5xx"}[5m])) / waybill_requests_total') == [
        "waybill_http_requests_total has no label pool",
        "waybill_http_requests_total has no label state",
        "waybill_requests_total is neither exported nor recorded",
    ]


def test_rules_and_page_are_what_the_objectives_make() -> None:
    assert rules.RULES.read_text(encoding="utf-8") == rules.render(rules.groups()), "python -m infra.prometheus"
    assert reference.PAGE.read_text(encoding="utf-8") == reference.render(), "python -m infra.prometheus"


def test_an_objective_can_burn_as_fast_as_its_alerts_ask() -> None:
    for objective in OBJECTIVES:
        assert all(window.burn_rate * objective.budget < 1 for window in (*FAST, *SLOW)), objective.name
    errors = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert not [code for code in PLATFORM_FAULTS if f"`{code}`" not in errors]


@pytest.mark.parametrize("name", sorted(rule["alert"] for rule in _RULES))
def test_an_alert_is_tested_to_fire_and_not_to(name: str) -> None:
    found = [
        bool(check["exp_alerts"])
        for file in _TESTS
        for test in yaml.safe_load((_PROMETHEUS / file).read_text(encoding="utf-8"))["tests"]
        for check in test["alert_rule_test"]
        if check["alertname"] == name
    ]
    assert set(found) == {True, False}


def test_the_index_names_every_alert_with_its_runbook() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(Waybill\w+)` \| \w+ \| \[[^]]+\]\(([\w-]+\.md)\)", index, flags=re.MULTILINE))
    assert listed == {rule["alert"]: Path(rule["annotations"]["runbook_url"]).name for rule in _RULES}


def test_compose_and_the_tests_of_the_rules_read_the_charts_files() -> None:
    for file in ("prometheus.yml", *_TESTS):
        named = yaml.safe_load((_PROMETHEUS / file).read_text(encoding="utf-8"))["rule_files"]
        assert {(_PROMETHEUS / each).resolve() for each in named} <= set(_FILES)
        assert len(named) == (2 if file == "prometheus.yml" else 1)
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["prometheus"]
    mounted = {source: Path(target) for source, target, *_ in (each.split(":") for each in service["volumes"])}
    folder = mounted["./infra/prometheus"]
    assert f"--config.file={folder}/prometheus.yml" in service["command"]
    assert mounted["./infra/helm/waybill/files"] == folder.parent / "helm" / "waybill" / "files"


@pytest.mark.skipif(_promtool is None, reason="promtool is not installed; make compose-test runs the same check")
@pytest.mark.parametrize(
    "check",
    [
        *(("check", "rules", file) for file in _FILES),
        ("check", "config", _PROMETHEUS / "prometheus.yml"),
        *(("test", "rules", file) for file in _TESTS),
    ],
    ids=lambda check: f"{check[0]} {Path(check[2]).name}",
)
def test_promtool_agrees(check: tuple[str, ...]) -> None:
    assert _promtool is not None
    done = subprocess.run([_promtool, *check], cwd=_PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
