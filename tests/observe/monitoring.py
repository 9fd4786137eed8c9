"""Debian's Prometheus and Alertmanager over a running stack, with the shortened rules and the shipped routing."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from tests.observe import shortening
from waybill.stack.postgres import free_port

FACTOR = 20
_SCRAPE = "2s"
_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool", "amtool")


def missing_programs() -> list[str]:
    """Of what this needs, what is not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Monitoring:
    """A Prometheus that has just begun to look, and its Alertmanager."""

    def __init__(self, prometheus: str, alertmanager: str) -> None:
        self._prometheus = httpx.Client(base_url=prometheus, timeout=30, trust_env=False)
        self._alertmanager = httpx.Client(base_url=alertmanager, timeout=30, trust_env=False)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples of an instant query. Raises AssertionError with what Prometheus says against it."""
        answer = self._prometheus.post("/api/v1/query", data={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def exemplars(self, expr: str) -> list[dict[str, Any]]:
        """The exemplars that a query's series have."""
        answer = self._prometheus.get("/api/v1/query_exemplars", params={"query": expr, "start": 0, "end": 4e9})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return found

    def notified(self) -> set[str]:
        """The alerts that reach people: firing, and not silenced by the alert that names their cause."""
        shown = {"active": "true", "silenced": "false", "inhibited": "false"}
        answer = self._alertmanager.get("/api/v2/alerts", params=shown).raise_for_status()
        return {each["labels"]["alertname"] for each in answer.json()}

    def firing(self) -> set[str]:
        """The alerts that fire, with their labels, silenced or not."""
        answer = self._prometheus.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]
        return {
            json.dumps({name: value for name, value in each["labels"].items() if name != "severity"}, sort_keys=True)
            for each in answer
            if each["state"] == "firing"
        }

    def is_ready(self, instances: int) -> bool:
        """Whether both answer and every process is scraped."""
        try:
            self._alertmanager.get("/-/ready").raise_for_status()
            return len(self.query('up{job="waybill"} == 1')) == instances
        except (httpx.HTTPError, AssertionError):
            return False

    def close(self) -> None:
        """Let go of the connections."""
        self._prometheus.close()
        self._alertmanager.close()


@contextmanager
def running_monitoring(folder: Path, targets: Path) -> Iterator[Monitoring]:
    """Both programs, with nothing remembered; `targets` is the file that the stack writes."""
    folder.mkdir()
    prometheus, alertmanager = free_port(), free_port()
    route = ROOT / "infra" / "prometheus" / "alertmanager.yml"
    _configure(folder, targets, alertmanager)
    instances = len(json.loads(targets.read_text(encoding="utf-8")))
    commands = [
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ],
        [
            "prometheus-alertmanager",
            f"--config.file={route}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ],
    ]
    running = []
    with (folder / "log").open("wb") as log:
        running = [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
    monitoring = Monitoring(f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}")
    try:
        wait_until(
            lambda: monitoring.is_ready(instances),
            timeout_seconds=_READY_SECONDS,
            what=f"{instances} processes to be scraped",
            pause_seconds=0.5,
        )
        yield monitoring
    finally:
        monitoring.close()
        for process in running:
            process.terminate()
        for process in running:
            process.wait(_STOP_SECONDS)


def _configure(folder: Path, targets: Path, alertmanager: int) -> None:
    configuration = {
        "global": {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE, "evaluation_interval": "1s"},
        "rule_files": [str(shortening.write(folder, FACTOR))],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [
            {"job_name": "waybill", "honor_labels": True, "file_sd_configs": [{"files": [str(targets)]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
