"""The ports on which the processes of a stack expose their metrics, and the targets file for Prometheus."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.kit.processes import Process
from core.kit.settings import Settings

if TYPE_CHECKING:
    from waybill.stack.plan import Child

TARGETS_FILE = "prometheus-targets.json"
LOOPBACK = "127.0.0.1"
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Below the ports that the kernel gives to outgoing connections (32768 and up, ip(7)): none of those takes one of ours
# while its process is started again.
_LOWEST, _HIGHEST = 20_000, 32_000


def metrics_ports(settings: Settings) -> Iterator[int]:
    """Ports for one process after the other: those from ``metrics_port`` on if it is set, else free ones."""
    from waybill.stack.plan import is_free

    if settings.metrics_port:
        yield from count(settings.metrics_port)
    given: set[int] = set()
    while True:
        # Two stacks that start together look at different ports.
        port = random.randrange(_LOWEST, _HIGHEST)  # noqa: S311 - not a secret
        if port not in given and is_free(LOOPBACK, port):
            given.add(port)
            yield port


def metrics_environment(port: int, *, shared: Path | None = None) -> dict[str, str]:
    """Settings that expose a process's metrics on loopback `port`; a process with children shares them in `shared`."""
    folder = {} if shared is None else {SHARED_FOLDER: str(shared)}
    return {"WAYBILL_METRICS_PORT": str(port), "WAYBILL_METRICS_HOST": LOOPBACK, **folder}


def prepare_shared(children: Sequence["Child"]) -> None:
    """Empty the shared metrics folders, which may hold values of an earlier stack."""
    for child in children:
        if folder := child.environment.get(SHARED_FOLDER):
            shutil.rmtree(folder, ignore_errors=True)
            Path(folder).mkdir(parents=True, mode=0o700)


def metrics_addresses(children: Sequence["Child"]) -> dict[str, str]:
    """The ``host:port`` of each process's metrics, by its name."""
    return {child.name: child.metrics for child in children if child.metrics is not None}


def targets(children: Sequence["Child"]) -> list[dict[str, Any]]:
    """The processes as Prometheus reads them from a file (its ``file_sd_config``), with the labels of compose.yaml."""
    return [
        {"targets": [child.metrics], "labels": _labels(child.name, child.process)}
        for child in children
        if child.metrics is not None and child.process is not None
    ]


def render_targets(children: Sequence["Child"]) -> str:
    """The text of the file."""
    return json.dumps(targets(children), indent=1) + "\n"


def _labels(name: str, process: Process) -> dict[str, str]:
    pool = {"pool": name.removeprefix("worker-")} if process is Process.WORKER else {}
    return {"instance": name, "process": process.value, **pool}
