"""One child, seen from its parent."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any, NoReturn

import orjson

from core.kit.parentage import resident_mb
from pipelines._kit.sandbox import frames
from pipelines._kit.sandbox.child import READY
from pipelines._kit.sandbox.profile import CRASHED, NOT_STARTED, TOO_SLOW, SandboxFailure, SandboxProfile
from pipelines._kit.sandbox.spawner import get_spawner

_ASK_EVERY_SECONDS = 0.1
# Loading takes seconds on a busy machine, and must not count against the task.
_START_SECONDS = 120.0
_END_SECONDS = 1.0
_PIECE = 1 << 20

Check = Callable[[], None]


class Child:
    """A process and its two pipes. Used by one thread at a time."""

    def __init__(self, profile: SandboxProfile, owner: str) -> None:
        self.owner = owner
        self.calls = 0
        self.idle_since = 0.0
        self._profile = profile
        self._process = get_spawner().spawn()
        for pipe in (self._process.stdin, self._process.stdout):
            # A stalled child must not block a write that nothing can interrupt.
            os.set_blocking(_open(pipe).fileno(), False)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def resident_bytes(self) -> float:
        """Its resident memory in bytes; 0 where the system does not report it."""
        return resident_mb(self.pid) * 1e6

    def start(self, check: Check) -> None:
        """Wait until it has loaded its entry. Raises `SandboxFailure` and the exceptions of `check`."""
        profile = self._profile
        hello = {
            "entry": profile.entry,
            "options": profile.options,
            "bounds": asdict(profile.bounds),
            "parent": os.getpid(),
        }
        pace = _Pace(time.monotonic() + _START_SECONDS, check)
        try:
            word = self._exchange(frames.pack(orjson.dumps(hello)), len(READY), pace)
        except SandboxFailure:
            word = b""
        if word != READY:
            raise SandboxFailure(NOT_STARTED)

    def call(self, task: Mapping[str, Any], payload: bytes, check: Check) -> dict[str, Any]:
        """The child's response to `task`: an ``answer``, a ``refusal``, or how it ``broke``.

        Raises `SandboxFailure` and the exceptions of `check`; the child must then be killed.
        """
        self.calls += 1
        bounds = self._profile.bounds
        request = frames.pack(orjson.dumps(task)) + frames.pack(payload)
        body = self._exchange(request, bounds.answer_bytes, _Pace(time.monotonic() + bounds.clock_seconds, check))
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise SandboxFailure(CRASHED)
        return said

    def kill(self) -> int:
        """Kill it and every process it started; returns its exit status."""
        with suppress(ProcessLookupError, PermissionError):
            # It leads its session. Its id is not reused before it was waited for.
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _open(pipe).close()
        return status

    def _exchange(self, request: bytes, most: int, pace: "_Pace") -> bytes:
        try:
            self._write(memoryview(request), pace)
            answer = frames.read(lambda size: self._read(size, pace), most)
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        except frames.FrameTooLong as error:
            raise SandboxFailure(CRASHED) from error
        if answer is None:
            self._died()
        return answer

    def _write(self, left: memoryview, pace: "_Pace") -> None:
        descriptor = _open(self._process.stdin).fileno()
        while left:
            pace.wait(descriptor, select.POLLOUT)
            with suppress(BlockingIOError):
                left = left[os.write(descriptor, left[:_PIECE]) :]

    def _read(self, size: int, pace: "_Pace") -> bytes:
        descriptor = _open(self._process.stdout).fileno()
        pace.wait(descriptor, select.POLLIN)
        return os.read(descriptor, size)

    def _died(self) -> NoReturn:
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            # It closed its pipes but still runs.
            status = 0
        raise SandboxFailure(TOO_SLOW if status == -signal.SIGXCPU else CRASHED)


class _Pace:
    """Waits for a pipe, but never past a deadline, nor long without calling the check."""

    def __init__(self, deadline: float, check: Check) -> None:
        self._deadline = deadline
        self._check = check
        self._asked = time.monotonic()

    def wait(self, descriptor: int, event: int) -> None:
        """Wait until `event` happens at `descriptor`. Raises `SandboxFailure` and the exceptions of the check."""
        # Not select(), which refuses descriptors above 1023.
        waiting = select.poll()
        waiting.register(descriptor, event)
        while True:
            is_ready = waiting.poll(_ASK_EVERY_SECONDS * 1000)
            now = time.monotonic()
            # Also while bytes arrive: they may trickle forever.
            if now - self._asked >= _ASK_EVERY_SECONDS:
                self._asked = now
                self._check()
                if now > self._deadline:
                    raise SandboxFailure(TOO_SLOW)
            if is_ready:
                return


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe
