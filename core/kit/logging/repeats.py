"""Limits repeated warnings and errors: after some per minute they are counted, and one line reports how many."""

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from structlog.typing import EventDict

from core.kit.metrics import LOG_LINES_SUPPRESSED

WINDOW_SECONDS = 60.0
_KEYS_MAX = 1_000
_VALUE_MAX_CHARACTERS = 80
LIMITED = frozenset({"warning", "error"})
# Texts that differ from line to line, and so do not identify the event.
_VARYING = frozenset({"event", "exception", "level", "logger", "path", "service", "stack", "timestamp"})


class Key(NamedTuple):
    """The identity of a line: its event, its logger, and the fields that distinguish its kind."""

    level: str
    logger: str
    event: str
    fields: tuple[tuple[str, str], ...] = ()


# Receives a key and how many lines of it were not written.
Report = Callable[[Key, int], None]


def key_of(level: str, logger: str, event: EventDict) -> Key:
    """The key of a line: its short text fields without ids, but with the job's id where the line is an error.

    An outage that affects a thousand jobs is reported once; each job that crashes has a line of its own.
    """
    kept = tuple(
        (name, str(value))
        for name, value in event.items()
        if (isinstance(value, str) and name not in _VARYING and not name.endswith("_id") and _is_short(value))
        or (name == "job_id" and level == "error")
    )
    return Key(level, logger, str(event.get("event", "")), kept)


def _is_short(value: str) -> bool:
    return len(value) <= _VALUE_MAX_CHARACTERS


@dataclass(slots=True)
class _Window:
    began: float
    seen: int = 0
    suppressed: int = 0


class Repeats:
    """Admits `most` lines of a key per minute, 0 for any number. Thread-safe; a forked child starts at zero."""

    def __init__(self, report: Report, *, clock: Callable[[], float] = monotonic) -> None:
        self._report = report
        self._clock = clock
        self.begin(0)
        os.register_at_fork(after_in_child=lambda: self.begin(self.most))
        atexit.register(self.flush)

    def begin(self, most: int) -> None:
        """Count from now on, and admit `most` lines of a key per minute."""
        self.most = most
        self._windows: dict[Key, _Window] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def admits(self, key: Key) -> bool:
        """Whether to write the line."""
        if not self.most:
            return True
        over = 0
        now = self._clock()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now - window.began >= WINDOW_SECONDS:
                over = 0 if window is None else window.suppressed
                self._make_room(now)
                window = self._windows[key] = _Window(now)
            window.seen += 1
            admitted = window.seen <= self.most
            if not admitted:
                window.suppressed += 1
                self._watch()
        if over:
            self._report(key, over)
        if not admitted:
            LOG_LINES_SUPPRESSED.inc()
        return admitted

    def flush(self, *, ended_only: bool = False) -> None:
        """Report suppressed lines, of windows that have ended or of all."""
        now = self._clock()
        with self._lock:
            ended = {
                key: window
                for key, window in self._windows.items()
                if not ended_only or now - window.began >= WINDOW_SECONDS
            }
            for key in ended:
                del self._windows[key]
        for key, window in ended.items():
            if window.suppressed:
                self._report(key, window.suppressed)

    def _make_room(self, now: float) -> None:
        if len(self._windows) < _KEYS_MAX:
            return
        for key, window in list(self._windows.items()):
            if not window.suppressed and (now - window.began >= WINDOW_SECONDS or len(self._windows) >= _KEYS_MAX):
                del self._windows[key]

    def _watch(self) -> None:
        """Have the windows reported at their end, even if no more lines of their key arrive."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="log-repeats", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        wait = threading.Event()
        while True:
            with self._lock:
                ends = [each.began + WINDOW_SECONDS for each in self._windows.values() if each.suppressed]
                if not ends:
                    self._thread = None
                    return
            wait.wait(max(0.05, min(ends) - self._clock()))
            self.flush(ended_only=True)


def fields_of(key: Key, count: int) -> Mapping[str, Any]:
    """The fields of the line that stands for `count` others."""
    return {**dict(key.fields), "repeated": count, "seconds": int(WINDOW_SECONDS)}
