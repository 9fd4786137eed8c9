"""Ctrl-C, SIGTERM and a closed terminal, counted instead of acted on immediately."""

import signal
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """Counts requests to stop. While `is_counting`, only counts; otherwise raises KeyboardInterrupt.

    A start or a stop must not be interrupted midway; the caller's code in between should be.
    """

    def __init__(self) -> None:
        self.count = 0
        self.is_counting = True
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the signals; only the main thread may."""
        for number in _NUMBERS:
            self._previous[number] = signal.signal(number, self._interrupt)

    def restore(self) -> None:
        """Restore the earlier signal handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self.is_counting:
            self.is_counting = True
            raise KeyboardInterrupt
