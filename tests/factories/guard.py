"""The guard's process with recognizers that load at once and obey their texts: they wait, stand still, crash."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.kit.settings import Settings, get_settings
from tests.factories.forking import fork
from tests.factories.processes import ROOT, Process

_MODULE = "tests.factories.guard"
_CHILD = "tests.factories.guard_child"
_ENTRY = f"{_CHILD}:open_light"
ADDRESSES = f"{_CHILD}:open_addresses"
IDENTIFIERS = f"{_CHILD}:open_identifiers"


@contextmanager
def analyzer(settings: Settings, url: str, entry: str | None = _ENTRY) -> Iterator[Process]:
    """The process, once its child has loaded `entry`, None for the product's own; stopped at the end, or killed."""
    process = start_analyzer(settings, url, entry)
    try:
        process.wait_for("analyzer_child_ready")
        yield process
    finally:
        try:
            process.stop(20)
        except TimeoutError:
            process.kill()


def start_analyzer(settings: Settings, url: str, entry: str | None = _ENTRY) -> Process:
    """The process, not waited for."""
    log = settings.home / f"guard-{time.monotonic_ns()}.log"
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "WAYBILL_HOME": str(settings.home),
        "WAYBILL_GUARD_TIMEOUT_SECONDS": str(settings.guard_timeout_seconds),
        "WAYBILL_GUARD_PROCESSES": str(settings.guard_processes),
    }
    log.touch()
    arguments = ("waybill", "guard", "serve", "--listen", url) if entry is None else (_MODULE, url, entry)
    return Process(fork(arguments, variables, ROOT, log), log)


def socket_below(folder: Path) -> str:
    """The URL of a socket in `folder`, which must not be deep: the kernel takes 107 characters."""
    return f"unix://{folder / 'guard.sock'}"


if __name__ == "__main__":
    import sys

    from workers.analyzer.server import main

    sys.exit(main(get_settings(), sys.argv[1], entry=sys.argv[2]))
