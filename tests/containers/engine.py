"""podman and podman-compose: images by their names, and one project of `compose.yaml` on this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

_COMPOSE = "podman-compose==1.6.0"
_MINUTES = 60
_READY_SECONDS = 180.0
_PODMAN = str(Path(__file__).with_name("podman.sh"))


class EngineFailed(Exception):
    """A command of the engine's that did not succeed; the text is what it said last."""


def podman(*arguments: str, timeout_seconds: float = 2 * _MINUTES) -> str:
    """What `podman` prints. Raises `EngineFailed`."""
    return _run(["podman", *arguments], timeout_seconds=timeout_seconds)


def image_exists(name: str) -> bool:
    """Whether the image is on this machine."""
    return subprocess.run(["podman", "image", "exists", name], check=False).returncode == 0


@dataclass(frozen=True, slots=True)
class Project:
    """`compose.yaml` under another name, beside what else runs here; `variables` are those that it reads."""

    name: str
    secrets: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, profile: str = "observe", timeout_seconds: float = 5 * _MINUTES) -> str:
        """What `podman-compose` prints. Raises `EngineFailed`."""
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "tool", "run", "--quiet", "--from", _COMPOSE, "podman-compose"]
        options = ["--project-name", self.name, "--profile", profile, "--podman-path", _PODMAN]
        environment = {**self.variables, "WAYBILL_SECRETS": str(self.secrets)}
        return _run([*command, *options, *arguments], environment=environment, timeout_seconds=timeout_seconds)

    def down(self) -> None:
        """Take everything down, with its volumes; what did not go by itself goes by force."""
        try:
            self.compose("down", "--volumes", "--timeout", "10")
        finally:
            mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
            for kind, listed in (
                ("container", ("ps", "--all")),
                ("volume", ("volume", "ls")),
                ("network", ("network", "ls")),
            ):
                for left in podman(*listed, *mine).split():
                    podman(kind, "rm", "--force", left)

    def container(self, service: str) -> str:
        """The name of the service's container."""
        return f"{self.name}_{service}_1"

    def containers(self) -> dict[str, int]:
        """The process id, on this machine, of each service's container that runs."""
        rows = podman(
            *("ps", "--filter", f"label=com.docker.compose.project={self.name}"),
            *("--format", '{{index .Labels "com.docker.compose.service"}} {{.Pid}}'),
        )
        return {service: int(pid) for service, pid in (row.split() for row in rows.splitlines())}

    def execute(self, service: str, *command: str) -> str:
        """What the command prints inside the service's container. Raises `EngineFailed`."""
        return podman("exec", self.container(service), *command)

    def logs(self, service: str, lines: int = 20) -> str:
        """The service's last lines."""
        done = subprocess.run(
            ["podman", "logs", "--tail", str(lines), self.container(service)],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout


def free_addresses() -> dict[str, str]:
    """An address of this machine, with a free port, for each that `compose.yaml` publishes at."""
    names = sorted(set(re.findall(r"WAYBILL_PUBLISH_\w+", (ROOT / "compose.yaml").read_text(encoding="utf-8"))))
    return {name: f"127.0.0.1:{free_port()}" for name in names}


def wait_until_ready(url: str) -> float:
    """Wait until the API answers at `url`, the proxy's; returns the seconds that it took. Raises AssertionError."""
    return wait_until(
        lambda: _is_ready(url), timeout_seconds=_READY_SECONDS, what="the API to be ready", pause_seconds=0.5
    )


def _is_ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        return answer.status_code == 200 and answer.json()["status"] == "ready"
    except (httpx.HTTPError, ValueError):
        return False


def _run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_seconds: float) -> str:
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineFailed(f"{' '.join(command)}: not done after {timeout_seconds:.0f} s") from error
    if done.returncode != 0:
        raise EngineFailed(f"{' '.join(command)}: {done.stderr.strip()[-1500:]}")
    return done.stdout
