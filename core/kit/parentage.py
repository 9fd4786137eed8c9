"""Ties a process to its parent, and makes it the kernel's first choice when memory runs out."""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_FIRST_TO_GO = "1000"


def end_with_parent(parent_pid: int, number: signal.Signals) -> None:
    """Receive `number` when the thread that created this process ends (Linux, prctl(2)), also if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), number)


def be_first_to_go() -> None:
    """Ask the kernel to kill this process before any other when memory runs out (proc(5), ``oom_score_adj``)."""
    try:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    except OSError:
        # Not Linux, or a container that forbids it: then the largest process is killed, which is likely to be this one.
        return


def resident_mb(pid: int | None = None) -> float:
    """Megabytes of memory that this process, or the one of `pid`, holds now; 0 where the system does not report it."""
    try:
        pages = int(Path(f"/proc/{'self' if pid is None else pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
