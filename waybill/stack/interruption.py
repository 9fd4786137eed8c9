"""Ctrl-C, SIGTERM and a closed terminal, counted rather than obeyed at once."""

import signal
from types import FrameType
from typing import Any

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """Counts requests to stop. While `is_counting`, nothing else happens; else KeyboardInterrupt is raised.

    A start or a stop must not be torn apart in the middle; the caller's own code in between should be.
    """

    def __init__(self) -> None:
        self.count = 0
        self.is_counting = True
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the signals; only the main thread may."""
        for number in _NUMBERS:
            self._previous[number] = signal.signal(number, self._note)

    def restore(self) -> None:
        """Give the signals back to whoever handled them before."""
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self.is_counting:
            self.is_counting = True
            raise KeyboardInterrupt
