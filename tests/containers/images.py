"""The images of the run: the product's, built from its Dockerfiles, and what they and `compose.yaml` name."""

import shlex
import subprocess
from pathlib import Path

import yaml
from rich.console import Console

from tests.containers.engine import EngineFailed, image_exists, podman
from tests.factories.processes import ROOT

# Megabytes on top of the base, little above what they are: whatever makes an image grow further raises its limit.
PRODUCT = {
    "api": 155,
    "backup": 148,
    "dispatcher": 174,
    "guard": 395,
    "knowledge": 392,
    "customer_operations": 370,
    "models": 340,
    "multimodal": 950,
    "research": 560,
}
PYTHON = "docker.io/library/python:3.13-slim-trixie"
_STAND_INS = {
    "docker.io/pgvector/pgvector:pg18": "postgres",
    "docker.io/valkey/valkey:9": "valkey",
    "mcr.microsoft.com/azure-storage/azurite:3.35.0": "azurite",
    "docker.io/library/caddy:2": "caddy",
    "docker.io/prom/prometheus:v3.5.0": "prometheus",
    "docker.io/prom/alertmanager:v0.28.1": "alertmanager",
}
_FOLDER = Path(__file__).parent / "standins"
_BUILD_SECONDS = 1800.0
_PULL_SECONDS = 300.0


def name_of(image: str) -> str:
    """What the image is called: of the API, of backups, of the workers of a pool, or of the dispatcher beside them."""
    return f"waybill-{image}" if image in {"api", "backup"} else f"waybill-worker-{image}"


def prepare(console: Console, build_options: str) -> None:
    """Get every image that is not built from our Dockerfiles: from its registry, else as a stand-in.

    `build_options` are options of `podman build`, for what this machine needs to reach the package registries.
    """
    if _is_missing(PYTHON):
        console.print(f"building a stand-in for {PYTHON}")
        _run([str(_FOLDER / "python.sh"), PYTHON, *shlex.split(build_options)])
    for name, file in _STAND_INS.items():
        if _is_missing(name):
            console.print(f"building a stand-in for {name}")
            dockerfile = str(_FOLDER / f"{file}.Dockerfile")
            options = ["--format", "docker", "--pull=never", *shlex.split(build_options)]
            _run(["podman", "build", *options, "--file", dockerfile, "--tag", name, str(_FOLDER)])


def services() -> list[str]:
    """What of `compose.yaml` is brought up: the profile `observe`, without Grafana where there is no image of it."""
    named = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    wanted = {name: each for name, each in named.items() if each.get("profiles", ["observe"]) == ["observe"]}
    return [name for name, each in wanted.items() if name != "grafana" or not _is_missing(each["image"])]


def sizes() -> dict[str, int]:
    """Bytes of each of the product's images and of the base that they share."""
    names = {"base": PYTHON, **{image: f"localhost/{name_of(image)}" for image in PRODUCT}}
    return {key: int(podman("image", "inspect", "--format", "{{.Size}}", name)) for key, name in names.items()}


def grown(sizes: dict[str, int]) -> list[str]:
    """What is wrong with `sizes`: images that are larger than they may be."""
    added = {image: (sizes[image] - sizes["base"]) / 1e6 for image in PRODUCT}
    return [
        f"{image} adds {megabytes:.0f} MB to its base, of {PRODUCT[image]}"
        for image, megabytes in added.items()
        if megabytes > PRODUCT[image]
    ]


def _is_missing(name: str) -> bool:
    if image_exists(name):
        return False
    try:
        podman("pull", "--quiet", name, timeout_seconds=_PULL_SECONDS)
    except EngineFailed:
        return True
    return False


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_BUILD_SECONDS,
    )
    if done.returncode != 0:
        raise EngineFailed(f"{' '.join(command)}: {done.stdout.strip()[-2000:]}")
