"""What a worker process of each pool pays before its first job: time and memory of loading the pool's capabilities.

``python -m tests.bench entries``; ``python -m tests.bench.entries`` prints the table alone and needs no servers. Every
pool is loaded in a fresh process, three times; the row is the median.
"""

import json
import subprocess
import sys
import time
from importlib import import_module
from statistics import median

import psutil

from pipelines.registry import manifests, pools
from tests.bench.rows import Row

_ROUNDS = 3


def measure() -> list[Row]:
    """Two rows a pool: seconds to load its entries in a process that holds Celery and the worker, and memory then."""
    rows = []
    for pool in ("", *pools()):
        rounds = [_load_elsewhere(pool) for _ in range(_ROUNDS)]
        name = pool or "no capability"
        rows += [
            Row(f"entry_{name}_seconds", round(median(each["seconds"] for each in rounds), 2), "s"),
            Row(f"entry_{name}_memory", round(median(each["memory_mb"] for each in rounds)), "MB"),
        ]
    return rows


def _load_elsewhere(pool: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.entries", "--load", pool]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _load(pool: str) -> None:
    import_module("workers.app")
    import_module("workers.runtime")
    began = time.perf_counter()
    for manifest in manifests().values():
        if manifest.pool == pool:
            manifest.load()
    seconds = time.perf_counter() - began
    memory_mb = psutil.Process().memory_info().rss / 1e6
    sys.stdout.write(json.dumps({"seconds": seconds, "memory_mb": memory_mb}) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        _load(sys.argv[2])
    else:
        for row in measure():
            sys.stdout.write(f"{row.name:40} {row.value:8} {row.unit}\n")
