"""Isolates a job whose worker was lost: its next attempts run in a child process that runs nothing else.

Which job ended a process that ran several cannot be known afterward. So each of them continues where it can harm no
other job: those that were bystanders finish there, and the one that crashes or outgrows its process loses only itself,
until its attempts are used up.
"""

import os
import signal
import subprocess
import sys
import threading
from uuid import UUID

from core.kit.ids import JOB, encode
from core.kit.logging import configure_logging, get_logger
from core.kit.metrics import WORKER_REPLACEMENTS
from core.kit.parentage import be_first_to_go, end_with_parent
from core.kit.settings import Settings
from core.kit.telemetry import configure_tracing

# Each child loads the capability again; after a crash every job of the process would start one at the same time.
# A job without a free slot stays in the queue, and its message is sent again after ``redispatch_after_seconds``.
_AT_A_TIME = 2
_LOOK_SECONDS = 0.25
_POOL_SIZE = 4
_slots = threading.BoundedSemaphore(_AT_A_TIME)
_log = get_logger(__name__)


def run_isolated(job_id: UUID, pool: str) -> None:
    """Run one attempt of the job in a child process, and wait for its end. Returns at once when no slot is free."""
    if not _slots.acquire(blocking=False):
        return
    try:
        _run(job_id, pool)
    finally:
        _slots.release()


def _run(job_id: UUID, pool: str) -> None:
    from workers.runtime import drain

    _log.info("job_runs_isolated", job_id=encode(JOB, job_id))
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "workers", "isolated", str(job_id), pool],
        env={**os.environ, "WAYBILL_METRICS_PORT": "0", "WAYBILL_WORKER_PID": str(os.getpid())},
        stdin=subprocess.DEVNULL,
    )
    is_notified = False
    while True:
        try:
            code = process.wait(_LOOK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            if drain.is_due() and not is_notified:
                is_notified = True
                process.terminate()
    if code != 0:
        WORKER_REPLACEMENTS.labels(pool, "isolated").inc()
        _log.warning("isolated_job_lost", job_id=encode(JOB, job_id), pool=pool, exit_code=code)


def main(settings: Settings, job_id: UUID, pool: str) -> int:
    """Run one attempt of the job in this process, which is the child; returns its exit code."""
    from workers.execute import execute
    from workers.pools import get_pool
    from workers.recycling import WorkerRecycling
    from workers.runtime import drain, get_runtime

    signal.signal(signal.SIGTERM, lambda *_: drain.begin())
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(int(os.environ["WAYBILL_WORKER_PID"]), signal.SIGTERM)
    be_first_to_go()
    configure_logging(settings, service=f"worker-{pool}-alone")
    configure_tracing(settings, service=f"worker-{pool}")
    runtime = get_runtime(pool_size=_POOL_SIZE)
    WorkerRecycling(get_pool(pool, settings.worker_memory_mb), 0, retire=lambda _: None).start()
    execute(runtime, job_id, isolated=True)
    return 0
