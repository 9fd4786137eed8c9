"""Runs one function over a hostile file in a process of its own, with limits that the kernel enforces.

The child limits its own memory, processor time and output before it imports a parser, has no secret in its environment,
and dies with its parent. The parent waits with a deadline, asks `check` while it waits, and kills what does not end.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from core.kit.errors import CapabilityFailure

_ASK_EVERY_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_ANSWER = "answer.json"
_TASK = "task.json"
TOO_MUCH_MEMORY = "too_much_memory"
TOO_SLOW = "too_slow"
CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one run may use. `cpu_seconds` counts processor time, `clock_seconds` what the parent waits at most."""

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_seconds: int = 30
    clock_seconds: float = 90.0
    file_bytes: int = 256 * 1024 * 1024


class SandboxFailure(Exception):
    """The child did not end well. `reason` is one of the constants of this module."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def run(
    module: str, task: Mapping[str, Any], folder: Path, *, bounds: Bounds, check: Callable[[], None]
) -> dict[str, Any]:
    """Run ``python -m module`` over `task` and return its answer; files that it writes are in `folder`.

    `check` is called about ten times a second, and the child is killed when it raises. Raises `SandboxFailure`, and
    `CapabilityFailure` as the child raised it.
    """
    (folder / _TASK).write_bytes(orjson.dumps({"task": task, "bounds": asdict(bounds)}))
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", module, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    try:
        _wait(process, bounds, check)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return _answer(process.returncode, folder / _ANSWER)


def _wait(process: "subprocess.Popen[bytes]", bounds: Bounds, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + bounds.clock_seconds
    while True:
        try:
            process.wait(_ASK_EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            check()
            if time.monotonic() > deadline:
                raise SandboxFailure(TOO_SLOW) from None
        else:
            return


def _answer(status: int, path: Path) -> dict[str, Any]:
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise SandboxFailure(TOO_SLOW)
    if status != 0 or not path.exists():
        raise SandboxFailure(CRASHED)
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    if reason := found.get("broke"):
        raise SandboxFailure(reason)
    if refusal := found.get("refusal"):
        raise CapabilityFailure(refusal["detail"], code=refusal["code"])
    answer: dict[str, Any] = found["answer"]
    return answer


def serve(handle: Callable[[Mapping[str, Any], Path], dict[str, Any]]) -> None:
    """The child's side: limit this process, call ``handle(task, folder)`` and leave what it returns in `folder`."""
    folder = Path(sys.argv[1])
    known = orjson.loads((folder / _TASK).read_bytes())
    bounds = Bounds(**known["bounds"])
    _limit(bounds)
    (folder / _ANSWER).write_bytes(orjson.dumps(_handled(handle, known["task"], folder)))


def _handled(
    handle: Callable[[Mapping[str, Any], Path], dict[str, Any]], task: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    try:
        return {"answer": handle(task, folder)}
    except CapabilityFailure as refusal:
        return {"refusal": {"detail": refusal.detail, "code": refusal.code}}
    except MemoryError:
        return {"broke": TOO_MUCH_MEMORY}
    except Exception:  # noqa: BLE001 - a parser's defect must cost one file, not the job
        return {"broke": CRASHED}


def _limit(bounds: Bounds) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory_bytes, bounds.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.cpu_seconds, bounds.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.file_bytes, bounds.file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
