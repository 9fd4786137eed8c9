"""Keeps one pool's worker process running: replaces it when it has crashed or retires.

The supervisor forks before anything heavy is imported or any thread runs, so it costs next to nothing and does not fail
with a worker. It has no connections: what a crash leaves behind is found by leases.
"""

import os
import select
import signal
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from types import FrameType

from core.kit.logging import configure_logging, get_logger, shutdown_logging
from core.kit.parentage import end_with_parent
from core.kit.settings import Settings
from workers.recycling import EXIT_TOO_LARGE

READY = "ready"
RETIRES = "retires"
# A worker that lived this long resets the count of consecutive crashes.
_STEADY_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
# Retired workers finish their jobs, which may take hours; more of them than this would fill the machine.
_RETIRED_MAX = 2
_log = get_logger(__name__)


def pause_after(crashes: int) -> float:
    """Seconds before the next start after that many consecutive crashes: doubling, up to half a minute, without end."""
    return float(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(crashes - 1, 10)))


@dataclass(slots=True)
class _Worker:
    pid: int
    reading: int
    started_at: float
    is_ready: bool = False
    retires: str | None = None


class Supervisor:
    """Runs `worker.main` in children: one current, and those that retire. Use it in a process without threads."""

    def __init__(self, settings: Settings, pool: str, concurrency: int | None) -> None:
        self._settings = settings
        self._pool = pool
        self._concurrency = concurrency
        self._workers: list[_Worker] = []
        self._replaced: Counter[str] = Counter()
        self._crashes = 0
        self._due_at: float | None = 0.0
        self._was_ready = False
        self._is_stopping = False

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; returns the process's exit code.

        A worker that never became ready is not started again: its exit code is returned, and the log has the
        reason.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        code = 0
        while self._workers or not self._is_stopping:
            if not self._is_stopping and self._due_at is not None and monotonic() >= self._due_at:
                self._due_at = None
                self._start()
            self._listen()
            for worker, status in self._reap():
                code = os.waitstatus_to_exitcode(status)
                if self._is_stopping:
                    continue
                if not self._was_ready:
                    return code if code > 0 else 1
                self._replace(worker, code)
        return 0 if code >= 0 else 1

    def _stop(self, *_: int | FrameType | None) -> None:
        self._is_stopping = True
        for worker in self._workers:
            try:
                os.kill(worker.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def _start(self) -> None:
        reading, writing = os.pipe()
        # Between the fork and the child's own handlers, a signal to stop would run the supervisor's handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_worker(self, parent, writing)
        os.close(writing)
        self._workers.append(_Worker(pid, reading, monotonic()))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def work(self, writing: int) -> int:
        """The child's part: be the worker, and report its state to the supervisor on `writing`."""
        from core.kit.garbage import uncollected

        with uncollected():
            from core.kit.metrics import WORKER_REPLACEMENTS
            from workers.worker import main as work

        for cause, times in self._replaced.items():
            WORKER_REPLACEMENTS.labels(self._pool, cause).inc(times)

        def notify(line: str) -> None:
            os.write(writing, f"{line}\n".encode("ascii"))

        return work(self._settings, self._pool, self._concurrency, notify=notify)

    def _listen(self) -> None:
        ready, _, _ = select.select([worker.reading for worker in self._workers], [], [], _LOOK_SECONDS)
        for worker in self._workers:
            if worker.reading not in ready:
                continue
            for line in os.read(worker.reading, 4096).decode("ascii", "replace").splitlines():
                word, _, cause = line.partition(" ")
                if word == READY:
                    worker.is_ready = self._was_ready = True
                elif word == RETIRES and worker.retires is None:
                    worker.retires = cause
                    self._replaced[cause] += 1
                    if sum(each.retires is not None for each in self._workers) <= _RETIRED_MAX:
                        self._due_at = monotonic()

    def _reap(self) -> list[tuple[_Worker, int]]:
        ended = []
        for worker in self._workers:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                ended.append((worker, status))
                os.close(worker.reading)
        gone = {worker.pid for worker, _ in ended}
        self._workers = [worker for worker in self._workers if worker.pid not in gone]
        return ended

    def _replace(self, worker: _Worker, code: int) -> None:
        ending = signal.Signals(-code).name if code < 0 else str(code)
        if worker.retires is not None:
            _log.info("worker_retired", pool=self._pool, cause=worker.retires, ended=ending)
            if all(each.retires is not None for each in self._workers) and self._due_at is None:
                self._due_at = monotonic()
            return
        lasted = monotonic() - worker.started_at >= _STEADY_SECONDS
        self._crashes = 1 if lasted else self._crashes + 1
        pause = pause_after(self._crashes)
        self._due_at = monotonic() + pause
        cause = "memory" if code == EXIT_TOO_LARGE else "crashed"
        self._replaced[cause] += 1
        _log.error("worker_lost", pool=self._pool, ended=ending, crashes=self._crashes, pause_seconds=pause)


def _become_worker(supervisor: Supervisor, parent: int, writing: int) -> None:
    """Run the worker. Never returns: the child must not run the rest of the supervisor."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        end_with_parent(parent, signal.SIGKILL)
        code = supervisor.work(writing)
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it was, this process ends here
        _log.exception("worker_not_started", pool=supervisor._pool)  # noqa: SLF001 - same module
    finally:
        import logging
        import sys

        shutdown_logging()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(settings: Settings, pool: str, concurrency: int | None = None) -> int:
    """Run a supervised worker of `pool` until SIGTERM or SIGINT; returns the process's exit code."""
    # This process has no threads, so it may fork at any time.
    configure_logging(settings, service=f"worker-{pool}-supervisor", exports=False)
    return Supervisor(settings, pool, concurrency).run()
