"""Writes usage checkpoints of this process's calls in the background. Nothing waits for it.

A call only signals that its usage changed; a thread then asks for it, counts, and writes. So a token costs its caller
nothing, and a killed process loses the count of a few hundredths of a second. A long answer is written when it has
grown by a few percent: counting it at every token would cost more than the rest of the call.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep

from core.kit.logging import get_logger
from core.ledger.records import CallIdentity
from core.ledger.usage_checkpoints import UsageCheckpoints

_EVERY_SECONDS = 0.05
# Counting may take this share of the thread's time, however long the answers have become.
_SHARE_OF_TIME = 0.1
# The longest pause between two rounds: the first count of a process loads a tokenizer.
_MAX_SECONDS = 0.25
# An answer that has grown by less is written later, but no later than after `_MAX_SECONDS`.
_GROWTH = 1.03
# An idle thread ends; the next call starts one.
_IDLE_SECONDS = 5.0
Count = Callable[[], Mapping[str, int]]
_log = get_logger(__name__)


@dataclass(slots=True)
class _CallProgress:
    """The state of one call: the pieces of its answer received, and how many of them were counted when."""

    pieces: int = 0
    counted: int = 0
    counted_at: float = float("-inf")

    def is_due(self, now: float) -> bool:
        return self.pieces >= self.counted * _GROWTH or now - self.counted_at >= _MAX_SECONDS


class UsageCheckpointWriter:
    """A thread that starts with the first call. Safe in threads; create it after any fork."""

    def __init__(self, checkpoints: UsageCheckpoints) -> None:
        self._checkpoints = checkpoints
        self._lock = threading.Lock()
        self._changed: dict[CallIdentity, Count] = {}
        self._settled: set[CallIdentity] = set()
        self._progress: dict[CallIdentity, _CallProgress] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def change(self, call: CallIdentity, count: Count) -> None:
        """The call consumed more; `count`, called in another thread, returns how much in the ledger's units."""
        with self._lock:
            self._changed[call] = count
            self._progress.setdefault(call, _CallProgress()).pieces += 1
            self._start()
        self._wake.set()

    def settle(self, call: CallIdentity) -> None:
        """The call was settled: its checkpoint is no longer needed."""
        with self._lock:
            self._changed.pop(call, None)
            known = self._progress.pop(call, None)
            if known is None or not known.counted:
                return
            self._settled.add(call)
            self._start()
        self._wake.set()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="usage-checkpoints", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._waits():
            self._wake.clear()
            began = monotonic()
            try:
                self._write()
            except Exception:  # noqa: BLE001 - a checkpoint is a courtesy; the next one must come
                _log.exception("usage_checkpoints_failed")
            # Calls that change meanwhile are written in the next round.
            sleep(min(max(_EVERY_SECONDS, (monotonic() - began) / _SHARE_OF_TIME), _MAX_SECONDS))

    def _waits(self) -> bool:
        """Wait until there is something to write; False after an idle time, when the thread ends."""
        while not self._wake.wait(_IDLE_SECONDS):
            with self._lock:
                if not self._changed and not self._settled:
                    self._thread = None
                    return False
        return True

    def _write(self) -> None:
        now = monotonic()
        with self._lock:
            due = {call: self._progress[call] for call in self._changed if self._progress[call].is_due(now)}
            changed = {call: self._changed.pop(call) for call in due}
            settled, self._settled = self._settled, set()
            for known in due.values():
                known.counted, known.counted_at = known.pieces, now
            if self._changed:
                self._wake.set()
        # A call settled while its checkpoint is being written is deleted in the next round.
        self._checkpoints.update({call: dict(count()) for call, count in changed.items()}, tuple(settled))
