"""Reads files in child processes, because a parser that hangs or crashes can only be stopped from outside.

A child is kept for the next file, since starting one takes some tenths of a second; it is killed when a file takes too
long or the job is cancelled, and replaced after a number of files.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Lock
from types import TracebackType
from typing import IO, Self

import orjson

from core.kit.errors import Unavailable
from pipelines.knowledge.documents import wire
from pipelines.knowledge.documents.document import Document
from pipelines.knowledge.documents.errors import CORRUPT, TOO_LARGE, TOO_SLOW, UnreadableDocument
from pipelines.knowledge.documents.limits import DEFAULT_LIMITS, Limits

_ASK_EVERY_SECONDS = 0.2
# The child ends by itself, and says so, when it has used its seconds of processor time. One that neither ends nor works
# is killed after so many times as much by the clock, since on a busy machine a second of work takes several.
_CLOCK_PER_WORK = 4
_GRACE_SECONDS = 3.0
_START_SECONDS = 120.0
_FILES_PER_CHILD = 500


class IsolatedReader:
    """Reads in children, one for each thread that reads at the same time. Close it, or use it in a ``with`` block."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._idle: list[_Child] = []
        self._lock = Lock()

    def read(
        self,
        data: bytes,
        *,
        name: str,
        content_type: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Document:
        """As `readers.read`. `check` is called a few times a second; what it raises stops the reading.

        Raises `UnreadableDocument`, also when the file makes the parser hang, crash or use too much memory.
        """
        # What nobody has to parse needs no child.
        if len(data) > self._limits.size_bytes:
            raise UnreadableDocument(f"The file is larger than {self._limits.size_bytes // 2**20} MiB.", code=TOO_LARGE)
        child = self._take()
        try:
            document = child.ask(wire.Task(data, name, content_type), self._limits, check)
        except UnreadableDocument:
            self._give_back(child)
            raise
        except BaseException:
            child.kill()
            raise
        self._give_back(child)
        return document

    def close(self) -> None:
        """End the children that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> "_Child":
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.is_alive:
                    return child
                child.kill()
        return _Child(self._limits)

    def _give_back(self, child: "_Child") -> None:
        if child.is_alive and child.files < _FILES_PER_CHILD:
            with self._lock:
                self._idle.append(child)
        else:
            child.kill()


class _Child:
    """One process and its two pipes."""

    def __init__(self, limits: Limits) -> None:
        self.files = 0
        self._is_ready = False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "pipelines.knowledge.documents.child", orjson.dumps(asdict(limits)).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, task: wire.Task, limits: Limits, check: Callable[[], None]) -> Document:
        self.files += 1
        if not self._is_ready:
            self._await_start(check)
        deadline = time.monotonic() + _CLOCK_PER_WORK * limits.seconds + _GRACE_SECONDS
        try:
            self._pipe(self._process.stdin).write(wire.encode_task(task))
            self._pipe(self._process.stdin).flush()
            answer = wire.read_frame(lambda size: self._read(size, deadline, check))
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer is None:
            raise self._died()
        return wire.decode_answer(answer)

    def _await_start(self, check: Callable[[], None]) -> None:
        """Starting takes seconds on a busy machine, and is not the file's fault. Raises `Unavailable`."""
        deadline = time.monotonic() + _START_SECONDS
        try:
            word = wire.read_frame(lambda size: self._read(size, deadline, check))
        except UnreadableDocument:
            word = None
        if word != wire.READY:
            raise Unavailable("The process that reads documents does not start.", code="reader_unavailable")
        self._is_ready = True

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                self._pipe(pipe).close()
            except BrokenPipeError:
                # What was still buffered for a process that is gone.
                continue

    def _read(self, size: int, deadline: float, check: Callable[[], None]) -> bytes:
        descriptor = self._pipe(self._process.stdout).fileno()
        # Not select(), which refuses descriptors above 1023.
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN | select.POLLHUP)
        while not waiting.poll(_ASK_EVERY_SECONDS * 1000):
            check()
            if time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise UnreadableDocument("Reading this file takes longer than is allowed.", code=TOO_SLOW)
        return os.read(descriptor, size)

    def _died(self) -> UnreadableDocument:
        status = self._process.wait()
        if status == -signal.SIGXCPU:
            return UnreadableDocument("Reading this file takes longer than is allowed.", code=TOO_SLOW)
        return UnreadableDocument("This file makes its reader fail; it is probably damaged.", code=CORRUPT)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise ValueError("the process was started without pipes")
        return pipe
