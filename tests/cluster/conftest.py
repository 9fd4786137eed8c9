"""This folder is run by ``make kube-test``, which builds a control plane first; other runs leave it out."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart import crds
from tests.chart.rendering import CHART
from tests.cluster.plane import Plane, control_plane

collect_ignore_glob = [] if os.environ.get("WAYBILL_CLUSTER_TOOLS") else ["test_*.py"]
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What the control plane that can be built here calls otherwise.
_OLDER = {"apiVersion: policy/v1\n": "apiVersion: policy/v1beta1\n", "autoscaling/v2\n": "autoscaling/v2beta2\n"}


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane with nodes in three zones, which knows the kinds of custom resources that the chart makes."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        for path in sorted(crds.FOLDER.glob("*.json")):
            definition = json.loads(path.read_text(encoding="utf-8"))
            for version in definition["spec"]["versions"]:
                # Their fields are checked in tests/chart; this control plane is too old for some of the schemas.
                version["schema"] = {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                }
                version.pop("additionalPrinterColumns", None)
            running.http.post(_DEFINITIONS, json=definition).raise_for_status()
        yield running


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, in the words of the control plane's release."""
    copy = tmp_path_factory.mktemp("chart") / "waybill"
    shutil.copytree(CHART, copy)
    for path in (*(copy / "templates").iterdir(), copy / "Chart.yaml"):
        text = path.read_text(encoding="utf-8")
        for newer, older in _OLDER.items():
            text = text.replace(newer, older)
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith("kubeVersion:")]
        path.write_text("".join(lines), encoding="utf-8")
    return copy
