"""One thread of a process that starts its children and ends those that were idle too long.

The kernel kills a child when the *thread* that started it ends (prctl(2), ``PR_SET_PDEATHSIG``). A thread of a job may
end at any time, and a warm child outlives the job that needed it first, so all children are started by a thread that
never ends.
"""

import atexit
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol
from weakref import WeakSet

from core.kit.logging import get_logger

_LOOK_SECONDS = 1.0
_MODULE = "pipelines._kit.sandbox.child"
_log = get_logger(__name__)


class Expiring(Protocol):
    """An owner of children that can end those it does not need."""

    def expire(self) -> None:
        """End the children that were idle too long."""

    def close(self) -> None:
        """End the idle children."""


class ChildSpawner:
    """The thread of one process."""

    def __init__(self) -> None:
        self._wanted: SimpleQueue[Future[subprocess.Popen[bytes]]] = SimpleQueue()
        self._watched: WeakSet[Expiring] = WeakSet()
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="sandbox-spawner", daemon=True).start()

    def spawn(self) -> "subprocess.Popen[bytes]":
        """A child that waits for its first message. Raises OSError."""
        wanted: Future[subprocess.Popen[bytes]] = Future()
        self._wanted.put(wanted)
        return wanted.result()

    def watch(self, pool: Expiring) -> None:
        """Expire the children of `pool` from now on, as long as it is referenced elsewhere."""
        with self._lock:
            self._watched.add(pool)

    def pools(self) -> list[Expiring]:
        """The watched pools."""
        with self._lock:
            return list(self._watched)

    def _run(self) -> None:
        while True:
            with suppress(Empty):
                _spawn_for(self._wanted.get(timeout=_LOOK_SECONDS))
            for pool in self.pools():
                try:
                    pool.expire()
                except Exception:  # noqa: BLE001 - logged, whatever it is
                    # Without this thread no child would be started any more.
                    _log.exception("sandbox_expiry_failed")


def _spawn_for(wanted: "Future[subprocess.Popen[bytes]]") -> None:
    try:
        wanted.set_result(_spawn())
    except Exception as error:  # noqa: BLE001 - it is the caller's, who waits for it
        wanted.set_exception(error)


def _spawn() -> "subprocess.Popen[bytes]":
    # Nothing is inherited: no environment variables, not even HOME, and only these two pipes of the descriptors.
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)  # noqa: PTH100 - '' is the working directory
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        cwd="/",
        env={
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": path,
        },
        start_new_session=True,
    )


_spawners: dict[int, ChildSpawner] = {}
_opening = threading.Lock()


def get_spawner() -> ChildSpawner:
    """The spawner of this process; threads do not survive a fork, so a forked process gets its own."""
    with _opening:
        if os.getpid() not in _spawners:
            _spawners[os.getpid()] = ChildSpawner()
        return _spawners[os.getpid()]


def _close_all() -> None:
    spawner = _spawners.get(os.getpid())
    for pool in spawner.pools() if spawner else ():
        pool.close()


atexit.register(_close_all)
