"""checkov's rules for Kubernetes, less those that do not fit, each with its reason."""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.chart import tools
from tests.chart.rendering import NAMESPACE, VALUES, Manifest, render, write

_SKIPPED = {
    "CKV_K8S_15": "tags of releases do not move; IfNotPresent starts pods while the registry is down",
    "CKV_K8S_43": "digests are pinned at deployment (images.digests); the examples have no real ones",
}


def _failed(manifests: Sequence[Manifest], folder: Path) -> set[str]:
    # As Helm does when it installs.
    placed = [{**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}} for each in manifests]
    path = write(placed, folder / "manifests.yaml")
    skipped = ",".join(sorted(_SKIPPED))
    options = ("--framework", "kubernetes", "--skip-download", "--output", "json", "--skip-check", skipped)
    done = tools.run(tools.CHECKOV, *options, "--file", path)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 0
    return {
        f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in report["results"]["failed_checks"]
    }


def test_checkov_finds_nothing(values: Path, tmp_path: Path) -> None:
    assert _failed(render(values), tmp_path) == set()


def test_checkov_finds_a_pod_that_is_not_restricted(tmp_path: Path) -> None:
    manifests = json.loads(json.dumps(render(VALUES[0])))
    for each in manifests:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    assert any("CKV_K8S_16" in each for each in _failed(manifests, tmp_path))
