"""Writes down, beside the calls of this process, what they have consumed so far. Nothing waits for it.

A call says only that something changed; a thread asks it what, counts, and writes. So a token costs its caller nothing,
and a killed process has lost the count of a few hundredths of a second.
"""

import threading
from collections.abc import Callable, Mapping
from time import monotonic, sleep

from core.kit.logging import get_logger
from core.ledger.notes import CallNotes
from core.ledger.records import CallIdentity

_EVERY_SECONDS = 0.05
# Counting may take this part of the thread's time, however long the answers have become.
_SHARE_OF_TIME = 0.1
# But not longer than this between two rounds: the first count of a process loads a tokenizer.
_MOST_SECONDS = 0.25
# A thread that has nothing to do ends; the next call starts one.
_IDLE_SECONDS = 5.0
Count = Callable[[], Mapping[str, int]]
_log = get_logger(__name__)


class NoteTaker:
    """A thread that starts with the first call. Safe in threads; made after any fork."""

    def __init__(self, notes: CallNotes) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._changed: dict[CallIdentity, Count] = {}
        self._settled: set[CallIdentity] = set()
        self._written: set[CallIdentity] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def change(self, call: CallIdentity, count: Count) -> None:
        """The call consumed more; `count` says how much, by the ledger's units, when it is asked in another thread."""
        with self._lock:
            self._changed[call] = count
            self._start()
        self._wake.set()

    def settle(self, call: CallIdentity) -> None:
        """The call was settled: what was noted is of no use any more."""
        with self._lock:
            self._changed.pop(call, None)
            if call not in self._written:
                return
            self._settled.add(call)
            self._start()
        self._wake.set()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="note-taker", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._waits():
            self._wake.clear()
            began = monotonic()
            try:
                self._write()
            except Exception:  # noqa: BLE001 - a note is a courtesy; the next one must come
                _log.exception("call_notes_failed")
            # Whoever changes meanwhile is written in the next round.
            sleep(min(max(_EVERY_SECONDS, (monotonic() - began) / _SHARE_OF_TIME), _MOST_SECONDS))

    def _waits(self) -> bool:
        """Until there is something to write; False when there was nothing for a while, and the thread ends."""
        while not self._wake.wait(_IDLE_SECONDS):
            with self._lock:
                if not self._changed and not self._settled:
                    self._thread = None
                    return False
        return True

    def _write(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
            settled, self._settled = self._settled, set()
            self._written |= set(changed)
        counted = {call: dict(count()) for call, count in changed.items()}
        self._notes.update(counted, tuple(settled))
        # What was settled while its note was being written goes in the next round.
        with self._lock:
            self._written -= settled
