"""One child of the stack: runs it, restarts it after crashes, and stops it."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from waybill.stack.child import guarded
from waybill.stack.fork_server import Forked, ForkServer
from waybill.stack.plan import Child

_LOG_MAX_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_REAP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a crashing child is restarted, and how long each step may take.

    The n-th crash in a row is followed by a pause of ``first_pause_seconds * 2**(n-1)``, up to `longest_pause_seconds`.
    A child that ran for `quick_seconds` starts counting again; after `crashes_max` crashes in a row it is abandoned.
    """

    crashes_max: int = 5
    quick_seconds: float = 20.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 15.0
    ready_seconds: float = 90.0
    predecessor_seconds: float = 20.0

    def pause_after(self, crashes: int) -> float:
        """Seconds to wait after that many crashes in a row."""
        return float(min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (crashes - 1)))


@dataclass(slots=True)
class Crashes:
    """Counts crashes in a row, and says when the next start is due."""

    patience: Patience
    count: int = 0
    started_at: float = 0.0
    due_at: float | None = None

    def started(self) -> None:
        """Record a start."""
        self.started_at = monotonic()
        self.due_at = None

    def crashed(self) -> bool:
        """Record a crash; returns False if it must not be restarted."""
        lasted = monotonic() - self.started_at >= self.patience.quick_seconds
        self.count = 1 if lasted else self.count + 1
        self.due_at = monotonic() + self.patience.pause_after(self.count)
        return self.count < self.patience.crashes_max

    @property
    def is_due(self) -> bool:
        """Whether the pause after the last crash is over."""
        return self.due_at is not None and monotonic() >= self.due_at


class ChildProcess:
    """A `Child` with its process, its log and its crashes. Use it in one thread, which must outlive the child.

    The kernel's signal to orphans is sent when the *thread* that made the child ends (prctl(2)).
    """

    def __init__(
        self,
        child: Child,
        log: Path,
        environment: dict[str, str],
        patience: Patience,
        forks: ForkServer | None,
        *,
        born: Callable[[int], None],
        gone: Callable[[int], None],
    ) -> None:
        self.child = child
        self.log = log
        self.crashes = Crashes(patience)
        self.is_ready = False
        self.is_abandoned = False
        self._environment = {**environment, **child.environment}
        self._born = born
        self._gone = gone
        self._forks = forks
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it in a process group of its own, appending to its log."""
        if self.log.exists() and self.log.stat().st_size > _LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        module = self.child.module
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            if self._forks is not None and module is not None:
                self._process = self._forks.fork(module, self._environment, self.log, Path.cwd())
            else:
                self._process = self._spawn(log)
        self._born(self._process.pid)
        self.is_ready = False
        self.crashes.started()

    def _spawn(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the plan's own command
            guarded(self.child.argv),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def look(self) -> bool:
        """Check readiness; returns whether it has just become ready."""
        if self.is_ready or self._process is None:
            return False
        self.is_ready = self.child.ready.is_met(self._logged())
        return self.is_ready

    def ended(self) -> int | None:
        """The exit code if it has ended since it was started, after ending what remains of its group; else None."""
        if self._process is None or self._process.poll() is None:
            return None
        process, self._process = self._process, None
        _kill_group(process.pid)
        self._gone(process.pid)
        return process.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill it and its whole process group."""
        if self._process is None:
            return
        _kill_group(self._process.pid)
        self._process.wait(_REAP_SECONDS)
        self.ended()

    def last_lines(self, count: int) -> list[str]:
        """Its last log lines since it was started."""
        return self._logged(_TAIL_BYTES).splitlines()[-count:]

    def _logged(self, tail_bytes: int | None = None) -> str:
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - tail_bytes) if tail_bytes else self._log_start)
            return log.read().decode("utf-8", errors="replace")


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
