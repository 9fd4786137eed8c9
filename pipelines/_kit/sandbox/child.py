"""The child's side: ``python -m pipelines._kit.sandbox.child``, which `spawner` starts and `process` talks to.

It limits itself before it loads anything, answers one call after the other until its input ends, and dies with its
parent. Native code that it loads writes to standard output too, so the pipes are moved elsewhere first.
"""

import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import orjson

from core.kit.errors import CapabilityFailure
from core.kit.json_values import dumps
from core.kit.parentage import be_first_to_go, end_with_parent
from pipelines._kit.sandbox import frames
from pipelines._kit.sandbox.profile import CRASHED, TOO_MUCH_MEMORY, Bounds

READY = b"ready"
Handler = Callable[[Mapping[str, Any], bytes], Mapping[str, Any]]
# The parent is trusted; this only keeps a broken length from requesting the whole address space.
_REQUEST_BYTES = 1 << 30
# The kernel counts whole seconds, and a limit that is already reached kills the process at once.
_ROUNDING_SECONDS = 2


def main() -> None:
    """Load the entry that the first message names, and answer calls."""
    source, sink = _take_pipes()
    hello = _read(source)
    if hello is None:
        return
    known = orjson.loads(hello)
    end_with_parent(known["parent"], signal.SIGKILL)
    be_first_to_go()
    # Parsers warn about every flaw of every file, and quote it.
    logging.disable(logging.CRITICAL)
    bounds = Bounds(**known["bounds"])
    _limit(bounds)
    module, _, function = known["entry"].partition(":")
    handle: Handler = getattr(import_module(module), function)(**known["options"])
    _write(sink, READY)
    while (task := _read(source)) is not None and (payload := _read(source)) is not None:
        _limit_processor_time(bounds.cpu_seconds)
        _write(sink, _answer(handle, task, payload))


def _take_pipes() -> tuple[int, int]:
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return source, sink


def _answer(handle: Handler, task: bytes, payload: bytes) -> bytes:
    try:
        return dumps({"answer": handle(orjson.loads(task), payload)})
    except CapabilityFailure as refusal:
        return orjson.dumps(
            {"refusal": {"detail": refusal.detail, "code": refusal.code, "retryable": refusal.retryable}}
        )
    except MemoryError:
        return orjson.dumps({"broke": TOO_MUCH_MEMORY})
    except Exception as error:  # noqa: BLE001 - a parser's defect must cost one call, not the job
        # The kind only: an exception's text may quote the file.
        return orjson.dumps({"broke": CRASHED, "kind": type(error).__name__})


def _limit(bounds: Bounds) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory_bytes, bounds.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.file_bytes, bounds.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (bounds.descriptors, bounds.descriptors))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_processor_time(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + _ROUNDING_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _read(source: int) -> bytes | None:
    return frames.read(lambda size: os.read(source, size), _REQUEST_BYTES)


def _write(sink: int, body: bytes) -> None:
    left = memoryview(frames.pack(body))
    while left:
        left = left[os.write(sink, left) :]


if __name__ == "__main__":
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
