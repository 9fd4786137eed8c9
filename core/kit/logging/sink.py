"""Where finished lines go."""

import atexit
import sys
import threading
import time
from collections import deque


class Sink:
    """Where finished lines go: the current standard error, which a test or a daemon may replace at any time.

    With `hold_seconds`, a thread writes less urgent lines in batches: each write releases the GIL, and on a busy event
    loop getting it back costs more than the request that is being logged.
    """

    def __init__(self) -> None:
        self.hold_seconds = 0.0
        self._held: deque[str] = deque()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Write at once, after held lines. The standard library's handler calls this."""
        self._held.append(text)
        self.flush()
        return len(text)

    def hold(self, text: str) -> None:
        """Write soon, or at once when lines are not held."""
        if not self.hold_seconds:
            self.write(text)
            return
        self._held.append(text)
        if not self._filled.is_set():
            self._filled.set()

    def flush(self) -> None:
        """Write the held lines."""
        lines = []
        while self._held:
            try:
                lines.append(self._held.popleft())
            except IndexError:  # another thread took the last one
                break
        if lines:
            sys.stderr.write("".join(lines))

    def start(self, hold_seconds: float) -> None:
        """Hold lines for up to `hold_seconds` from now on; 0 writes each at once."""
        self.hold_seconds = hold_seconds
        if hold_seconds and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
            self._thread.start()
            atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(self.hold_seconds)
            self._filled.clear()
            self.flush()


SINK = Sink()


class Lines:
    """The object to which structlog passes a finished line. Lines that a crash may follow are written at once."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str) -> None:
        """Write a line soon."""
        SINK.hold(line + "\n")

    def error(self, line: str) -> None:
        """Write a line now."""
        SINK.write(line + "\n")

    debug = msg = log = info
    warning = critical = fatal = exception = error
