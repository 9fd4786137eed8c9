"""``python -m tests.bench profile``: which libraries hold the interpreter while no-op jobs run, by process.

Samples are taken from outside by ``py-spy`` (``pip install py-spy``; it needs the right to trace processes), of threads
that hold the interpreter's lock. What is spent outside it, in system calls above all, is in the processor time of
``where`` and not here.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from core.kit.processes import Process as Kind
from tests.bench import where
from tests.bench.rows import Row
from tests.bench.system import WORKER_SLOTS
from tests.bench.units import bench
from tests.factories.processes import ROOT

_SECONDS = 40
_PER_SECOND = 199
_PLACE = re.compile(r"\((?P<path>[^()]*):\d+\)$")
# The innermost frame of one of these decides; the standard library counts for whoever called it.
_GROUPS = {
    "Celery and kombu": ("celery/", "kombu/", "vine/"),
    "redis-py": ("redis/",),
    "psycopg": ("psycopg/",),
    "SQLAlchemy": ("sqlalchemy/",),
    "structlog": ("structlog/",),
    "Prometheus client": ("prometheus_client/",),
    "uvicorn, Starlette, FastAPI": ("uvicorn/", "starlette/", "fastapi/", "pydantic/"),
    "our own": ("core/", "workers/", "api/", "pipelines/", "tests/factories/"),
}
_SHOWN = (Kind.WORKER, Kind.DISPATCHER, Kind.API)


def run() -> list[Row]:
    """The share of every group, in percent of a process's samples."""
    spy = shutil.which("py-spy")
    if spy is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    with bench(lambda _: None) as made, tempfile.TemporaryDirectory() as folder:
        made.start_dispatcher()
        made.start_worker(slots=WORKER_SLOTS)
        where.work(made)
        spies = []
        for kind in _SHOWN:
            [pid] = made.counters.processes[kind.value]
            options = ["--gil", "--rate", str(_PER_SECOND), "--duration", str(_SECONDS), "--format", "raw"]
            output = ["--output", str(Path(folder) / kind.value), "--pid", str(pid)]
            spies.append(subprocess.Popen([spy, "record", *options, *output], stdout=subprocess.DEVNULL))
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            where.work(made)
        for each in spies:
            each.wait()
        shares = {kind.value: _shares((Path(folder) / kind.value).read_text().splitlines()) for kind in _SHOWN}
        for kind in (Kind.WORKER, Kind.DISPATCHER):
            made.stop(kind)
    return [
        Row(f"profile_{kind}_{name.split()[0].strip(',').lower()}", share, "% of samples")
        for kind, found in shares.items()
        for name, share in found.items()
    ]


def _shares(stacks: Iterable[str]) -> dict[str, float]:
    counted: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        counted[_group(stack.split(";"))] += int(count)
    return {name: round(100 * count / counted.total(), 1) for name, count in counted.most_common()}


def _group(frames: list[str]) -> str:
    for frame in reversed(frames):
        place = _PLACE.search(frame)
        path = "" if place is None else place["path"].removeprefix(f"{ROOT}/")
        for name, marks in _GROUPS.items():
            if any(path.startswith(mark) or f"site-packages/{mark}" in path for mark in marks):
                return name
    return "other"
