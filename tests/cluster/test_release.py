"""A release from its installation to its end, on a real API server with real controllers and a real scheduler.

The tests build on each other, in the order of the file. No container runs: what is shown is what Kubernetes makes of
the chart, and of an upgrade.
"""

import json
from collections import Counter
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.cluster.plane import ZONES, Plane

_NAMESPACE = "waybill"
_WAIT_SECONDS = 120.0
_TIMEOUT = ("--wait", "--timeout", "3m")
# Fields are checked against the schemas of newer releases, in tests/chart.
_UNCHECKED = ("--disable-openapi-validation",)
_PROCESSES = {
    "api",
    "dispatcher",
    "deliverer",
    "flower",
    "worker-customer-operations",
    "worker-knowledge",
    "worker-models",
    "worker-multimodal",
    "worker-research",
}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Values of a release with three of what answers callers."""
    path = tmp_path_factory.mktemp("values") / "values.json"
    document = {
        "images": {"registry": "registry.internal.example"},
        "blob": {"url": "azure://waybill"},
        "api": {"replicas": 3},
        "route": {"enabled": True, "hostnames": ["waybill.example.com"], "parentRefs": [{"name": "public"}]},
        "networkPolicy": {"ingress": {"api": [{"namespaceSelector": {}}], "monitoring": [{"namespaceSelector": {}}]}},
        "monitoring": {"enabled": True},
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _deployments(plane: Plane) -> dict[str, Any]:
    items = plane.get(f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments")["items"]
    return {each["metadata"]["name"].removeprefix("waybill-"): each for each in items}


def _pods(plane: Plane, process: str) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{_NAMESPACE}/pods?labelSelector=waybill.io%2Fprocess%3D{process}"
    return [each for each in plane.get(path)["items"] if "deletionTimestamp" not in each["metadata"]]


def _images(plane: Plane, process: str) -> set[str]:
    return {each["spec"]["containers"][0]["image"].rpartition(":")[2] for each in _pods(plane, process)}


def _wait_for(plane: Plane, process: str, count: int) -> None:
    deadline = monotonic() + _WAIT_SECONDS
    while len(found := _pods(plane, process)) != count or any(each["status"]["phase"] != "Running" for each in found):
        assert monotonic() < deadline, f"{process} has {len(found)} pods"
        sleep(0.2)


def test_it_installs_after_its_migrations(plane: Plane, chart: Path, values: Path) -> None:
    install = ("install", "waybill", chart, "--namespace", _NAMESPACE, "--create-namespace", "--values", values)
    # Applied by the server, fields that this release does not know yet would be refused instead of dropped.
    done = plane.helm(*install, "--set", "images.tag=1.0.0", "--server-side=false", *_UNCHECKED, *_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    deployments = _deployments(plane)
    assert deployments.keys() == _PROCESSES
    for name, each in deployments.items():
        assert each["status"].get("readyReplicas") == each["spec"]["replicas"], name
    job = plane.get(f"/apis/batch/v1/namespaces/{_NAMESPACE}/jobs/waybill-migrate")
    assert job["status"]["succeeded"] == 1
    first = min(each["metadata"]["creationTimestamp"] for each in deployments.values())
    assert job["status"]["completionTime"] <= first


def test_pods_are_spread_over_the_zones(plane: Plane) -> None:
    assert Counter(each["spec"]["nodeName"] for each in _pods(plane, "api")) == dict.fromkeys(ZONES, 1)


def test_priorities_are_those_of_the_classes(plane: Plane) -> None:
    priorities = {name: {each["spec"]["priority"] for each in _pods(plane, name)} for name in ("api", "worker-models")}
    assert priorities == {"api": {100000}, "worker-models": {10000}}


def test_a_second_eviction_is_refused_while_the_first_is_felt(plane: Plane) -> None:
    answers = []
    for pod in _pods(plane, "api")[:2]:
        path = f"/api/v1/namespaces/{_NAMESPACE}/pods/{pod['metadata']['name']}/eviction"
        body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        answers.append(plane.http.post(path, json=body))
    assert [each.status_code for each in answers] == [201, 429]
    assert "disruption budget" in answers[1].json()["message"]
    _wait_for(plane, "api", 3)


def test_a_number_that_an_autoscaler_sets_survives_an_upgrade(plane: Plane, chart: Path, values: Path) -> None:
    # What KEDA's autoscaler does to a pool.
    done = plane.kubectl("--namespace", _NAMESPACE, "scale", "deployment/waybill-worker-knowledge", "--replicas=5")
    assert done.returncode == 0, done.stderr
    _wait_for(plane, "worker-knowledge", 5)
    upgrade = ("upgrade", "waybill", chart, "--namespace", _NAMESPACE, "--values", values)
    done = plane.helm(*upgrade, "--set", "images.tag=1.1.0", *_UNCHECKED, *_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    _wait_for(plane, "worker-knowledge", 5)
    assert all(_images(plane, name) == {"1.1.0"} for name in _PROCESSES)


def test_a_release_is_undone(plane: Plane) -> None:
    done = plane.helm("rollback", "waybill", "1", "--namespace", _NAMESPACE, *_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(_images(plane, name) == {"1.0.0"} for name in _PROCESSES)
    # One process alone, as in a hurry.
    for tag in ("1.1.0", "1.0.0"):
        done = plane.kubectl("--namespace", _NAMESPACE, "rollout", "undo", "deployment/waybill-api")
        assert done.returncode == 0, done.stderr
        done = plane.kubectl("--namespace", _NAMESPACE, "rollout", "status", "deployment/waybill-api", "--timeout=2m")
        assert done.returncode == 0, done.stderr
        assert _images(plane, "api") == {tag}


@pytest.mark.parametrize("process", sorted(_PROCESSES | {"migrate"}))
def test_an_account_may_do_nothing_in_the_cluster(plane: Plane, process: str) -> None:
    account = f"--as=system:serviceaccount:{_NAMESPACE}:waybill-{process}"
    done = plane.kubectl("--namespace", _NAMESPACE, "get", "serviceaccount", f"waybill-{process}")
    assert done.returncode == 0, done.stderr
    for verb, resource in (
        ("get", "secrets"),
        ("list", "pods"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("patch", "deployments.apps"),
        ("update", "serviceaccounts/token"),
        ("impersonate", "serviceaccounts"),
        ("get", "configmaps"),
    ):
        done = plane.kubectl("--namespace", _NAMESPACE, "auth", "can-i", verb, resource, account)
        assert (done.returncode, done.stdout.strip()) == (1, "no"), f"{verb} {resource}"
    # The question is one that is answered yes where it should be.
    assert plane.kubectl("--namespace", _NAMESPACE, "auth", "can-i", "get", "secrets").stdout.strip() == "yes"


def test_it_goes_without_a_trace_but_for_its_hooks(plane: Plane) -> None:
    done = plane.helm("uninstall", "waybill", "--namespace", _NAMESPACE, *_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _deployments(plane) == {}
    listed = plane.kubectl("--namespace", _NAMESPACE, "get", "job,serviceaccount,networkpolicy", "--output=name").stdout
    left = {line for line in listed.split() if "waybill" in line}
    assert left == {
        "job.batch/waybill-migrate",
        "serviceaccount/waybill-migrate",
        "networkpolicy.networking.k8s.io/waybill-migrate",
    }
