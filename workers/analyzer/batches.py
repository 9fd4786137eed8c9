"""Requests in a queue, and the threads that pass them to sandboxed children, several small ones at a time.

The requests of a batch ask for the same kinds of findings.

A child cannot be interrupted, and a text may make it hang or crash. It is then killed, and each request of its batch
is tried again by itself, so that such a text fails only its own request.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from time import monotonic
from typing import Any

from core.guard.wire import ANSWER_MAX_BYTES
from core.kit.logging import get_logger
from core.kit.metrics import GUARD_CHARACTERS, GUARD_CHILDREN_LOST
from pipelines._kit.sandbox.pool import Pool
from pipelines._kit.sandbox.profile import CRASHED, Bounds, SandboxFailure, SandboxProfile

ENTRY = "workers.analyzer.child:open_detector"
# Larger requests are analyzed by themselves: a batch must not delay its small requests by much.
_BATCH_CHARACTERS = 8_000
_WAITING_CHARACTERS_MAX = 1_000_000
_PAUSE_SECONDS = 1.0
_GIB = 1024**3
Answer = list[list[dict[str, Any]]]
_log = get_logger(__name__)


class Overloaded(Exception):
    """The queue is full."""


class AnalysisFailed(Exception):
    """The child hung, ran out of memory or crashed over these texts; `args` hold the reason."""


@dataclass(eq=False, slots=True)
class _Request:
    texts: list[str]
    kinds: frozenset[str] | None
    deadline: float
    answer: "Future[Answer]" = field(default_factory=Future)
    is_isolated: bool = False

    @property
    def characters(self) -> int:
        return sum(map(len, self.texts))


class Batches:
    """Runs `size` children that load `entry`, and the queue before them. Safe in several threads.

    A child has half of `timeout_seconds` for a batch, so that a request that shared one with a hostile text can still
    be answered in time. `failed` is called when the first child of a thread cannot be started.
    """

    def __init__(self, *, size: int, timeout_seconds: float, failed: Callable[[], None], entry: str = ENTRY) -> None:
        self._timeout_seconds = timeout_seconds
        self._size = size
        self._failed = failed
        self._waiting: deque[_Request] = deque()
        self._changed = Condition()
        self._is_closed = False
        self._ready = Event()
        clock_seconds = timeout_seconds / 2
        self._pool = Pool(
            SandboxProfile(
                name="guard",
                entry=entry,
                bounds=Bounds(
                    memory_bytes=4 * _GIB,
                    cpu_seconds=clock_seconds,
                    clock_seconds=clock_seconds,
                    file_bytes=0,
                    answer_bytes=ANSWER_MAX_BYTES,
                ),
                size=size,
                calls=1_000_000,
                # spaCy caches every word that it has seen.
                resident_max_bytes=_GIB,
                idle_seconds=float("inf"),
            )
        )
        self._threads = [Thread(target=self._work, name=f"analyzer-{number}", daemon=True) for number in range(size)]

    @property
    def is_ready(self) -> bool:
        """Whether a child has loaded, and every child lost since then has been replaced."""
        return self._ready.is_set()

    @property
    def pids(self) -> list[int]:
        """The children's process ids."""
        return self._pool.pids

    def start(self) -> None:
        """Start loading the children."""
        for thread in self._threads:
            thread.start()

    def submit(self, texts: list[str], kinds: frozenset[str] | None = None) -> "Future[Answer]":
        """Queue texts for the recognizers, for findings of these kinds, None for all.

        Raises `Overloaded`; the future raises `AnalysisFailed` or `TimeoutError`.
        """
        request = _Request(texts, kinds, monotonic() + self._timeout_seconds)
        with self._changed:
            if sum(each.characters for each in self._waiting) > _WAITING_CHARACTERS_MAX:
                raise Overloaded
            self._waiting.append(request)
            self._changed.notify()
        return request.answer

    def close(self) -> None:
        """End the children; waiting requests are not answered."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._pool.close()

    def _work(self) -> None:
        has_started = False
        while not self._is_closed:
            try:
                self._load()
                has_started = True
                batch = self._take()
                if batch:
                    self._analyze(batch)
            except Exception as error:  # noqa: BLE001 - without this thread nothing is analyzed any more
                if self._is_closed:
                    return
                _log.error("analyzer_child_not_started", error=type(error).__name__)
                if not has_started:
                    self._failed()
                    return
                with self._changed:
                    self._changed.wait(_PAUSE_SECONDS)

    def _load(self) -> None:
        """Load this thread's child before any request waits for it: loading takes longer than a request may."""
        if len(self._pool.pids) < self._size:
            began = monotonic()
            self._pool.call({"texts": [], "kinds": None}, check=lambda: None)
            _log.info("analyzer_child_ready", seconds=round(monotonic() - began, 2))
        self._ready.set()

    def _take(self) -> list[_Request]:
        """The next requests to analyze together, or nothing after a while."""
        batch: list[_Request] = []
        characters = 0
        with self._changed:
            if not self._waiting:
                self._changed.wait(_PAUSE_SECONDS)
            while self._waiting:
                request = self._waiting[0]
                characters += request.characters
                if batch and (request.is_isolated or characters > _BATCH_CHARACTERS or request.kinds != batch[0].kinds):
                    break
                self._waiting.popleft()
                if not request.is_isolated and not request.answer.set_running_or_notify_cancel():
                    characters -= request.characters
                elif monotonic() > request.deadline:
                    request.answer.set_exception(TimeoutError())
                    characters -= request.characters
                else:
                    batch.append(request)
                    if request.is_isolated:
                        break
        return batch

    def _analyze(self, batch: list[_Request]) -> None:
        texts = [text for request in batch for text in request.texts]
        kinds = batch[0].kinds
        task = {"texts": texts, "kinds": None if kinds is None else sorted(kinds)}
        try:
            found: Answer = self._pool.call(task, check=lambda: None)["findings"]
        except SandboxFailure as failure:
            self._ready.clear()
            self._give_up(batch, failure.reason)
            return
        except Exception:
            self._give_up(batch, CRASHED)
            raise
        GUARD_CHARACTERS.inc(sum(map(len, texts)))
        for request in batch:
            request.answer.set_result(found[: len(request.texts)])
            found = found[len(request.texts) :]

    def _give_up(self, batch: list[_Request], reason: str) -> None:
        GUARD_CHILDREN_LOST.labels(reason).inc()
        _log.warning("analyzer_child_lost", reason=reason, requests=len(batch))
        if len(batch) == 1:
            batch[0].answer.set_exception(AnalysisFailed(reason))
            return
        with self._changed:
            for request in reversed(batch):
                request.is_isolated = True
                self._waiting.appendleft(request)
            self._changed.notify_all()
