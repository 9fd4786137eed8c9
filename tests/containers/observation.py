"""The profile `observe`: whether its files are right, and whether Prometheus reaches every process."""

import json

import httpx

from tests.containers.engine import Project
from tests.factories.waiting import wait_until

_SCRAPED_SECONDS = 60.0
_TARGETS = 10


def check_files(project: Project) -> str:
    """Judge configuration and rules by Prometheus' and Alertmanager's own tools. Raises `EngineFailed`."""
    folder = "/etc/waybill/prometheus"
    project.execute("prometheus", "promtool", "check", "config", f"{folder}/prometheus.yml")
    # The tests keep their series in a file.
    writable = ("env", "TMPDIR=/prometheus")
    project.execute("prometheus", *writable, "promtool", "test", "rules", f"{folder}/rules_test.yml")
    project.execute("alertmanager", "amtool", "check-config", "/etc/alertmanager/alertmanager.yml")
    return "configuration and rules hold"


def check_targets(url: str) -> str:
    """See that every process is scraped, and that no rule fails on what they tell. Raises AssertionError."""
    wait_until(
        lambda: len(_up(url)) == _TARGETS,
        timeout_seconds=_SCRAPED_SECONDS,
        what=f"{_TARGETS} targets to be up",
        pause_seconds=1.0,
    )
    groups = httpx.get(f"{url}/api/v1/rules").raise_for_status().json()["data"]["groups"]
    sick = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] not in {"ok", "unknown"}]
    assert not sick, f"rules fail: {json.dumps(sick)}"
    managers = httpx.get(f"{url}/api/v1/alertmanagers").raise_for_status().json()["data"]["activeAlertmanagers"]
    assert managers, "no Alertmanager is known"
    return f"{_TARGETS} targets up"


def _up(url: str) -> set[str]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": 'up{job="waybill"} == 1'}, timeout=10)
    if answer.status_code != 200:
        return set()
    return {each["metric"]["instance"] for each in answer.json()["data"]["result"]}
