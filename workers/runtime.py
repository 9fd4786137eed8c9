"""The resources of a worker process: connections, leases, loaded capabilities. Built on first use, after any fork."""

import mmap
import os
import socket
import threading

from core.capability import Manifest, Runner
from core.guard.guard import Guard
from core.jobs.live import LivePublisher
from core.kit.db import Database
from core.kit.logging import get_logger
from core.kit.metrics import WORKER_SLOTS_BUSY
from core.kit.redis import connect
from core.kit.settings import Settings, get_settings
from pipelines._kit.resources import get_guard
from pipelines.registry import manifests
from workers.context import AttemptContext
from workers.heartbeat import Heartbeat
from workers.services import open_services

_log = get_logger(__name__)


class Runtime:
    """The process's resources. Use `get_runtime`; it makes one per process, also in children of a prefork pool."""

    def __init__(self, settings: Settings, guard: Guard, *, pool_size: int) -> None:
        self.settings = settings
        self.worker_name = f"{socket.gethostname()}:{os.getpid()}"
        # The pool whose messages this process takes; empty in a child that runs one job.
        self.pool = ""
        self.database = Database(settings, application_name="waybill-worker", pool_size=pool_size)
        self.redis = connect(settings)
        self.publisher = LivePublisher(self.redis, settings)
        self.services = open_services(settings, self.database, self.publisher, self.redis, guard=guard)
        self.payloads = self.services.jobs.payloads
        self._heartbeat = Heartbeat(self.database, self.redis, settings)
        self._heartbeat.start()
        self._held: set[AttemptContext] = set()
        self._runners: dict[tuple[str, int], Runner] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def hold(self, ctx: AttemptContext) -> None:
        """Renew the attempt's lease until `release`."""
        with self._lock:
            self._held.add(ctx)
        WORKER_SLOTS_BUSY.labels(ctx.job.pool).inc()
        self._heartbeat.hold(ctx)
        if drain.is_due():
            ctx.ask_to_stop()

    def release(self, ctx: AttemptContext) -> None:
        """Stop renewing the attempt's lease."""
        self._heartbeat.release(ctx)
        with self._lock:
            self._held.discard(ctx)
        WORKER_SLOTS_BUSY.labels(ctx.job.pool).dec()

    def ask_all_to_stop(self) -> None:
        """Ask every running attempt to return its job to the queue at its next check."""
        with self._lock:
            held = list(self._held)
        for ctx in held:
            ctx.ask_to_stop()

    def runner(self, manifest: Manifest, graph_version: int) -> Runner:
        """The capability's runner of that graph version, loaded once per process."""
        key = (manifest.id, graph_version)
        with self._loading:
            runner = self._runners.get(key)
            if runner is None:
                runner = self._runners[key] = manifest.load(graph_version)
            return runner

    def warm(self, pool: str) -> None:
        """Load every capability of the pool in the background, so that a process's first job need not wait."""
        self.pool = pool
        threading.Thread(target=self._load_all, args=(pool,), name="warm", daemon=True).start()

    def _load_all(self, pool: str) -> None:
        for manifest in manifests().values():
            if manifest.pool == pool:
                try:
                    self.runner(manifest, manifest.graph_version)
                except Exception:  # noqa: BLE001 - the job that asks for it fails with the same error, and says so
                    _log.exception("capability_not_loaded", capability=manifest.id)


class Drain:
    """Whether this process, or the parent it was forked from, must return its jobs now."""

    def __init__(self) -> None:
        # Anonymous shared memory survives a fork, so a child of a prefork pool sees its parent's decision.
        self._flag = mmap.mmap(-1, 1)

    def begin(self) -> None:
        """Ask running attempts to stop from now on."""
        self._flag[0] = 1

    def is_due(self) -> bool:
        """Whether `begin` was called here or in the parent."""
        return self._flag[0] == 1


drain = Drain()
_runtime: Runtime | None = None
_runtime_pid = 0
_guard = threading.Lock()


def get_runtime(pool_size: int = 12) -> Runtime:
    """The runtime of this process, created again after a fork."""
    global _runtime, _runtime_pid  # noqa: PLW0603 - one per process is the point
    with _guard:
        if _runtime is None or _runtime_pid != os.getpid():
            _runtime = Runtime(get_settings(), get_guard(), pool_size=pool_size)
            _runtime_pid = os.getpid()
            threading.Thread(target=_watch_drain, args=(_runtime,), name="drain", daemon=True).start()
        return _runtime


def _watch_drain(runtime: Runtime) -> None:
    wait = threading.Event()
    while not drain.is_due():
        wait.wait(0.5)
    runtime.ask_all_to_stop()
