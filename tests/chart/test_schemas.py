"""Every manifest against the schemas of Kubernetes 1.33 and 1.37, and of the custom resources; unknown keys refused."""

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chart import crds, tools
from tests.chart.rendering import VALUES, Manifest, named, of_kind, render, write

_VERSIONS = ("1.33", "1.37")
# Nothing here has Istio's schemas; a cluster that lacks its definitions refuses the resource.
_UNCHECKED = {"security.istio.io/v1"}
_PRODUCTION = next(path for path in VALUES if path.name == "production-values.yaml")


def _is_custom(manifest: Manifest) -> bool:
    return (manifest["apiVersion"], manifest["kind"]) in crds.schemas() or manifest["apiVersion"] in _UNCHECKED


def _validate(manifests: list[Manifest], version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = write(manifests, folder / "manifests.yaml")
    return tools.run(tools.KUBERNETES_VALIDATE, "-k", version, "--strict", path)


@pytest.mark.parametrize("version", _VERSIONS)
def test_the_native_ones_are_as_kubernetes_says(values: Path, version: str, tmp_path: Path) -> None:
    native = [each for each in render(values) if not _is_custom(each)]
    assert {each["kind"] for each in native} >= {"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"}
    assert {"CronJob", "PersistentVolumeClaim"} <= {each["kind"] for path in VALUES for each in render(path)}
    done = _validate(native, version, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_custom_ones_are_as_their_definitions_say(values: Path) -> None:
    assert [fault for each in render(values) for fault in crds.faults(each)] == []


def test_between_them_the_examples_use_every_definition() -> None:
    used = {(each["apiVersion"], each["kind"]) for path in VALUES for each in render(path)}
    assert used >= crds.schemas().keys()


def _misspell_a_probe(manifest: Manifest) -> None:
    manifest["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}


def _count_replicas_in_words(manifest: Manifest) -> None:
    manifest["spec"]["replicas"] = "three"


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("plant", [_misspell_a_probe, _count_replicas_in_words])
def test_a_fault_in_a_native_one_is_found(version: str, plant: Callable[[Manifest], None], tmp_path: Path) -> None:
    planted = copy.deepcopy(named(render(_PRODUCTION), "Deployment", "waybill-dispatcher"))
    plant(planted)
    assert _validate([planted], version, tmp_path).returncode != 0


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("ScaledObject", "pollingIntervall", 5),
        ("ScaledObject", "maxReplicaCount", "many"),
        ("TriggerAuthentication", "azureKeyvault", {}),
        ("HTTPRoute", "hostname", "waybill.example.com"),
        ("PodMonitor", "podMetricsEndpoint", []),
        ("PrometheusRule", "groups", {"name": "waybill"}),
        ("SecretProviderClass", "provider", 1),
    ],
)
def test_a_fault_in_a_custom_one_is_found(kind: str, key: str, value: Any) -> None:
    planted = copy.deepcopy(next(of_kind(render(_PRODUCTION), kind)))
    planted["spec"][key] = value
    assert list(crds.faults(planted))
