"""Renders the chart, and finds things in what it renders."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.chart import tools

CHART = Path(__file__).resolve().parents[2] / "infra" / "helm" / "waybill"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "waybill", "waybill"
Manifest = dict[str, Any]


def template(values: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What ``helm template`` says of the chart with these values."""
    options = ("--namespace", NAMESPACE, "--kube-version", "1.33.0", "--values", values)
    return tools.run(tools.HELM, "template", RELEASE, CHART, *options, *arguments)


@cache
def render(values: Path, *arguments: str) -> tuple[Manifest, ...]:
    """Every manifest of the chart with these values. Do not change them: they are shared."""
    done = template(values, *arguments)
    assert done.returncode == 0, done.stderr
    return tuple(found for found in yaml.safe_load_all(done.stdout) if found)


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> Iterator[Manifest]:
    """The manifests of these kinds."""
    return (each for each in manifests if each["kind"] in kinds)


def named(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The manifest of that kind and name."""
    (found,) = (each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name)
    return found


def workloads(manifests: Sequence[Manifest]) -> dict[str, Manifest]:
    """Deployments and Jobs, also those that a CronJob makes, by the name of their process."""
    found = list(of_kind(manifests, "Deployment", "Job"))
    found += [{**each["spec"]["jobTemplate"], "kind": "Job"} for each in of_kind(manifests, "CronJob")]
    return {each["spec"]["template"]["metadata"]["labels"]["waybill.io/process"]: each for each in found}


def pod(workload: Manifest) -> Manifest:
    """The pod template's spec."""
    return workload["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def container(workload: Manifest) -> Manifest:
    """The one container of the pod."""
    (found,) = pod(workload)["containers"]
    return found  # type: ignore[no-any-return]


def labels(workload: Manifest) -> Mapping[str, str]:
    """The pod's labels."""
    return workload["spec"]["template"]["metadata"]["labels"]  # type: ignore[no-any-return]


def component(workload: Manifest) -> str:
    """What kind of process the pod runs."""
    return labels(workload)["app.kubernetes.io/component"]


def selects(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    """Whether a selector of labels, of which this chart writes only matchLabels, takes these labels."""
    wanted = selector.get("matchLabels", selector)
    return all(found.get(name) == value for name, value in wanted.items())


def environment(manifests: Sequence[Manifest], workload: Manifest) -> dict[str, str]:
    """The variables of the container, those of ConfigMaps included."""
    found = container(workload)
    variables: dict[str, str] = {}
    for source in found.get("envFrom", []):
        variables |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables | {each["name"]: each["value"] for each in found["env"]}


def secret_files(manifests: Sequence[Manifest], workload: Manifest) -> dict[str, str]:
    """The files below /run/secrets/waybill, with the Secret or the vault's object that each comes from."""
    volume = next((each for each in pod(workload)["volumes"] if each["name"] == "secrets"), None)
    if volume is None:
        return {}
    if "csi" in volume:
        name = volume["csi"]["volumeAttributes"]["secretProviderClass"]
        parameters = named(manifests, "SecretProviderClass", name)["spec"]["parameters"]
        objects = (yaml.safe_load(each) for each in yaml.safe_load(parameters["objects"])["array"])
        return {each["objectAlias"]: each["objectName"] for each in objects}
    sources = (source["secret"] for source in volume["projected"]["sources"])
    return {item["path"]: source["name"] for source in sources for item in source["items"]}


def write(manifests: Sequence[Manifest], path: Path) -> Path:
    """The manifests as one file of YAML documents."""
    path.write_text("\n---\n".join(json.dumps(each) for each in manifests), encoding="utf-8")
    return path
