"""What the sandbox's tests run in a child: everything that a hostile or leaking file makes a parser do."""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.kit.errors import CapabilityFailure

_kept: list[bytes] = []


def open_acts(*, word: str = "") -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """A handler that does what its task says, and answers what kind of process it is."""
    loaded = time.monotonic()

    def handle(task: Mapping[str, Any], payload: bytes) -> dict[str, Any]:
        if "pid" in task:
            Path(task["pid"]).write_text(str(os.getpid()))
        _ACTS[task["act"]](task)
        return {"pid": os.getpid(), "loaded": loaded, "word": word, "payload": payload.decode(), **_known()}

    return handle


def _write(task: Mapping[str, Any]) -> None:
    Path(task["path"]).write_bytes(b"x" * task["bytes"])


def _open(_: Mapping[str, Any]) -> None:
    for _number in range(1000):
        os.open(os.devnull, os.O_RDONLY)


def _burn(_: Mapping[str, Any]) -> None:
    while True:
        pass


def _print(_: Mapping[str, Any]) -> None:
    os.write(1, b"a library's greeting\n")
    sys.stdout.write("another\n")
    sys.stdout.flush()


def _hang_up(_: Mapping[str, Any]) -> None:
    os.closerange(0, 100)
    time.sleep(600)


def _refuse(_: Mapping[str, Any]) -> None:
    raise CapabilityFailure("it is encrypted", code="file_encrypted")


def _break(_: Mapping[str, Any]) -> None:
    raise KeyError("a secret of the file")


_ACTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "answer": lambda _: None,
    "sleep": lambda _: time.sleep(600),
    "burn": _burn,
    "allocate": lambda task: bytearray(task["bytes"]),
    "leak": lambda task: _kept.append(b"x" * task["bytes"]),
    "write": _write,
    "open": _open,
    "print": _print,
    "stand still": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "segfault": lambda _: ctypes.string_at(0),
    "leave": lambda _: os._exit(0),
    "hang up": _hang_up,
    "refuse": _refuse,
    "break": _break,
}


def _known() -> dict[str, Any]:
    open_now = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return {
        "environment": dict(os.environ),
        "descriptors": sorted(target.split(":")[0] for target in open_now),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    }


def open_nothing() -> Callable[[Mapping[str, Any], bytes], dict[str, Any]]:
    """An entry that cannot be loaded."""
    raise ImportError("a library is missing")
