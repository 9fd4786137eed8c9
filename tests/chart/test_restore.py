"""The Job of the guide that restores a backup before the chart is installed."""

import json
from pathlib import Path

import pytest
import typer
import yaml

from tests.chart import tools
from tests.chart.rendering import CHART, VALUES, Manifest, container, named, pod, render, workloads, write
from waybill.cli.main import app

_MANIFESTS: list[Manifest] = list(yaml.safe_load_all((CHART.parent / "restore.yaml").read_text(encoding="utf-8")))
_PRODUCTION = next(path for path in VALUES if path.name == "production-values.yaml")


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_it_is_as_kubernetes_says(version: str, tmp_path: Path) -> None:
    path = write(_MANIFESTS, tmp_path / "restore.yaml")
    done = tools.run(tools.KUBERNETES_VALIDATE, "-k", version, "--strict", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_restricted_as_the_backup_and_reads_what_that_wrote() -> None:
    restore, backup = named(_MANIFESTS, "Job", "waybill-restore"), workloads(render(_PRODUCTION))["backup"]
    for each in ("securityContext", "automountServiceAccountToken", "enableServiceLinks", "restartPolicy"):
        assert pod(restore)[each] == pod(backup)[each]
    for each in ("securityContext", "image"):
        assert container(restore)[each] == container(backup)[each]
    claims = [
        {
            volume["name"]: volume["persistentVolumeClaim"]
            for volume in pod(job)["volumes"]
            if volume["name"] == "backups"
        }
        for job in (restore, backup)
    ]
    assert claims[0] == claims[1] != {}
    command, folder = container(restore)["args"]
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    mounts = {each["name"]: each for each in container(restore)["volumeMounts"]}
    assert folder.startswith(mounts["backups"]["mountPath"] + "/")
    assert mounts["backups"]["readOnly"] is True


def test_checkov_finds_nothing(tmp_path: Path) -> None:
    path = write(_MANIFESTS, tmp_path / "restore.yaml")
    skipped = "CKV_K8S_15,CKV_K8S_43"  # as for the chart
    options = ("--framework", "kubernetes", "--skip-download", "--output", "json", "--skip-check", skipped)
    report = json.loads(tools.run(tools.CHECKOV, *options, "--file", path).stdout)
    assert report["summary"]["passed"] > 0
    assert [each["check_id"] for each in report["results"]["failed_checks"]] == []
